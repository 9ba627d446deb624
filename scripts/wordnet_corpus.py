#!/usr/bin/env python3
"""Writes WordNet's glosses and example sentences as plain English text.

    scripts/wordnet_corpus.py OUT [--source /usr/share/wordnet] [--max-bytes N]

A document is one synset: a sentence that says what its words mean, then its examples; blank lines
separate documents. The order mixes the parts of speech but is always the same, so the file is the
same bytes on every machine: its digest names it. Source: Debian's package wordnet-base (WordNet 3.0,
Copyright 2006 by Princeton University).
"""
import argparse
import hashlib
import os
import re
import sys

KINDS = ('noun', 'verb', 'adj', 'adv')
VOWELS = 'aeiou'
ADJECTIVE_MARKER = re.compile(r'\((a|p|ip)\)$')
EXAMPLE = re.compile(r'"([^"]+)"')


def words_of(fields):
    """The synset's words: a hexadecimal count at index 3, then (word, lex_id) pairs."""
    count = int(fields[3], 16)
    words = fields[4:4 + 2 * count:2]
    return [ADJECTIVE_MARKER.sub('', word).replace('_', ' ') for word in words]


def sentence(text):
    text = re.sub(r'\s+', ' ', text).strip(' ;,')
    if not text:
        return ''
    text = text[0].upper() + text[1:]
    return text if text[-1] in '.?!' else text + '.'


def article(word):
    return 'An' if word[:1].lower() in VOWELS else 'A'


def definition(kind, words, meaning):
    """`dog`, `a member of the genus Canis` -> `A dog is a member of the genus Canis.`"""
    word = words[0]
    if kind == 'verb':
        head = f'To {word} is to'
    elif kind == 'noun':
        plain = re.match(r'(a|an|the|any|one|someone|something|that|those)\b', meaning)
        name = word if word[:1].isupper() or not plain else f'{article(word)} {word}'
        head = f'{name[0].upper()}{name[1:]} is'
    else:
        head = f'{word[0].upper()}{word[1:]} means'
    return sentence(f'{head} {meaning}')


def entry(kind, line):
    """A line of data.<kind>: its words, what they mean, and examples."""
    data, _, gloss = line.partition(' | ')
    words = words_of(data.split(' '))
    examples = EXAMPLE.findall(gloss)
    meaning = re.sub(r'\s+', ' ', EXAMPLE.sub('', gloss))
    meaning = re.sub(r'(\s*[;,:]\s*)+$', '', meaning.strip())
    meaning = re.sub(r'\s*;(\s*;)+\s*', '; ', meaning)
    meaning = re.sub(r'\s+([;,.])', r'\1', meaning).strip(' ;,')
    meaning = re.sub(r'^\([^()]*\)\s*', '', meaning)  # a field or a grammatical remark
    return words, meaning, examples


def document(kind, line):
    words, meaning, examples = entry(kind, line)
    sentences = [definition(kind, words, meaning)] if meaning else []
    sentences += [sentence(example) for example in examples]
    return ' '.join(part for part in sentences if part)


def lines_of(source, kind):
    """The entries of data.<kind>, without the licence at its top, which is indented."""
    path = os.path.join(source, f'data.{kind}')
    try:
        with open(path, encoding='utf-8', errors='strict') as file:
            lines = file.read().split('\n')
    except OSError as error:
        sys.exit(f'error: {path}: {error.strerror}; install the Debian package wordnet-base')
    return [line for line in lines if line and not line.startswith('  ')]


def documents(source):
    for kind in KINDS:
        for line in lines_of(source, kind):
            text = document(kind, line)
            if text:
                yield text


def main():
    parser = argparse.ArgumentParser(description='WordNet as plain English text.')
    parser.add_argument('out', help='the file to write')
    parser.add_argument('--source', default='/usr/share/wordnet', help='folder of data.noun, …')
    parser.add_argument('--max-bytes', type=int, default=0, help='stop after about this much')
    arguments = parser.parse_args()
    # A fixed shuffle: alphabetical neighbours would make the held-out part unlike the rest.
    texts = sorted(set(documents(arguments.source)),
                   key=lambda text: hashlib.sha256(text.encode()).digest())
    size = 0
    temporary = arguments.out + '.unfinished'
    with open(temporary, 'w', encoding='utf-8', newline='\n') as file:
        for text in texts:
            file.write(text + '\n\n')
            size += len(text.encode()) + 2
            if arguments.max_bytes and size >= arguments.max_bytes:
                break
    os.replace(temporary, arguments.out)


if __name__ == '__main__':
    main()
