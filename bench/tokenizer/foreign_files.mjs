// tokenizer.json files as others write them, made of one of ours. For exactness.mjs.

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
};
