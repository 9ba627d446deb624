#!/usr/bin/env python3
"""Runs the benchmark programs and lays their rows out.

    ./dev bench                 all of them, as tables
    ./dev bench tokenizer       one
    ./dev bench tokenizer --corpus FILE --ranks FILE --texts DIR
                                  on texts and a vocabulary of yours (bench/tokenizer/main.cc)
    ./dev bench inference --json  one object: {name, machine, rows: [...]}
    ./dev bench train --corpus shakespeare.txt [--seeds 3] [--pytorch] [--svg curves.svg]
                                  how fast recipes learn a text (bench_train.py), beside nanoGPT in PyTorch
    ./dev bench exactness --node-modules DIR [--texts DIR]
                                  our token ids beside the originals' (bench/tokenizer/exactness.mjs)
    ./dev bench exports --node-modules DIR [--peers transformers llama.cpp]
                                  do others read our exports and say the same? (bench_exports.py)

Each program bench/<name> prints one JSON object {"rows": [{work, ours, unit, peer, peer_name, limit}]}.
`ratio` is ours against the peer, above 1 when ours is better; `share_of_limit` is ours against what the
machine itself can do, measured in the same run. Where there is no peer it says `not measured`.
"""
import argparse
import glob
import json
import os
import platform
import subprocess
import sys

import bench_exports
import bench_train

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
NAMES = ['tokenizer', 'trainer', 'inference', 'grammar', 'start', 'tiers', 'gateway', 'billing', 'guardrails']
LOWER_IS_BETTER = {'s', 'ms', 'us', 'µs', 'ns', 'bytes'}


def machine():
    model = platform.machine()
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        for line in file:
            if line.startswith('model name'):
                model = line.split(':', 1)[1].strip()
                break
    return f'{model}, {os.cpu_count()} cores'


def complete(row):
    ours, peer, limit = row.get('ours'), row.get('peer'), row.get('limit')
    better_is_less = row['unit'] in LOWER_IS_BETTER
    ratio = None
    if ours and peer:
        ratio = peer / ours if better_is_less else ours / peer
    share = None
    if ours and limit:
        share = limit / ours if better_is_less else ours / limit
    return {'work': row['work'], 'ours': ours, 'unit': row['unit'], 'peer': peer if peer else 'not measured',
            'peer_name': row.get('peer_name'), 'ratio': ratio, 'limit': limit, 'share_of_limit': share}


def run(name, options=()):
    program = os.path.join(ROOT, 'build', 'release', 'bin', f'floe-bench-{name}')
    if not os.path.exists(program):
        sys.exit(f'error: {program} is not built; run ./dev build')
    done = subprocess.run([program, *options], stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        sys.exit(f'error: floe-bench-{name} ended with {done.returncode}')
    rows = json.loads(done.stdout)['rows']
    return {'name': name, 'machine': machine(), 'rows': [complete(row) for row in rows]}


def number(value):
    if value is None:
        return '-'
    if isinstance(value, str):
        return value
    return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:,.3g}'


def table(result):
    head = ['work', 'ours', 'unit', 'peer', 'ratio', 'limit', 'of limit']
    lines = [head]
    for row in result['rows']:
        peer = number(row['peer']) + (f" ({row['peer_name']})" if row['peer_name'] and row['ratio'] else '')
        share = f"{row['share_of_limit']:.0%}" if row['share_of_limit'] else '-'
        ratio = f"{row['ratio']:.2f}x" if row['ratio'] else '-'
        lines.append([row['work'], number(row['ours']), row['unit'], peer, ratio, number(row['limit']), share])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    print(f"\n{result['name']}  ({result['machine']})")
    for index, line in enumerate(lines):
        print('  ' + '  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        if index == 0:
            print('  ' + '  '.join('-' * width for width in widths))


def exactness(arguments):
    texts = sorted(glob.glob(os.path.join(arguments.texts, '*.txt'))) if arguments.texts else []
    script = os.path.join(ROOT, 'bench', 'tokenizer', 'exactness.mjs')
    return subprocess.run(['node', script, arguments.node_modules, '--strings', str(arguments.strings), *texts],
                          check=False).returncode


def main():
    parser = argparse.ArgumentParser(prog='./dev bench', description='Measures this machine.')
    parser.add_argument('name', nargs='?', choices=NAMES + ['train', 'exactness', 'exports'],
                        help='one subject; without it all that need no file')
    parser.add_argument('--json', action='store_true', help='one JSON object a subject')
    bench_train.add_arguments(parser)
    bench_exports.add_arguments(parser)
    parser.add_argument('--node-modules', default='node_modules',
                        help='exactness: where tiktoken, llama3-tokenizer-js and tokenizers are installed; '
                             'exports: where node-llama-cpp is')
    parser.add_argument('--ranks', help='tokenizer: a tiktoken rank file of cl100k_base to encode with')
    parser.add_argument('--vocab-size', help='tokenizer: of the training [4096; with --corpus 32000]')
    parser.add_argument('--peer', help="inference: a folder with llama.cpp's llama-bench and llama-batched-bench")
    parser.add_argument('--models', help='inference: 135M or 15M [both]')
    parser.add_argument('--kv', choices=['f16', 'f32'], help='inference: keys and values [f16, as llama.cpp keeps them]')
    parser.add_argument('--pair', nargs=3, metavar=('TARGET', 'DRAFT', 'TEXT'),
                        help='inference: instead, what guesses are worth to two trained checkpoints')
    parser.add_argument('--texts', help='tokenizer, exactness: a folder of *.txt, such as scripts/language_texts.sh makes')
    parser.add_argument('--strings', type=int, default=100000, help='exactness: how many to generate')
    arguments = parser.parse_args()
    if arguments.name == 'exactness':
        sys.exit(exactness(arguments))
    if arguments.name == 'exports':
        sys.exit(bench_exports.run(arguments, machine()))
    if arguments.name == 'train':
        sys.exit(bench_train.run(arguments, machine()))
    # The programs run in the repository's root.
    path = lambda value: os.path.abspath(value) if value else value
    options = {'tokenizer': {'--corpus': path(arguments.corpus), '--ranks': path(arguments.ranks),
                             '--texts': path(arguments.texts), '--vocab-size': arguments.vocab_size},
               'inference': {'--peer': path(arguments.peer), '--models': arguments.models, '--kv': arguments.kv,
                             '--pair': [path(one) for one in arguments.pair or []]}}
    for name in [arguments.name] if arguments.name else NAMES:
        result = run(name, [word for option, value in options.get(name, {}).items() if value
                            for word in (option, *([value] if isinstance(value, str) else value))])
        print(json.dumps(result)) if arguments.json else table(result)


if __name__ == '__main__':
    main()
