"""What Hugging Face transformers says to the folders of floe-bench-exports.

    peer_transformers.py FOLDER NAME...    {name, models: {NAME: {ids, greedy, logits} or {error}}}

Reads FOLDER/NAME/hf, in 32-bit floats, and FOLDER/NAME/ours.json for the text, the ids to go on from and the
path along which logits are wanted. Exit code 3: a package is not there; standard error says which.
"""
import json
import pathlib
import sys

try:
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer
except (ImportError, ValueError, OSError) as missing:  # the last two: torch without its libraries
    print(f'{type(missing).__name__}: {missing}', file=sys.stderr)
    sys.exit(3)


def say(folder):
    ours = json.loads((folder / 'ours.json').read_text(encoding='utf-8'))
    words = AutoTokenizer.from_pretrained(folder / 'hf')
    model, info = AutoModelForCausalLM.from_pretrained(folder / 'hf', output_loading_info=True)
    # What is missing was filled with random numbers, with no more than a warning.
    wrong = {kind: sorted(map(str, names)) for kind, names in info.items() if names}
    if wrong:
        raise RuntimeError(f'loaded with {wrong}')
    model = model.float().eval()
    with torch.no_grad():
        path = torch.tensor([ours['ids'] + ours['greedy']])
        logits = model(path).logits[0].tolist()
        ids = torch.tensor([ours['ids']])
        for _ in ours['greedy']:
            ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    return {'ids': words(ours['text'], add_special_tokens=False)['input_ids'],
            'greedy': ids[0, len(ours['ids']):].tolist(), 'logits': logits}


def main():
    transformers.logging.set_verbosity_error()
    models = {}
    for name in sys.argv[2:]:
        try:
            models[name] = say(pathlib.Path(sys.argv[1], name))
        except Exception as error:  # whatever it raises, that export cannot be loaded
            models[name] = {'error': f'{type(error).__name__}: {error}'}
    name = f'transformers {transformers.__version__}, torch {torch.__version__}'
    print(json.dumps({'name': name, 'models': models}))


main()
