"""The peer of floe-bench-tokenizer: Hugging Face's `tokenizers`, on the same documents.

    peer_tokenizers.py encode TOKENIZER.json TEXT [whole]    {name, rate, tokens, digest}
    peer_tokenizers.py train CORPUS VOCAB_SIZE PATTERN   {name, seconds, peak_rss, digest}

TEXT and CORPUS hold documents with blank lines between them; `whole` is one. `rate` is in MB/s, the best of three; the
digests are SHA-256 of the ids (32 bits, little-endian, one document after another) and of the merges ("left
right" a line). Threads are set by RAYON_NUM_THREADS. Exit code 3: the package is not there.
"""
import array
import hashlib
import json
import resource
import sys
import time

try:
    import tokenizers
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
except ImportError:
    sys.exit(3)

NAME = f'tokenizers {tokenizers.__version__}'


def documents(path):
    """Cut at blank lines as ours; one at a time, so that nothing else of the file is held."""
    lines = []
    with open(path, encoding='utf-8', newline='\n') as handle:
        for line in handle:
            if line.strip(' \t\r\f\v\n'):
                lines.append(line)
            elif lines:
                yield ''.join(lines).removesuffix('\n').removesuffix('\r')
                lines = []
    if lines:
        yield ''.join(lines).removesuffix('\n').removesuffix('\r')


def encode(file, path, whole=''):
    if whole:
        with open(path, encoding='utf-8', newline='') as handle:
            texts = [handle.read()]
    else:
        texts = list(documents(path))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    ready = Tokenizer.from_file(file)
    work = getattr(ready, 'encode_batch_fast', ready.encode_batch)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        encoded = work(texts, add_special_tokens=False)
        seconds.append(time.perf_counter() - start)
        if seconds[0] > 20:
            break
    ids = array.array('i')
    for one in encoded:
        ids.extend(one.ids)
    return {'rate': megabytes / min(seconds), 'tokens': len(ids), 'digest': hashlib.sha256(ids.tobytes()).hexdigest()}


def train(corpus, vocab_size, pattern):
    fresh = Tokenizer(models.BPE())
    fresh.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), 'isolated'),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=int(vocab_size), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    start = time.perf_counter()
    fresh.train_from_iterator(documents(corpus), trainer)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    merges = json.loads(fresh.to_str())['model']['merges']
    lines = ''.join((one if isinstance(one, str) else ' '.join(one)) + '\n' for one in merges)
    return {'seconds': seconds, 'peak_rss': peak, 'digest': hashlib.sha256(lines.encode()).hexdigest()}


print(json.dumps({'name': NAME, **{'encode': encode, 'train': train}[sys.argv[1]](*sys.argv[2:])}))
