"""The peer of floe-bench-inference: Hugging Face's transformers on PyTorch, on the same checkpoint.

    peer_transformers.py <checkpoint folder> <threads> <prompt tokens> <decode steps> <batch>...

Prints {name, prefill: {batch: tokens/s}, decode: {batch: tokens/s}, greedy}: the best of three, and
what the first sequence says. Exit code 3: the packages are not there.
"""
import json
import sys
import time

try:
    import torch
    import transformers
    from transformers import AutoModelForCausalLM
except ImportError:
    sys.exit(3)


def prompt(sequence, tokens):
    return [(position * 37 + sequence * 101 + 3) % 8192 for position in range(tokens)]


def measure(model, batch, tokens, steps):
    ids = torch.tensor([prompt(sequence, tokens) for sequence in range(batch)])
    start = time.perf_counter()
    out = model(input_ids=ids, use_cache=True, logits_to_keep=1)
    prefill = time.perf_counter() - start
    said = []
    start = time.perf_counter()
    for _ in range(steps):
        last = out.logits[:, -1].argmax(-1, keepdim=True)
        said.append(int(last[0, 0]))
        out = model(input_ids=last, past_key_values=out.past_key_values, use_cache=True)
    return prefill, time.perf_counter() - start, said


def main():
    folder, threads, tokens, steps = sys.argv[1], *map(int, sys.argv[2:5])
    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
    answer = {'name': f'transformers {transformers.__version__}, torch {torch.__version__}',
              'prefill': {}, 'decode': {}}
    with torch.inference_mode():
        for batch in map(int, sys.argv[5:]):
            rounds = [measure(model, batch, tokens, steps) for _ in range(3)]
            answer['prefill'][batch] = batch * tokens / min(r[0] for r in rounds)
            answer['decode'][batch] = batch * steps / min(r[1] for r in rounds)
            answer['greedy'] = rounds[0][2]
    print(json.dumps(answer))


main()
