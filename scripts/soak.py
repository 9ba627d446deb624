#!/usr/bin/env python3
"""A fleet of its own under mixed load, and whether it gives back what it takes.

    ./dev soak                  20 minutes
    ./dev soak --minutes 2      a quick look
    ./dev soak --json           the samples and the verdict as one object

Starts a fleet in a folder of its own, trains a tiny model, and lets clients at the gateway for the
time given: answers plain and streamed, clients that hang up in mid-stream, clients that read slowly,
prompts at the context and over it, forms of every kind for answers, tools, several answers to a
prompt, several prompts, vectors, and requests that are wrong. Every ten seconds it looks at the
memory of gateway and worker, at the share of the worker's KV cache that is in use, and at the
gateway's connections.

It fails when a service was restarted, when a request got no HTTP answer that belongs to it, when
memory still grows in the second half of the time, or when anything is still held after the last
client has gone.
"""
import argparse
import collections
import http.client
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
FLOE = os.path.join(ROOT, 'build', 'release', 'bin', 'floe')
CONTEXT = 128
# What may be added between the second quarter of the time and the last: caches and allocators settle.
ALLOWED_GROWTH = 0.05
SCHEMA = {'type': 'object', 'properties': {'a': {'enum': ['yes', 'no']}}, 'required': ['a'],
          'additionalProperties': False}
GRAMMAR = 'root ::= term ("+" term)*\nterm ::= [0-9]{1,3} | "(" root ")"\n'
CHAT_TEMPLATE = (
    '{% if tools %}{% for tool in tools %}{{ tool.function.name }} <tool_call>{% endfor %}{% endif %}'
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
KV_IN_USE = 'vllm:kv_cache_usage_perc'
HELD = {'inference': ('vllm:num_requests_running', 'vllm:num_requests_waiting', KV_IN_USE),
        'gateway': ('floe_gateway_num_requests_running', 'floe_gateway_http_connections')}
WATCHED = ('gateway', 'inference')
JOB = f"""model: soak
dataset: text
tokenizer: words
blueprint: {{family: qwen3, hidden_size: 64, num_layers: 2, num_heads: 4, num_kv_heads: 2, head_dim: 16,
            ffn_hidden: 128, context: {CONTEXT}, tie_embeddings: true}}
train: {{steps: 30, batch_size: 8, sequence_length: 32, learning_rate: 0.003, warmup_steps: 5, seed: 1}}
"""


class Fleet:
    """`floe up` in a folder that is gone afterwards."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith('FLOE_')}
        self.environment['FLOE_DIR'] = os.path.join(folder, 'fleet')

    def floe(self, *arguments):
        done = subprocess.run([FLOE, *arguments], cwd=self.folder, env=self.environment, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f'error: floe {" ".join(arguments)} ended with {done.returncode}:\n{done.stderr}')
        return done.stdout

    def start(self):
        words = 'the night is long and the king sleeps while the sea takes the land'.split()
        rng = random.Random(1)
        with open(os.path.join(self.folder, 'text.txt'), 'w', encoding='utf-8') as file:
            for _ in range(2000):
                file.write(' '.join(rng.choice(words) for _ in range(12)) + '.\n\n')
        with open(os.path.join(self.folder, 'job.yaml'), 'w', encoding='utf-8') as file:
            file.write(JOB)
        self.floe('up', '--programs', self.programs())
        self.floe('data', 'import', 'text.txt')
        self.floe('tokenizer', 'train', '--name', 'words', '--dataset', 'text', '--vocab-size', '300', '--watch')
        self.floe('train', 'job.yaml', '--watch')
        self.teach_tools()
        self.floe('models', 'promote', 'soak@2')
        with open(os.path.join(self.environment['FLOE_DIR'], 'fleet.json'), encoding='utf-8') as file:
            self.addresses = json.load(file)
        with open(os.path.join(self.environment['FLOE_DIR'], 'admin.key'), encoding='utf-8') as file:
            self.key = file.read().strip()

    def teach_tools(self):
        """Version 2: the same weights with a chat template that has a form for calls of tools."""
        self.floe('models', 'export', 'soak@1', 'exported')
        path = os.path.join(self.folder, 'exported', 'tokenizer_config.json')
        with open(path, encoding='utf-8') as file:
            config = json.load(file)
        config['chat_template'] = CHAT_TEMPLATE
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(config, file)
        os.remove(os.path.join(self.folder, 'exported', 'floe.json'))  # it is another checkpoint now
        self.floe('models', 'import', 'exported', '--model', 'soak')

    def programs(self):
        """The services' programs, the worker's with a small KV cache: its memory is taken block by block until all were
        used once, which is no growth, and so is over within the first minutes."""
        folder = os.path.join(self.folder, 'programs')
        os.mkdir(folder)
        built = os.path.dirname(FLOE)
        for name in os.listdir(built):
            os.symlink(os.path.join(built, name), os.path.join(folder, name))
        worker = os.path.join(folder, 'floe-inference')
        os.remove(worker)
        with open(worker, 'w', encoding='utf-8') as file:
            file.write(f'#!/bin/sh\nexec {shlex.quote(os.path.join(built, "floe-inference"))} --kv-mib 4 "$@"\n')
        os.chmod(worker, 0o755)
        return folder

    def stop(self):
        subprocess.run([FLOE, 'down'], cwd=self.folder, env=self.environment, capture_output=True, check=False)

    def services(self):
        return {service['name']: service for service in json.loads(self.floe('status', '--json'))['services']}

    def metrics(self, service):
        side = self.addresses['services'][service]['side']
        with urllib.request.urlopen(f'http://127.0.0.1:{side}/metrics', timeout=10) as answer:
            values = collections.Counter()
            for line in answer.read().decode().splitlines():
                if line and not line.startswith('#'):
                    name, value = line.rsplit(' ', 1)
                    values[name.split('{')[0]] += float(value)
            return values


def resident_mib(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        for line in file:
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) / 1024
    return 0.0


class Clients:
    """Threads that ask, each in its own way, until they are told to stop."""

    def __init__(self, fleet, count, seed):
        self.host, self.port = fleet.addresses['http'].removeprefix('http://').rsplit(':', 1)
        self.key = fleet.key
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.wrong = []
        self.threads = [threading.Thread(target=self.work, args=(random.Random(seed + i),)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def work(self, rng):
        kinds = [self.plain] * 4 + [self.stream] * 4 + [self.hang_up] * 4 + [self.slow] + [self.long] * 2 + \
                [self.form] * 3 + [self.tools] * 2 + [self.several] * 2 + [self.prompts] * 2 + [self.vectors] * 2 + \
                [self.nonsense] * 2
        while not self.stopping.is_set():
            kind = rng.choice(kinds)
            try:
                outcome = kind(rng)
            except (OSError, http.client.HTTPException) as error:
                outcome = f'broke: {type(error).__name__}'
            with self.lock:
                self.counts[f'{kind.__name__}: {outcome}'] += 1
                if outcome.startswith(('broke', 'wrong')):
                    self.wrong.append(f'{kind.__name__}: {outcome}')

    def ask(self, path, body):
        connection = http.client.HTTPConnection(self.host, int(self.port), timeout=60)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request('POST', path, data, {'Authorization': f'Bearer {self.key}',
                                                'Content-Type': 'application/json'})
        return connection, connection.getresponse()

    def whole(self, path, body, wanted):
        connection, answer = self.ask(path, body)
        answer.read()
        connection.close()
        # 429: full, which is an answer too.
        return str(answer.status) if answer.status in (*wanted, 429) else f'wrong: {answer.status}'

    @staticmethod
    def request(rng, **more):
        return {'model': 'soak', 'prompt': 'the king ' * rng.randint(1, 8), 'max_tokens': rng.randint(1, 40),
                'temperature': rng.choice([0, 0.7, 1.3]), 'seed': rng.randint(0, 99),
                'service_tier': rng.choice(['flex', 'default', 'priority']),
                'floe': {'cache': rng.choice(['on', 'off'])}, **more}

    def plain(self, rng):
        return self.whole('/v1/completions', self.request(rng), (200,))

    def stream(self, rng):
        connection, answer = self.ask('/v1/completions', self.request(rng, stream=True))
        body = answer.read()
        connection.close()
        if answer.status != 200:
            return '429' if answer.status == 429 else f'wrong: {answer.status}'
        return 'whole' if body.endswith(b'data: [DONE]\n\n') else 'wrong: no end'

    def hang_up(self, rng):
        connection, answer = self.ask('/v1/completions', self.request(rng, stream=True, max_tokens=100))
        answer.read(rng.randint(1, 400))
        connection.sock.close() if connection.sock else answer.close()
        return 'gone'

    def slow(self, rng):
        connection, answer = self.ask('/v1/completions', self.request(rng, stream=True))
        while answer.read(64):
            if self.stopping.wait(0.05):
                break
        connection.close()
        return 'read'

    def long(self, rng):
        over = rng.choice([0, 1, 100_000])
        ids = [rng.randrange(256) for _ in range(CONTEXT - 1 + over)]
        return self.whole('/v1/completions', {'model': 'soak', 'prompt': ids, 'max_tokens': 1},
                          (400, 413) if over else (200,))

    def form(self, rng):
        form = rng.choice([{'response_format': {'type': 'json_object'}},
                           {'response_format': {'type': 'json_schema', 'json_schema': {'name': 'x', 'schema': SCHEMA}}},
                           {'structured_outputs': {'regex': rng.choice(['[a-z]+( [a-z]+){2,5}', 'yes|no|[0-9]{1,9}'])}},
                           {'structured_outputs': {'grammar': GRAMMAR}}])
        return self.whole('/v1/chat/completions',
                          {'model': 'soak', 'messages': [{'role': 'user', 'content': 'Say.'}], 'max_tokens': 30,
                           'stream': rng.choice([True, False]), **form}, (200,))

    def tools(self, rng):
        called = {'type': 'function', 'function': {'name': 'look', 'parameters': SCHEMA}}
        return self.whole('/v1/chat/completions',
                          {'model': 'soak', 'messages': [{'role': 'user', 'content': 'Look.'}], 'max_tokens': 30,
                           'tools': [called], 'tool_choice': rng.choice(['auto', 'none', 'required']),
                           'stream': rng.choice([True, False])}, (200,))

    def several(self, rng):
        more = rng.choice([{'n': 3}, {'best_of': 3}, {'logprobs': 5}, {'n': 2, 'stream': True},
                           {'logit_bias': {'97': -100}, 'presence_penalty': 1}])
        return self.whole('/v1/completions', self.request(rng, **more), (200,))

    def prompts(self, rng):
        texts = ['the king ' * rng.randint(1, 8) for _ in range(rng.randint(2, 12))]
        more = rng.choice([{}, {'n': 2}, {'stream': True}, {'echo': True, 'logprobs': 2},
                           {'echo': True, 'logprobs': 1, 'max_tokens': 0}])
        return self.whole('/v1/completions', self.request(rng, prompt=texts, **more), (200,))

    def vectors(self, rng):
        texts = ['the king ' * rng.randint(1, 8) for _ in range(rng.randint(1, 20))]
        return self.whole('/v1/embeddings',
                          {'model': 'soak', 'input': texts, 'encoding_format': rng.choice(['float', 'base64']),
                           'floe': {'pooling': rng.choice(['mean', 'last'])}}, (200,))

    def nonsense(self, rng):
        return self.whole('/v1/completions', rng.choice([
            b'{', b'[]', b'\xff\xfe', b'{"model": "soak"}', b'{"model": "soak", "prompt": "x", "max_tokens": -1}',
            json.dumps({'model': 'soak', 'prompt': 'x', 'stop': [str(i) for i in range(1000)]}).encode()]),
            (400,))


def gauge(fleet, service, name):
    """Its value; nothing when the service does not tell."""
    try:
        return fleet.metrics(service).get(name)
    except OSError:
        return None


def settled(fleet, seconds=30):
    """What worker and gateway still hold in the end: nothing, as it should be. A gauge that is not there says nothing
    of the kind, and so counts as held."""
    end = time.monotonic() + seconds
    while True:
        held = {}
        for service, names in HELD.items():
            try:
                values = fleet.metrics(service)
            except OSError:
                values = {}
            held.update({name: values.get(name, 'not told') for name in names if values.get(name) != 0})
        if not held:
            return {}
        if time.monotonic() > end:
            return held
        time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser(prog='./dev soak', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=20)
    parser.add_argument('--clients', type=int, default=12)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--json', action='store_true')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='floe-soak-') as folder:
        fleet = Fleet(folder)
        try:
            print('starting a fleet and training a tiny model', file=sys.stderr)
            fleet.start()
            sys.exit(soak(fleet, arguments))
        finally:
            fleet.stop()


def watch(fleet, services, clients, seconds, samples):
    """Adds a sample every ten seconds for so many of them."""
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < seconds:
        time.sleep(min(10, max(0.1, seconds - now)))
        sample = {'seconds': round(time.monotonic() - begin)}
        sample.update({name: round(resident_mib(services[name]['pid']), 1) for name in WATCHED})
        sample['kv'] = gauge(fleet, 'inference', KV_IN_USE)
        sample['connections'] = gauge(fleet, 'gateway', 'floe_gateway_http_connections')
        sample['requests'] = sum(clients.counts.values())
        samples.append(sample)
        print('  '.join(f'{key} {value}' for key, value in sample.items()), file=sys.stderr, flush=True)


def soak(fleet, arguments):
    services = fleet.services()
    samples = []
    clients = Clients(fleet, arguments.clients, arguments.seed)
    try:
        watch(fleet, services, clients, arguments.minutes * 60, samples)
    finally:
        clients.stop()
    faults = [f'{count} times {what}' for what, count in collections.Counter(clients.wrong).items()]
    held = settled(fleet)
    if held:
        faults.append(f'still held: {held}')
    for name, service in fleet.services().items():
        if service.get('restarts', 0) > services[name].get('restarts', 0):
            faults.append(f'{name} was restarted: {service.get("last_exit")}')
    growth = {}
    quarter = max(1, len(samples) // 4)
    for name in WATCHED:
        # The second quarter against the last: what caches and allocators take at first is not a leak. Medians: nor is
        # what a burst takes for a moment.
        before = statistics.median(sample[name] for sample in samples[quarter:2 * quarter] or samples[:1])
        after = statistics.median(sample[name] for sample in samples[-quarter:])
        growth[name] = round(after / before - 1, 3)
        if growth[name] > ALLOWED_GROWTH:
            faults.append(f'{name} grew from {before} to {after} MiB')
    if arguments.json:
        print(json.dumps({'samples': samples, 'outcomes': clients.counts, 'growth': growth, 'faults': faults}))
    else:
        for what, count in sorted(clients.counts.items()):
            print(f'{count:8}  {what}')
        for name in WATCHED:
            print(f'{name}: {samples[-1][name]} MiB, {growth[name]:+.1%} between the second quarter and the last')
        print('\n'.join(f'FAULT: {fault}' for fault in faults) or 'memory is flat, and nothing is held')
    return 1 if faults else 0


if __name__ == '__main__':
    main()
