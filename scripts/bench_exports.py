"""Do others read what we export, and say the same? For `./dev bench exports`; see bench/README.md.

floe-bench-exports writes small models of every family as a Hugging Face folder and as GGUF, with what we say to a
prompt. Each peer loads its form of them; compared are the ids of the prompt by its tokenizer, the ids that it writes
greedily, and its logits at every place along ours. A peer that is not there, a model that it cannot load and a
difference all end the run with 1.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / 'build' / 'release' / 'bin' / 'floe-bench-exports'
# The most that a logit may differ, by how the weights are stored. Both sides of transformers compute in 32-bit
# floats. llama.cpp rounds activations to the type of the weights, and looks GPT-2's GELU up in a table of 16-bit
# floats; in 8 bits we round activations too, but not to the same scales. Logits here go up to 9.
LIMITS = {'transformers': {'f32': 1e-4, 'f16': 1e-4, 'bf16': 1e-4},
          'llama.cpp': {'f32': 1e-3, 'gpt2-f32': 0.02, 'f16': 0.05, 'bf16': 0.3, 'int8': 0.5}}
INSTALL = {'transformers': 'pip install torch transformers, for the Python that FLOE_BENCH_PYTHON names',
           'llama.cpp': 'npm install node-llama-cpp, in a folder whose node_modules --node-modules names'}


def add_arguments(parser):
    parser.add_argument('--peers', nargs='+', choices=list(LIMITS), default=list(LIMITS),
                        help='exports: whom to ask [both]; one that is not there fails the run')


def command(peer, node_modules):
    folder = ROOT / 'bench' / 'exports'
    if peer == 'transformers':
        return [os.environ.get('FLOE_BENCH_PYTHON', 'python3'), str(folder / 'peer_transformers.py')]
    return ['node', str(folder / 'peer_llama.mjs'), node_modules]


def limit_of(peer, model):
    """None where the peer is not asked about such a model."""
    return LIMITS[peer].get(model, LIMITS[peer].get(model.rpartition('-')[2]))


def ask(peer, node_modules, folder, names):
    """What the peer says, or None after a word about why it says nothing."""
    try:
        done = subprocess.run([*command(peer, node_modules), folder, *names], capture_output=True, text=True,
                              check=False)
    except OSError as error:
        print(f'error: {peer}: cannot be started ({error}); {INSTALL[peer]}', file=sys.stderr)
        return None
    if done.returncode == 0:
        return json.loads(done.stdout)
    said = (done.stderr.strip().splitlines() or ['it says nothing'])[-1]
    if done.returncode == 3:
        print(f'error: {peer}: is not there ({said}); {INSTALL[peer]}', file=sys.stderr)
    else:
        print(f'error: {peer}: ended with {done.returncode} ({said})', file=sys.stderr)
    return None


def largest_difference(ours, theirs):
    if [len(row) for row in ours] != [len(row) for row in theirs]:
        return float('inf')
    return max(float('inf') if b is None or b != b else abs(a - b)  # null or NaN: no logit at all
               for one, other in zip(ours, theirs) for a, b in zip(one, other))


def greedy_until(ours, theirs):
    """How many of the ids that follow greedily are the same, and by how much our next one beat theirs."""
    for place, (one, other) in enumerate(zip(ours['greedy'], theirs['greedy'])):
        if one != other:
            row = ours['logits'][len(ours['ids']) - 1 + place]
            return place, row[one] - row[other]
    return len(ours['greedy']), 0


def compare(name, ours, theirs, limit):
    """A row of the table; `wrong` is empty where all agree."""
    if 'error' in theirs:
        return {'model': name, 'wrong': ['cannot be loaded: ' + ' '.join(theirs['error'].split())]}
    same, ahead = greedy_until(ours, theirs)
    row = {'model': name, 'limit': limit, 'difference': largest_difference(ours['logits'], theirs['logits']),
           'ids': theirs['ids'] == ours['ids'], 'greedy': f"{same} of {len(ours['greedy'])}", 'wrong': []}
    if not row['ids']:
        row['wrong'].append(f"the prompt's ids differ: {theirs['ids']}, ours {ours['ids']}")
    if ahead > 2 * limit:  # less is a tie as far as both are told apart
        row['wrong'].append(f'greedy id {same + 1} differs, where ours is ahead by {ahead:.3g}')
    if row['difference'] > limit:
        row['wrong'].append(f"a logit differs by {row['difference']:.3g}, {limit:g} is allowed")
    return row


def print_rows(rows):
    word = {True: 'same', False: 'DIFFER'}
    print(f"  {'export':<16}  {'prompt ids':<10}  {'greedy ids':<10}  {'largest difference of a logit':<29}  allowed")
    for row in rows:
        if 'difference' in row:
            print(f"  {row['model']:<16}  {word[row['ids']]:<10}  {row['greedy']:<10}  "
                  f"{row['difference']:<29.2g}  {row['limit']:g}")
        for wrong in row['wrong']:
            print(f"  {row['model']:<16}  {wrong}")


def run(arguments, machine):
    if not PROGRAM.exists():
        raise SystemExit(f'error: {PROGRAM} is not built; run ./dev build')
    results, failed = {}, False
    with tempfile.TemporaryDirectory(prefix='floe-exports-') as scratch:
        folder = pathlib.Path(scratch, 'models')
        subprocess.run([str(PROGRAM), str(folder)], check=True)
        ours = {one.name: json.loads((one / 'ours.json').read_text(encoding='utf-8'))
                for one in sorted(folder.iterdir())}
        for peer in arguments.peers:
            names = [name for name in ours if limit_of(peer, name)]
            said = ask(peer, arguments.node_modules, str(folder), names)
            if said is None:
                failed = True
                continue
            rows = [compare(name, ours[name], said['models'][name], limit_of(peer, name)) for name in names]
            failed |= any(row['wrong'] for row in rows)
            results[peer] = {'name': said['name'], 'rows': rows}
            if not arguments.json:
                print(f"\nexports in {said['name']}  ({machine})")
                print_rows(rows)
    if arguments.json:
        print(json.dumps({'name': 'exports', 'machine': machine, 'peers': results, 'ok': not failed}))
    elif failed:
        print('\nNot every export that was asked for is read as we read it.')
    else:
        places = sum(len(one['logits']) for one in ours.values())
        print(f'\nEvery export is read as we read it: {len(ours)} models, {places} places.')
    return 1 if failed else 0
