#!/usr/bin/env python3
"""Makes golden_pieces_o200k.inc: where Python's `regex` module cuts with o200k's pattern.

    pip install regex; tests/tokenizer/make_o200k_pieces.py > tests/tokenizer/golden_pieces_o200k.inc
"""
import random

import regex

CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERN = regex.compile(
    r'[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+' + CONTRACTION +
    r'|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*' + CONTRACTION +
    r'|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+')
TEXTS = [
    'Hello world', 'HELLO World', 'HTTPServer parseXML aB Ab ABc', "don't DON'T I'LL we'Ve it's'S O'Brien'd",
    "it'\u017f IT'\u017f x'x", '日本語テキスト ABC日本 日本abc', 'ǅungla ǅ ABǅ ʰello Aʰ ʰA AʰB', 'e\u0301e\u0301 \u0301a \u0301 A\u0301B',
    ' \u0301x !\u0301', 'שָׁלוֹם مَرْحَبًا', 'path/to/file //\n/\n x/y/\r\n', '...\n\n/ ?!/ /', '1234567 3.14 ٣٤٥٦',
    '  two  spaces   three ', 'tab\tand\nline\r\nend\n\n\n  x', '👩‍👩‍👧‍👦 🇩🇪👍🏽 1️⃣', 'नमस्ते दुनिया', 'สวัสดีชาวโลก', 'Straße ß ẞ İstanbul',
    '\u00a0x \u3000日', '\u200d\u200dA', "'s 'S '", '_snake_case CamelCase', '', ' ', '\n', "A'", "a'B", '\ufeffABC', 'ªº Ⅷ²³',
]
ALPHABET = list("aB'sS1 /\n\r\t.é\u0301\u01c5ʰ日אÉßẞ٣😀\u00a0_ſ")


def main():
    random.seed(1)
    texts = [text for text in TEXTS if text]
    texts += [''.join(random.choice(ALPHABET) for _ in range(random.randint(1, 14))) for _ in range(400)]
    print("// Byte lengths of the pieces that Python's `regex` module finds; see make_o200k_pieces.py.")
    print('// clang-format off')
    for text in texts:
        pieces = [match.group() for match in PATTERN.finditer(text)]
        assert ''.join(pieces) == text
        escaped = ''.join(f'\\{byte:03o}' if byte < 0x20 or byte > 0x7e or chr(byte) in '"\\?' else chr(byte)
                          for byte in text.encode())
        print(f'{{"{escaped}"sv, {{{",".join(str(len(piece.encode())) for piece in pieces)}}}}},')
    print('// clang-format on')


if __name__ == '__main__':
    main()
