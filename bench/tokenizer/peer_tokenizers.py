"""The peer of floe-bench-tokenizer: Hugging Face's `tokenizers`, on the same documents.

    peer_tokenizers.py <corpus> <tokenizer.json> <vocab_size>

Trains with the qwen2 pattern, then encodes with the given file, so that both sides do the same work.
Prints {name, train, encode, tokens}: MB/s, and how many tokens the encoding has. Threads are set by
RAYON_NUM_THREADS. Exit code 3: the package is not there.
"""
import json
import sys
import time

try:
    import tokenizers
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
except ImportError:
    sys.exit(3)


def best(times, work):
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main():
    corpus, file, vocab_size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(corpus, encoding='utf-8', newline='') as handle:
        text = handle.read()
    documents = [part for part in text.split('\n\n') if part]
    megabytes = sum(len(part.encode()) for part in documents) / 1e6

    split = json.load(open(file, encoding='utf-8'))['pre_tokenizer']['pretokenizers'][0]
    fresh = Tokenizer(models.BPE())
    fresh.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(split['pattern']['Regex']), 'isolated'),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    train = best(1, lambda: fresh.train_from_iterator(documents, trainer))

    ready = Tokenizer.from_file(file)
    encode = getattr(ready, 'encode_batch_fast', ready.encode_batch)
    tokens = sum(len(e.ids) for e in encode(documents, add_special_tokens=False))
    seconds = best(3, lambda: encode(documents, add_special_tokens=False))
    print(json.dumps({'name': f'tokenizers {tokenizers.__version__}', 'train': megabytes / train,
                      'encode': megabytes / seconds, 'tokens': tokens}))


main()
