"""How fast recipes learn a text: floe-bench-train, drawn.

Each job file (default: nanoGPT's CPU recipe and the default recipe of the native family, bench/train/)
learns nine tenths of the text, bytes or characters as tokens, once a seed; the loss is that of the whole last tenth, in
nats a byte, the mean over the seeds.

With --pytorch nanoGPT's own recipe learns the same text in PyTorch (bench/trainer/peer_nanogpt.py), as many
seeds and threads, where $FLOE_BENCH_PYTHON (python3) can import it; its loss is of the same whole last tenth.
"""
import json
import os
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
PROGRAM = os.path.join(ROOT, 'build', 'release', 'bin', 'floe-bench-train')
JOBS = [os.path.join(ROOT, 'bench', 'train', name) for name in ('gpt2-adamw.yaml', 'qwen3-muon.yaml')]
PEER = os.path.join(ROOT, 'bench', 'trainer', 'peer_nanogpt.py')
PEER_NAME = 'nanoGPT, PyTorch'
# What nanoGPT's README says for a CPU, as in bench/train/gpt2-adamw.yaml. In the order of the script's arguments.
PEER_RECIPE = {'steps': 2000, 'layers': 4, 'heads': 4, 'width': 128, 'length': 64, 'batch': 12}
NO_PYTORCH = 3  # the script's exit code
TARGET = 1.88  # nanoGPT's README, for its CPU recipe on tiny Shakespeare
MARKS = 'o*x+'
COLORS = ('#7a7a7a', '#0b6bcb', '#c2410c', '#15803d')
WIDTH, HEIGHT = 72, 18


def add_arguments(parser):
    parser.add_argument('--corpus', help='train, tokenizer: the text')
    parser.add_argument('--seeds', type=int, default=3, help='train: runs a recipe [3]')
    parser.add_argument('--threads', type=int, default=os.cpu_count(), help='train: threads [all cores]')
    parser.add_argument('--job', action='append', help='train: a job file of kind pretrain; may be given again')
    parser.add_argument('--pytorch', action='store_true',
                        help="train: nanoGPT's recipe in PyTorch beside ours; minutes a seed")
    parser.add_argument('--svg', help='train: write the curves to this file')


def mean(values):
    return sum(values) / len(values)


def curve_of(run):
    """[(tokens, mean held-out loss over the seeds)]"""
    curves = [seed['curve'] for seed in run['seeds']]
    return [(points[0][0], mean([loss for _, loss in points])) for points in zip(*curves)]


def reached(curve, loss):
    """The tokens at which the curve falls to `loss`, between two points by the straight line."""
    for (x0, y0), (x1, y1) in zip(curve, curve[1:]):
        if y1 <= loss <= y0:
            return x0 + (x1 - x0) * (y0 - loss) / (y0 - y1 or 1)
    return curve[0][0] if curve and curve[0][1] <= loss else None


def frame(curves):
    points = [point for curve in curves for point in curve]
    most = max(x for x, _ in points)
    low, high = min(y for _, y in points + [(0, TARGET)]), max(y for _, y in points + [(0, TARGET)])
    return most, low - 0.05, high + 0.05


def plot(curves):
    most, low, high = frame(curves)
    rows = [[' '] * WIDTH for _ in range(HEIGHT)]
    line = lambda y: min(HEIGHT - 1, max(0, round((high - y) / (high - low) * (HEIGHT - 1))))
    for x in range(0, WIDTH, 2):
        rows[line(TARGET)][x] = '.'
    for mark, curve in zip(MARKS, curves):
        for x, y in curve:
            rows[line(y)][min(WIDTH - 1, round(x / most * (WIDTH - 1)))] = mark
    for index, row in enumerate(rows):
        value = high - (high - low) * index / (HEIGHT - 1)
        print(f'  {value:5.2f} |' + ''.join(row).rstrip())
    print('        +' + '-' * WIDTH)
    print(f'         0{"tokens":^{WIDTH - 12}}{most:>10,}')


def svg(path, runs, curves):
    most, low, high = frame(curves)
    wide, tall, left, top = 720, 400, 60, 30
    at = lambda x, y: f'{left + x / most * (wide - left - 20):.1f},{top + (high - y) / (high - low) * (tall - top - 50):.1f}'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" font-family="sans-serif" font-size="12">',
             f'<rect width="{wide}" height="{tall}" fill="white"/>']
    for i in range(6):
        y = low + (high - low) * i / 5
        x, height = at(0, y).split(',')
        parts.append(f'<text x="{left - 8}" y="{float(height) + 4}" text-anchor="end">{y:.2f}</text>'
                     f'<line x1="{x}" y1="{height}" x2="{wide - 20}" y2="{height}" stroke="#e5e5e5"/>')
        x, _ = at(most * i / 5, low).split(',')
        parts.append(f'<text x="{x}" y="{tall - 28}" text-anchor="middle">{most * i / 5 / 1000:,.0f}k</text>')
    x, height = at(0, TARGET).split(',')
    parts.append(f'<line x1="{x}" y1="{height}" x2="{wide - 20}" y2="{height}" stroke="#999" stroke-dasharray="4 4"/>'
                 f'<text x="{wide - 22}" y="{float(height) - 5}" text-anchor="end" fill="#666">{TARGET}: nanoGPT</text>')
    for color, run, curve, index in zip(COLORS, runs, curves, range(9)):
        parts.append(f'<polyline fill="none" stroke="{color}" stroke-width="2" points="{" ".join(at(*p) for p in curve)}"/>')
        parts.append(f'<text x="{wide - 30}" y="{top + 14 + 16 * index}" text-anchor="end" fill="{color}">{run["job"]}</text>')
    parts.append(f'<text x="{(left + wide) / 2}" y="{tall - 8}" text-anchor="middle">tokens learnt from</text>'
                 f'<text x="{left}" y="18">held-out loss, nats a byte</text></svg>')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('\n'.join(parts) + '\n')


def measure_peer(corpus, threads, seeds, blas_kernels):
    """{name, build, parameters, tokens_per_step, seeds: [{seed, loss, sampled_loss, seconds}]}, or why not."""
    python = os.environ.get('FLOE_BENCH_PYTHON', 'python3')
    environment = {**os.environ, **({'OPENBLAS_CORETYPE': blas_kernels} if blas_kernels else {})}
    peer = {'tokens_per_step': PEER_RECIPE['length'] * PEER_RECIPE['batch'], 'seeds': []}
    for seed in range(1, seeds + 1):
        words = [threads, *PEER_RECIPE.values(), corpus, seed]
        try:
            done = subprocess.run([python, PEER, *map(str, words)], stdout=subprocess.PIPE, text=True,
                                  env=environment, check=False)
        except OSError as error:
            return f'not measured: {python}: {error.strerror}; name a Python with torch in FLOE_BENCH_PYTHON'
        if done.returncode == NO_PYTORCH:
            return (f'not measured: {python} cannot import torch; name a Python that can in FLOE_BENCH_PYTHON '
                    '(Debian: python3-torch, for /usr/bin/python3)')
        if done.returncode != 0:
            return f'not measured: {os.path.basename(PEER)} ended with {done.returncode}'
        told = json.loads(done.stdout)
        peer.update({key: told[key] for key in ('name', 'build', 'parameters')})
        peer['seeds'].append({'seed': seed, **{key: told[key] for key in ('loss', 'sampled_loss', 'seconds')}})
    return peer


def row(mark, name, run, tokens_to_target, rate):
    losses = [seed['loss'] for seed in run['seeds']]
    print(f'{mark} {name:16} {run["parameters"]:>10,} {run["tokens_per_step"]:>14,} {len(losses):>6} '
          f'{mean(losses):>14.4f} {max(losses) - min(losses):>11.4f} {tokens_to_target:>15} {rate:>9,.0f}')


def peer_rows(peer):
    if isinstance(peer, str):
        print(f'  {PEER_NAME}: {peer}')
        return
    tokens = PEER_RECIPE['steps'] * peer['tokens_per_step']
    row(' ', PEER_NAME, peer, '-', mean([tokens / seed['seconds'] for seed in peer['seeds']]))
    print(f'  {PEER_NAME}: {peer["build"]}; on 20 random batches, as nanoGPT measures it, '
          f'{mean([seed["sampled_loss"] for seed in peer["seeds"]]):.4f}')


def table(result, curves):
    print(f'\ntrain  ({result["machine"]}, {result["threads"]} threads)')
    print(f'  {result["corpus_bytes"]:,} bytes, the last {result["held_out_bytes"]:,} held out\n')
    print('  recipe           parameters  tokens a step  seeds  held-out loss  its spread  tokens to 1.88  tokens/s')
    for mark, run, curve in zip(MARKS, result['runs'], curves):
        tokens = reached(curve, TARGET)
        rate = mean([curve[-1][0] / seed['seconds'] for seed in run['seeds']])
        row(mark, run['job'], run, f'{tokens:,.0f}' if tokens else 'not reached', rate)
    peer_rows(result['peer'])
    print()
    plot(curves)


def run(arguments, machine):
    if not arguments.corpus:
        print('error: give the text with --corpus FILE', file=sys.stderr)
        return 2
    jobs = arguments.job or JOBS
    done = subprocess.run([PROGRAM, arguments.corpus, str(arguments.threads), str(arguments.seeds), *jobs],
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        return done.returncode
    result = {'name': 'train', 'machine': machine, **json.loads(done.stdout)}
    result['peer'] = 'not measured: give --pytorch'
    if arguments.pytorch:
        result['peer'] = measure_peer(arguments.corpus, arguments.threads, arguments.seeds, result['blas_kernels'])
    curves = [curve_of(one) for one in result['runs']]
    if arguments.svg:
        svg(arguments.svg, result['runs'], curves)
    if arguments.json:
        print(json.dumps(result))
    else:
        table(result, curves)
    return 0
