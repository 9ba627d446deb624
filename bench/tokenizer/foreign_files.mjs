// tokenizer.json files as others write them, made of one of ours. For exactness.mjs.

// Added tokens with each flag and with several, of what the generated strings are made of; some lie
// inside others. None may be a token already: it would be that one then.
const flagged = {
  'e\u0301': 'n', '\u00e9\u0301': 'n', '日本語': 'w', '本': 'n', '한국어': 'wn', 'שלום': 'wlr', 'مرحبا': 'wlrn', 'ไทย': 'lr',
  '👍🏽': 'r', '👍': 'n', ' \n ': 'n', '\n\n': 'w', '\t': 'nl', '٣': 'wn', '😀😀': 'lrn', '字字': 'w', '字字字': 'n',
  'wOrLd ': 'ws', ' HTTPServer': 'wns', "don't I": 'lrs', 'ﬁ': 'wn', '\u200d': 'wn', 'ǅ': 'ns',
};
const withFlags = (file) => {
  const names = {w: 'single_word', l: 'lstrip', r: 'rstrip', n: 'normalized', s: 'special'};
  Object.assign(file.added_tokens[0], {single_word: true});
  Object.assign(file.added_tokens[1], {normalized: true, special: false});
  for (const [content, flags] of Object.entries(flagged)) {
    if (content in file.model.vocab) throw new Error(`${content} is a token already`);
    const token = {id: file.added_tokens.at(-1).id + 1, content};
    for (const [short, name] of Object.entries(names)) token[name] = flags.includes(short);
    file.added_tokens.push(token);
  }
};

// Each takes a parsed file and changes it. `random(n)` gives a number below n.
export const foreignFiles = {
  // NFC, added tokens that take white space along, merges as pairs.
  'as Qwen2': (file) => {
    file.normalizer = {type: 'NFC'};
    file.post_processor = {type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false};
    const [end, start, last] = file.added_tokens;
    Object.assign(end, {lstrip: true, special: false});
    Object.assign(start, {rstrip: true});
    Object.assign(last, {lstrip: true, rstrip: true});
    file.model.merges = file.model.merges.map((merge) => merge.split(' '));
  },
  // Tokens that no merge makes, and pieces that are tokens whatever the merges say.
  'as Llama-3': (file, random, cl100k) => {
    file.model.ignore_merges = true;
    file.model.merges = file.model.merges.filter((_, i) => i % 3);
    file.pre_tokenizer = cl100k;
  },
  // Merges in front of those that make their parts, and pairs that stand twice.
  'merges out of order': (file, random) => {
    const merges = file.model.merges;
    for (let i = merges.length - 1; i > 0; --i) {
      const other = random(i + 1);
      [merges[i], merges[other]] = [merges[other], merges[i]];
    }
    for (let i = 0; i < 200; ++i) merges.push(merges[random(merges.length)]);
  },
  'all flags': withFlags,
  'all flags, NFC': (file) => {
    file.normalizer = {type: 'NFC'};
    withFlags(file);
  },
};
