#!/usr/bin/env python3
"""Holds the layers and the marked rules of style; prints each breach with what to do instead.

    scripts/check_tree.py            check the files that git tracks
    scripts/check_tree.py --self-test  show that every rule catches what it is for

There is no list of exemptions.
"""
import os
import re
import subprocess
import sys

DOMAINS = {'base', 'model', 'tokenizer', 'jobs', 'trainer', 'inference', 'registry', 'retrieval',
           'gateway', 'billing'}
OUTER = {'services', 'cli', 'tests', 'bench'}
# What a domain may include from other domains (base is free to all).
MAY_USE = {
    'trainer': {'model', 'tokenizer'}, 'inference': {'model', 'tokenizer'},
    'registry': {'model', 'tokenizer'}, 'retrieval': {'model', 'tokenizer'},
}
# Third party -> (pattern of the include, test of the path, where it belongs).
ROOMS = [
    ('gRPC or protobuf', r'(grpcpp|grpc|google/protobuf)/|\.pb\.h$',
     lambda p: p.split('/')[0] in OUTER, 'services/, cli/, tests/ or bench/; a domain declares a port'),
    ('pqxx', r'pqxx/|^pqxx$',
     lambda p: '/postgres/' in p or p.startswith(('services/runtime/', 'tests/')),
     'a postgres/ folder or services/runtime/'),
    ('hiredis', r'hiredis',
     lambda p: '/redis/' in p or p.startswith(('services/runtime/', 'tests/')),
     'a redis/ folder or services/runtime/'),
    ('torch', r'^(torch|ATen|c10)/',
     lambda p: p.startswith(('trainer/', 'inference/engine/torch/', 'tests/trainer/', 'bench/trainer/')),
     'trainer/ or inference/engine/torch/'),
    ('hnswlib', r'hnswlib', lambda p: p.startswith(('retrieval/hnsw/', 'tests/')), 'retrieval/hnsw/'),
    ('Beast', r'boost/beast', lambda p: p.startswith(('services/', 'tests/', 'bench/')), 'services/'),
    ('Boost', r'boost/', lambda p: p.startswith(('services/', 'tests/', 'bench/', 'gateway/')),
     'services/ (Asio also in gateway/)'),
]
BANNED_NAMES = re.compile(r'(^|[/_])(manager|helpers?|utils?|misc|handler2)([_.]|$)')
UNFINISHED = re.compile(r'\b(' + 'TODO|FIXME|XXX|HACK' + r')\b')
# An example in a header's comment is indented by more than one space; code put out of use is not.
DEAD_CODE = re.compile(r'^\s*// ?(if \(.*\) \{|for \(.*\) \{|return .*;|[\w:<>]+ \w+ = .*;|[\w.>-]+\(.*\);)\s*$')
MUTABLE_GLOBAL = re.compile(r'^(static\s+)?(std::(mutex|atomic\S*|map|vector|unordered_map|string)\S*|int|bool|int64_t|double|size_t)\s+g_?\w*\s*(=|;|\{)')
SLEEP = re.compile(r'sleep_for|sleep_until|\busleep\(|\bSleepFor\(')
FIXED_PORT = re.compile(r'(127\.0\.0\.1|localhost):([1-9]\d{2,4})\b')
SQL_CONCAT = re.compile(r'"\s*(SELECT|INSERT|UPDATE|DELETE)\b[^"]*"\s*\+|StrCat\(\s*"\s*(SELECT|INSERT|UPDATE|DELETE)\b')
LIMIT_LINES = 600


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1)


def check_layers(path, text):
    top = path.split('/')[0]
    for number, target in includes(text):
        for name, pattern, allowed, room in ROOMS:
            if re.search(pattern, target) and not allowed(path):
                yield number, f'{name} is included here ({target}); its place is {room}'
                break
        other = target.split('/')[0]
        if '/internal/' in target and os.path.dirname(target).split('/internal')[0] not in path:
            yield number, f'{target} is internal to another folder; use its public header'
        if top in DOMAINS and '/' in target:
            if other in OUTER - {'tests'} or other == 'proto':
                yield number, f'a domain folder includes {target}; declare a port and let services/ implement it'
            elif other in DOMAINS - {top, 'base'} and other not in MAY_USE.get(top, set()):
                yield number, (f'{top}/ includes {target}; it may use '
                               f'{", ".join(sorted(MAY_USE.get(top, set()) | {"base"}))} only: declare a port instead')
        if target.startswith('..'):
            yield number, 'includes are written from the repository root'


def check_style(path, text):
    lines = text.splitlines()
    if len(lines) > LIMIT_LINES:
        yield 1, f'{len(lines)} lines; a file over {LIMIT_LINES} has more than one purpose: split it'
    if path.endswith('.h') and '#pragma once' not in text:
        yield 1, 'a header starts with #pragma once'
    if BANNED_NAMES.search(path):
        yield 1, 'the file name says nothing about its purpose; use the field\'s term'
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield number, 'unfinished work is said in an issue, not in a comment'
        if DEAD_CODE.match(line):
            yield number, 'commented-out code: delete it, git remembers'
        if not path.startswith(('tests/', 'bench/')) and MUTABLE_GLOBAL.match(line):
            yield number, 'a mutable global: give it an owner and pass it in'
        if SQL_CONCAT.search(line):
            yield number, 'SQL by concatenation: a constant with parameters instead'
        if path.startswith('tests/'):
            if SLEEP.search(line):
                yield number, 'tests do not sleep: wait for the condition'
            if FIXED_PORT.search(line):
                yield number, 'tests use port 0 and ask which they got'


def check_tests_registered(files, read):
    for path in files:
        if path.startswith('tests/') and path.endswith('_test.cc'):
            folder = os.path.dirname(path)
            cmake = read(f'{folder}/CMakeLists.txt')
            if cmake is None or os.path.basename(path) not in cmake:
                yield path, 1, f'is not named in {folder}/CMakeLists.txt: it would never run'


def check_file(path, text):
    yield from check_layers(path, text)
    yield from check_style(path, text)


def check(files, read):
    for path in files:
        if path.endswith(('.cc', '.h')):
            for number, message in check_file(path, read(path) or ''):
                yield path, number, message
    yield from check_tests_registered(files, read)


def self_test():
    cases = {
        'registry/a.cc': '#include <grpcpp/grpcpp.h>\n', 'registry/b.cc': '#include "inference/engine/engine.h"\n',
        'jobs/c.cc': '#include "model/blueprint.h"\n', 'gateway/d.cc': '#include <pqxx/pqxx>\n',
        'inference/e.cc': '#include <torch/torch.h>\n', 'gateway/f.cc': '#include <boost/beast.hpp>\n',
        'model/g.h': 'int x();\n', 'model/h_utils.cc': '', 'model/i.cc': '\n' * 700,
        'model/j.cc': '  // return 1;\n', 'model/k.cc': 'int g_count = 0;\n',
        'registry/postgres/l.cc': 'auto q = "SELECT 1 WHERE a=" + x;\n',
        'tests/model/m_test.cc': 'std::this_thread::sleep_for(1s);\n',
        'tests/model/n_test.cc': 'Connect("127.0.0.1:8080");\n',
        'model/o.cc': '// TO' + 'DO later\n', 'registry/p.cc': '#include "services/runtime/call.h"\n',
        'model/q.cc': '#include "tokenizer/internal/heap.h"\n',
    }
    silent = [p for p in cases if not any(q == p for q, _, _ in check([p], lambda f: cases.get(f)))]
    clean = {'registry/postgres/ok.cc': '#include <pqxx/pqxx>\n#include "model/blueprint.h"\n// Why this is so.\n',
             'services/inference/ok.cc': '#include "inference/engine/torch/aten_engine.h"\n'}
    loud = list(check(list(clean), lambda f: clean.get(f)))
    if silent or loud:
        print('self-test: not caught:', silent, '; wrongly caught:', loud)
        return 1
    print(f'self-test: {len(cases)} breaches caught')
    return 0


def main():
    if '--self-test' in sys.argv:
        return self_test()
    files = subprocess.run(['git', 'ls-files'], capture_output=True, text=True, check=True).stdout.split('\n')

    def read(path):
        if not os.path.isfile(path):
            return None
        with open(path, encoding='utf-8') as file:
            return file.read()

    breaches = list(check([f for f in files if f], read))
    for path, number, message in breaches:
        print(f'{path}:{number}: {message}')
    return 1 if breaches else 0


if __name__ == '__main__':
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
    sys.exit(main())
