#!/usr/bin/env python3
"""Makes golden_added_tokens.json: the ids that Hugging Face's tokenizers gives texts with added tokens.

    pip install tokenizers; tests/tokenizer/make_added_tokens.py > tests/tokenizer/golden_added_tokens.json

Each file is a tokenizer.json as `tokenizers` itself writes it, of bytes alone (the id of a byte is the byte),
with added tokens of all flags from id 256 on. `ends` says where the added tokens of a text end, in bytes, as far
as NFC leaves the text alone; texts of which `tokenizers` panics are left out.
"""
import json
import random
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

TEXTS_A_FILE = 160


def byte_alphabet():
    plain = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{chr(byte): byte for byte in plain}, **{chr(256 + i): byte for i, byte in enumerate(others)}}


def token(content, flags=''):
    names = {'w': 'single_word', 'l': 'lstrip', 'r': 'rstrip', 'n': 'normalized', 's': 'special'}
    return AddedToken(content, **{name: short in flags for short, name in names.items()})


TOKENS = {
    # One flag a token, all of them, and none.
    'flags': [token('<w>', 'w'), token('<l>', 'ls'), token('<r>', 'r'), token('<n>', 'n'), token('<wlr>', 'wlrs'),
              token('<wlrn>', 'wlrn'), token('<wn>', 'wns'), token('<>', 's')],
    # Tokens inside each other and across each other, found first or later; words; white space.
    'overlaps': [token('<a'), token('<a>', 'w'), token('a><', 'n'), token('><a>b', 'w'), token('b<a', 'nw'),
                 token('cat', 'w'), token('cats', 'w'), token('at', 'n'), token('  ', 'r'), token(' b', 'l'),
                 token('\t', 'n'), token('\n<', 'lr')],
    # Contents that NFC changes, two that it makes one, and such as it makes of others.
    'normal forms': [token('e\u0301', 'n'), token('e\u0301e', 'n'), token('\u00e9e', 'ns'), token('\u212b', 'nw'),
                     token('A\u030a'), token('xy', 'nw'), token('\u1112\u1161', 'n'), token('q\u0307\u0323', 'nl'),
                     token('\u0323', 'n'), token('oo', 'wlr')],
    # Tokens of white space that the one before takes along: then nothing is left of them, or less.
    'white space': [token('ab', 'wlrn'), token('ax', 'rn'), token('ex', 'r'), token('\t', 'nl'), token('\n', 'n'),
                    token(' \t', 'l'), token('\u3000', 'lr'), token(' ', 'nlw')],
}
OTHERS = ['a', 'b', 'x', 'e', 'o', 'A', 'q', ' ', '  ', '\n', '\t', '\u3000', '\u2000', '.', '-', '_', '7', '\u0663', '<', '>', '|',
          '\u0301', '\u0323', '\u0307', '\u030a', '\u11ab', '\u1161', '\u1112', '\uc548', '\u00e9', '\u00c5', '\u24d0',
          '\u200d', '\u203f', '\u00b2', '\u00aa', '\u2160', '\u0e33', '字', '😀', '\u093c', '\u00ad', '\u0345']


def spans_in_bytes(text, encoding):
    ends = [len(text[:end].encode()) for _, end in encoding.offsets]
    return [end for end, token_id in zip(ends, encoding.ids) if token_id >= 256]


def cases(tokenizer, contents, chance):
    found = []
    while len(found) < TEXTS_A_FILE:
        text = ''.join(chance.choice(contents if chance.random() < 0.45 else OTHERS)
                       for _ in range(chance.randint(1, 9)))
        try:
            encoding = tokenizer.encode(text, add_special_tokens=False)
        except BaseException as error:  # a panic of the Rust side
            assert 'bad split' in str(error), error
            continue
        case = {'text': text, 'ids': encoding.ids}
        if unicodedata.normalize('NFC', text) == text:
            case['ends'] = spans_in_bytes(text, encoding)
        found.append(case)
    return found


def main():
    chance = random.Random(1)
    files = []
    for name, added in TOKENS.items():
        for nfc in (False, True):
            tokenizer = Tokenizer(models.BPE(vocab=byte_alphabet(), merges=[]))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
            tokenizer.decoder = decoders.ByteLevel()
            if nfc:
                tokenizer.normalizer = normalizers.NFC()
            tokenizer.add_tokens(added)
            assert all(tokenizer.token_to_id(one.content) >= 256 for one in added)
            tokenizer = Tokenizer.from_str(tokenizer.to_str())
            files.append({'name': name + (', NFC' if nfc else ''), 'file': json.loads(tokenizer.to_str()),
                          'cases': cases(tokenizer, [one.content for one in added], chance)})
    made_with = f'tokenizers {tokenizers.__version__}'
    lines = ',\n'.join(
        json.dumps({'name': one['name'], 'file': one['file']})[:-1] + ', "cases": [\n' +
        ',\n'.join(json.dumps(case, separators=(',', ':')) for case in one['cases']) + ']}' for one in files)
    sys.stdout.write(f'{{"made_with": "{made_with}", "files": [\n{lines}]}}\n')


if __name__ == '__main__':
    main()
