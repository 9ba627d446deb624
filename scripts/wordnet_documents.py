#!/usr/bin/env python3
"""Writes WordNet's entries as documents to retrieve from, and questions that they answer.

    scripts/wordnet_documents.py FOLDER [--documents N] [--questions N] [--source /usr/share/wordnet]

    entries.jsonl     {"id", "title", "text"} a word: floe docs ingest words entries.jsonl --split
    questions.jsonl   {"question", "answer"}: floe docs evaluate words questions.jsonl --model …

The questions are about words that scripts/wordnet_alignment.py holds out: a model that was aligned has
not been asked for their glosses. Their entries are among the documents. The files are the same bytes
on every machine. Source: Debian's package wordnet-base.
"""
import argparse
import os

from wordnet_alignment import HELD_OUT_SHARE, glosses, number, question, write


def main():
    parser = argparse.ArgumentParser(description='WordNet as documents and questions.')
    parser.add_argument('folder', help='where to; made if missing')
    parser.add_argument('--documents', type=int, default=5000, help='at most this many')
    parser.add_argument('--questions', type=int, default=200, help='at most this many')
    parser.add_argument('--source', default='/usr/share/wordnet', help='folder of data.noun, …')
    arguments = parser.parse_args()
    os.makedirs(arguments.folder, exist_ok=True)
    entries = glosses(arguments.source)
    held_out = [one for one in entries if number('held out', one[0]) < HELD_OUT_SHARE]
    asked = held_out[:min(arguments.questions, arguments.documents)]
    words = {one[0] for one in asked}
    others = [one for one in entries if one[0] not in words]
    documents = asked + others[:arguments.documents - len(asked)]
    write(arguments.folder, 'entries.jsonl',
          [{'id': word, 'title': word, 'text': passage}
           for word, _, passage in sorted(documents)])
    write(arguments.folder, 'questions.jsonl',
          [{'question': question(word), 'answer': gloss} for word, gloss, _ in asked])


if __name__ == '__main__':
    main()
