#!/usr/bin/env python3
"""Do others read what we export? The same weights in our fleet, in transformers and in llama.cpp.

    scripts/check_exports.py hamlet@3 [--prompt TEXT] [--tokens 20]

Exports the version from the running fleet (`floe up`) as a Hugging Face folder and as GGUF, lets
each continue the prompt greedily, and compares the texts. Peers, each left out when it is not there,
with a word about it:
  transformers   in the Python that runs this script: pip install torch transformers
  llama.cpp      npm install node-llama-cpp, found from --node-modules (default: ./node_modules)
Ends with 1 when a peer differs.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
LLAMA = """
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';
const [modules, file, prompt, count] = process.argv.slice(2);
const entry = createRequire(modules + '/').resolve('node-llama-cpp');
const {getLlama} = await import(pathToFileURL(entry));
const llama = await getLlama({gpu: false, build: 'never', logLevel: 'error'});
const model = await llama.loadModel({modelPath: file});
const context = await model.createContext({contextSize: 256});
const ids = model.tokenize(prompt, false);
const written = [];
for await (const id of context.getSequence().evaluate(ids, {temperature: 0})) {
  written.push(id);
  if (written.length >= Number(count)) break;
}
console.log(JSON.stringify({ids, text: model.detokenize(written)}));
process.exit(0);
"""


def ours(fleet, model, prompt, tokens):
    request = urllib.request.Request(
        fleet['http'] + '/v1/completions',
        json.dumps({'model': model, 'prompt': prompt, 'max_tokens': tokens,
                    'temperature': 0}).encode(),
        {'Authorization': 'Bearer ' + pathlib.Path('.floe/admin.key').read_text().strip(),
         'Content-Type': 'application/json'})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)['choices'][0]['text']


def transformers_say(folder, prompt, tokens):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, __version__
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
    ids = tokenizer(prompt, return_tensors='pt', add_special_tokens=False).input_ids
    with torch.no_grad():
        for _ in range(tokens):
            best = model(ids).logits[0, -1].argmax()
            ids = torch.cat([ids, best.view(1, 1)], dim=1)
    return f'transformers {__version__}', tokenizer.decode(ids[0, -tokens:])


def llama_says(modules, file, prompt, tokens):
    script = file.with_suffix('.mjs')
    script.write_text(LLAMA)
    run = subprocess.run(['node', str(script), str(modules), str(file), prompt, str(tokens)],
                         capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip()[-400:])
    package = json.loads((modules / 'node-llama-cpp/package.json').read_text())
    return f"llama.cpp (node-llama-cpp {package['version']})", json.loads(run.stdout)['text']


def main():
    flags = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    flags.add_argument('model')
    flags.add_argument('--prompt', default='The king is ')
    flags.add_argument('--tokens', type=int, default=20)
    flags.add_argument('--floe', default=str(ROOT / 'build/release/bin/floe'))
    flags.add_argument('--node-modules', type=pathlib.Path, default=pathlib.Path('node_modules'))
    flags = flags.parse_args()
    fleet = json.loads(pathlib.Path('.floe/fleet.json').read_text())
    wanted = ours(fleet, flags.model, flags.prompt, flags.tokens)
    print(f'ours:          {wanted!r}')
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        folder, file = pathlib.Path(scratch, 'hf'), pathlib.Path(scratch, 'model.gguf')
        for form, to in (('hf', folder), ('gguf', file)):
            subprocess.run([flags.floe, 'models', 'export', flags.model, str(to), '--format', form],
                           check=True, stdout=subprocess.DEVNULL)
        try:
            name, text = transformers_say(folder, flags.prompt, flags.tokens)
            print(f'{name}: {text!r}')
            failed |= text != wanted
        except ImportError as missing:
            print(f'transformers: left out ({missing})')
        modules = flags.node_modules.resolve()
        if (modules / 'node-llama-cpp').is_dir():
            name, text = llama_says(modules, file, flags.prompt, flags.tokens)
            print(f'{name}: {text!r}')
            failed |= text != wanted
        else:
            print(f'llama.cpp: left out (no node-llama-cpp in {flags.node_modules})')
    print('they differ' if failed else 'all say the same')
    return failed


if __name__ == '__main__':
    sys.exit(main())
