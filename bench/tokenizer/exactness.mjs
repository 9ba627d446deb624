// Are our ids the originals' ids? Run by `./dev bench exactness`.
//
//   npm install tiktoken llama3-tokenizer-js tokenizers      in a folder of its own
//   node bench/tokenizer/exactness.mjs NODE_MODULES [--strings 100000] [TEXT...]
//
// Generated strings over all of Unicode and every paragraph of the TEXT files are encoded by ours and
// by the original: GPT-2, cl100k and o200k by `tiktoken`, Llama-3 by `llama3-tokenizer-js`, and what we
// export as tokenizer.json (of those ranks, and of a tokenizer trained here) by Hugging Face's native
// `tokenizers`. The code points that the others class differently (another version of Unicode; in
// JavaScript's \s also U+FEFF in and U+0085 out) are found first, one by one over all of Unicode, and
// listed. Ids that differ also when those code points are taken out are mistakes: it then ends with 1.
// Files as others write them (foreign_files.mjs) are read by both, and what we write of them by the other;
// NFC is compared with JavaScript's String.normalize and with `tokenizers` by code points and pairs
// (nfc_probes.mjs). Texts that end a peer are counted and shown.
import {execFileSync, spawnSync} from 'node:child_process';
import fs from 'node:fs';
import {createRequire} from 'node:module';
import os from 'node:os';
import path from 'node:path';
import {pathToFileURL} from 'node:url';
import {foreignFiles} from './foreign_files.mjs';
import {nfcDifferences} from './nfc_probes.mjs';

const args = process.argv.slice(2);
const modules = path.resolve(args.shift() ?? 'node_modules');
let wanted = 100000;
if (args[0] === '--strings') wanted = Number(args.splice(0, 2)[1]);
const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const root = path.resolve(here, '../..');
const program = path.join(root, 'build/release/bin/floe-bench-encode');
const require = createRequire(modules + '/');
const version = (name) => `${name} ${JSON.parse(fs.readFileSync(path.join(modules, name, 'package.json'))).version}`;
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'floe-exactness-'));

// xorshift32: the same strings every time.
let state = 2463534242;
const random = (below) => {
  state ^= state << 13; state >>>= 0;
  state ^= state >>> 17;
  state ^= state << 5; state >>>= 0;
  return state % below;
};
const pick = (list) => list[random(list.length)];
const point = (low, high) => {
  const code = low + random(high - low + 1);
  return code >= 0xd800 && code <= 0xdfff ? '\ufffd' : String.fromCodePoint(code);
};
const ranges = {
  ascii: [0x20, 0x7e], latin: [0xa0, 0x24f], greek: [0x370, 0x3ff], cyrillic: [0x400, 0x52f],
  hebrew: [0x590, 0x5ff], arabic: [0x600, 0x6ff], devanagari: [0x900, 0x97f], thai: [0xe00, 0xe7f],
  hangul: [0xac00, 0xd7a3], kana: [0x3040, 0x30ff], cjk: [0x4e00, 0x9fff], rare: [0x20000, 0x2a6df],
  marks: [0x300, 0x36f], spaces: [0x2000, 0x200f], symbols: [0x2190, 0x2bff], emoji: [0x1f300, 0x1faff],
  control: [0, 0x1f], private: [0xe000, 0xf8ff], digits: [0x660, 0x669], all: [0, 0x10ffff],
};
const words = ["don't", "I'LL", "WE'VE", "it'\u017f", "'s", 'Hello', 'wOrLd', 'HTTPServer', '\r\n', '\n\n', ' \n ', '   ',
  '\t', '12345678', '3.14', '//', '/\n/', '...\n', '<|endoftext|>', '<|im_start|>', 'e\u0301', '\u1e9e', 'ǅ', 'ʰ', '٣٤',
  '👩‍👩‍👧‍👦', '🇩🇪', '👍🏽', '1️⃣', '\u200d', '\ufeff', '\u00a0', '\u3000', 'שלום', 'مرحبا', '日本語', '한국어', 'ไทย', 'ß', 'İ', 'ﬁ'];
const generated = () => {
  let text = '';
  const parts = 1 + random(12);
  for (let i = 0; i < parts; ++i) {
    const kind = random(10);
    if (kind < 4) text += pick(words);
    else if (kind < 5) text += ' ';
    else if (kind < 6) text += pick([...'aA1 .\n', 'é', '字', '😀']).repeat(1 + random(random(40) ? 20 : 800));
    else {
      const [low, high] = ranges[pick(Object.keys(ranges))];
      for (let n = 1 + random(6); n > 0; --n) text += point(low, high);
    }
  }
  return text;
};
const strings = Array.from({length: wanted}, generated);
const paragraphs = args.flatMap((file) => fs.readFileSync(file, 'utf8').split(/\n{2,}/)).filter((text) => text);

const base64 = (text) => Buffer.from(text).toString('base64');
const ours = (texts, ...how) => {
  const lines = texts.map(base64).join('\n') + '\n';
  const run = spawnSync(program, how, {input: lines, maxBuffer: 1 << 30, encoding: 'utf8'});
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stdout.split('\n').slice(0, texts.length);
};

// Of which code points has the other another idea? A vocabulary that joins an `a`, `1`, `.` or tab with
// whatever byte begins the character behind it shows in its ids whether the two stand in one piece.
const leads = Array.from({length: 0xf4 - 0xc2 + 1}, (_, i) => 0xc2 + i);
const probeTokens = [...Array.from({length: 256}, (_, byte) => [byte]),
  ...['a', '1', '.', '\t'].flatMap((c) => leads.map((lead) => [c.charCodeAt(0), lead]))];
const probeRanks = probeTokens.map((bytes, rank) => `${Buffer.from(bytes).toString('base64')} ${rank}`).join('\n') + '\n';
const probeFile = path.join(scratch, 'probe.tiktoken');
fs.writeFileSync(probeFile, probeRanks);
const probesOf = (code) => ['a', '1', '.', '\t'].map((c) => c + String.fromCodePoint(code) + '\n').join('');
const allPoints = Array.from({length: 0x110000 - 0x80}, (_, i) => i + 0x80).filter((c) => c < 0xd800 || c > 0xdfff);

const disagreements = async (theirs, how = ['encode', 'pattern:cl100k', probeFile], probes = probesOf) => {
  const differing = async (codes, step) => {
    const parts = [];
    for (let i = 0; i < codes.length; i += step) parts.push(codes.slice(i, i + step));
    const texts = parts.map((some) => some.map(probes).join(''));
    const mine = ours(texts, ...how);
    const suspicious = [];
    for (let i = 0; i < texts.length; ++i) if (mine[i] !== (await theirs(texts[i]))) suspicious.push(...parts[i]);
    return suspicious;
  };
  return new Set(await differing(await differing(allPoints, 256), 1));
};
// And which does it count among a word's characters? A token that is a single word shows it.
const wordDisagreements = async (probeJson) => {
  const file = path.join(scratch, 'words.json'), words = JSON.parse(fs.readFileSync(probeJson));
  words.added_tokens = [{id: probeTokens.length, content: '<w>', single_word: true, lstrip: false, rstrip: false,
                         normalized: false, special: false}];
  fs.writeFileSync(file, JSON.stringify(words));
  return disagreements(native(file), ['encode-trusted', file], (code) => String.fromCodePoint(code) + '<w>\n');
};
const hex = (code) => 'U+' + code.toString(16).toUpperCase().padStart(4, '0');
const rangesOf = (codes) => {
  const found = [];
  for (const code of [...codes].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last && last[1] === code - 1) last[1] = code; else found.push([code, code]);
  }
  return found.map(([low, high]) => (low === high ? hex(low) : `${hex(low)}..${hex(high)}`)).join(' ');
};

let failed = false;
// `theirs` gives the ids of texts; null for one that ends the peer.
const compare = async (name, peer, points, how, theirs) => {
  const differing = async (texts) => {
    const mine = ours(texts, ...how), other = await theirs(texts);
    const fatal = texts.filter((_, i) => other[i] === null);
    return [texts.filter((_, i) => other[i] !== null && mine[i] !== other[i]), fatal];
  };
  for (const [what, texts] of [['generated', strings], ['text', paragraphs]]) {
    if (!texts.length) continue;
    const [different, fatal] = await differing(texts);
    // Explained is what agrees once the code points are gone.
    const unexplained = (await differing(
      different.map((text) => [...text].filter((c) => !points.has(c.codePointAt(0))).join('')))).flat();
    console.log(`${name.padEnd(22)} ${peer.padEnd(20)} ${what.padEnd(9)} ${String(texts.length).padStart(7)} strings  ` +
                `${different.length} differ` + (different.length ? `, ${unexplained.length} after taking out the code points above` : ''));
    if (unexplained.length) console.log('  for example ' + JSON.stringify(unexplained[0].slice(0, 120)));
    if (fatal.length) console.log(`  ${fatal.length} end ${peer} itself, for example ` + JSON.stringify(shortest(fatal)));
    failed ||= unexplained.length > 0;
  }
};
const shortest = (texts) => texts.reduce((short, text) => (text.length < short.length ? text : short));
const tell = (who, points) => {
  console.log(`${who} and ours class ${points.size} code points differently${points.size ? ': ' + rangesOf(points) : ''}`);
  return points;
};

const ranksOf = (encoding) => {
  const json = JSON.parse(fs.readFileSync(path.join(modules, 'tiktoken/encoders', encoding + '.json')));
  const lines = json.bpe_ranks.split('\n').flatMap((line) => {
    const [, offset, ...tokens] = line.split(' ');
    return tokens.map((token, i) => `${token} ${Number(offset) + i}`);
  });
  const file = path.join(scratch, encoding + '.tiktoken');
  fs.writeFileSync(file, lines.join('\n') + '\n');
  return file;
};
const native = (json) => {
  const {Tokenizer} = require('tokenizers');
  const tokenizer = Tokenizer.fromString(fs.readFileSync(json, 'utf8'));
  return async (text) => (await tokenizer.encode(text, null, {addSpecialTokens: false})).getIds().join(' ');
};
const each = (encode) => async (texts) => {
  const ids = [];
  for (const text of texts) ids.push(await encode(text));
  return ids;
};
// In processes of its own: there are texts and added tokens at which it panics.
const nativeApart = (json) => async (texts) => {
  const ids = [];
  let ended = 0;
  while (ids.length < texts.length) {
    const run = spawnSync(process.execPath, [path.join(here, 'native_ids.mjs'), modules, json], {
      input: texts.slice(ids.length).map((text) => base64(text) + '\n').join(''), maxBuffer: 1 << 30, encoding: 'utf8'});
    const [ready, ...lines] = run.stdout.split('\n').slice(0, -1);
    for (const line of lines) ids.push(line);
    if (run.status === 0) break;
    // A file that it does not read, or one text in a hundred: that is no odd text any more.
    if (!ready || !run.stderr.includes('panicked') || ++ended > 10 + texts.length / 100) throw new Error(run.stderr);
    ids.push(null);
  }
  return ids;
};
// NFC by code points and pairs; returns the code points of which the native peer has another idea.
const compareNfc = async (probeJson) => {
  const bytes = JSON.parse(fs.readFileSync(probeJson)), file = path.join(scratch, 'nfc.json');
  bytes.normalizer = {type: 'NFC'};
  bytes.model.merges = [];  // so that ids are bytes
  fs.writeFileSync(file, JSON.stringify(bytes));
  const encode = native(file);
  const byJavaScript = (texts) => texts.map((text) => text.normalize('NFC'));
  const byNative = async (texts) => {
    const results = [];
    for (const text of texts) results.push(Buffer.from((await encode(text)).split(' ').map(Number)).toString());
    return results;
  };
  const {probes, results} = await nfcDifferences(
    (texts) => ours(texts, 'nfc').map((line) => Buffer.from(line, 'base64').toString()), byJavaScript,
    [[`node ${process.version}, Unicode ${process.versions.unicode}`, byJavaScript], ['tokenizers', byNative]]);
  console.log(`\nNFC of ${probes} code points and pairs:`);
  for (const {name, points, mistakes} of results) {
    console.log(`${name} and ours differ at ${points.size} code points${points.size ? ': ' + rangesOf(points) : ''}`);
    if (mistakes.length) console.log(`  ${mistakes.length} mistakes, for example ` + JSON.stringify(mistakes[0]));
    failed ||= mistakes.length > 0;
  }
  console.log();
  return results[1].points;
};

try {
  console.log(`${version('tiktoken')}, ${version('llama3-tokenizer-js')}, ${version('tokenizers')}; ` +
              `${strings.length} generated strings, ${paragraphs.length} paragraphs of ${args.length} files\n`);
  const {get_encoding, Tiktoken} = require('tiktoken');
  const patterns = {gpt2: 'gpt2', cl100k_base: 'cl100k', o200k_base: 'o200k'};
  const compressed = '! 0 ' + probeTokens.map((bytes) => Buffer.from(bytes).toString('base64')).join(' ');
  const cl100k = JSON.parse(fs.readFileSync(path.join(modules, 'tiktoken/encoders/cl100k_base.json')));
  const probe = new Tiktoken(compressed, {}, cl100k.pat_str);
  const ofTiktoken = tell('tiktoken', await disagreements(async (text) => probe.encode_ordinary(text).join(' ')));
  const probeJson = path.join(scratch, 'probe.json');
  execFileSync(program, ['convert', 'pattern:cl100k', probeFile, probeJson]);
  const ofNative = tell('tokenizers', await disagreements(native(probeJson)));
  const ofWords = tell('in \\w, tokenizers', await wordDisagreements(probeJson));
  // The JavaScript engine's regular expressions, which llama3-tokenizer-js runs on.
  const cut = /[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+/gu;
  const joined = new Map(probeTokens.slice(256).map(([c, lead], i) => [c * 256 + lead, 256 + i]));
  const ofEngine = tell(`node ${process.version}`, await disagreements(async (text) =>
    (text.match(cut) ?? []).flatMap((piece) => {
      const bytes = [...Buffer.from(piece)], ids = [];
      for (let i = 0; i < bytes.length; ++i) {
        const pair = joined.get(bytes[i] * 256 + bytes[i + 1]);
        ids.push(pair ?? bytes[i]);
        if (pair) ++i;
      }
      return ids;
    }).join(' ')));
  console.log();
  for (const encoding of ['gpt2', 'cl100k_base', 'o200k_base']) {
    const original = get_encoding(encoding);
    const ranks = ranksOf(encoding);
    await compare(encoding, 'tiktoken', ofTiktoken, ['encode', encoding, ranks],
                  each(async (text) => original.encode_ordinary(text).join(' ')));
    original.free();
    const json = path.join(scratch, encoding + '.json');
    execFileSync(program, ['convert', encoding, ranks, json]);
    await compare(encoding + ', exported', 'tokenizers', ofNative, ['encode-trusted', json], nativeApart(json));
  }
  const llama = (await import(pathToFileURL(path.join(modules, 'llama3-tokenizer-js/bundle/llama3-tokenizer-with-baked-data.js')))).default;
  const spelled = new Map();
  for (let byte = 0, extra = 256; byte < 256; ++byte) {
    const plain = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    spelled.set(String.fromCodePoint(plain ? byte : extra++), byte);
  }
  const file = path.join(scratch, 'llama3.tiktoken');
  fs.writeFileSync(file, llama.vocabById.slice(0, 128000).map((token, id) =>
    `${Buffer.from([...token].map((c) => spelled.get(c))).toString('base64')} ${id}`).join('\n') + '\n');
  await compare('llama-3', 'llama3-tokenizer-js', ofEngine, ['encode', 'pattern:cl100k', file],
                each(async (text) => llama.encode(text, {bos: false, eos: false}).join(' ')));
  const corpus = path.join(scratch, 'corpus.txt'), own = path.join(scratch, 'own.json');
  fs.writeFileSync(corpus, strings.slice(0, 20000).concat(paragraphs).join('\n\n'));
  execFileSync(program, ['train', corpus, '4096', own]);
  await compare('own, trained here', 'tokenizers', ofNative, ['encode-trusted', own], nativeApart(own));

  const ofNfc = await compareNfc(probeJson);
  const cl100kSplit = JSON.parse(fs.readFileSync(probeJson)).pre_tokenizer;
  const plain = ours(strings, 'encode-trusted', own);
  for (const [name, change] of Object.entries(foreignFiles)) {
    const foreign = JSON.parse(fs.readFileSync(own)), file = path.join(scratch, 'foreign.json');
    change(foreign, random, cl100kSplit);
    fs.writeFileSync(file, JSON.stringify(foreign));
    const points = new Set([...ofNative, ...ofWords, ...(foreign.normalizer ? ofNfc : [])]);
    await compare(name, 'tokenizers', points, ['encode-trusted', file], nativeApart(file));
    const written = path.join(scratch, 'written.json');
    execFileSync(program, ['rewrite', file, written]);
    await compare(name + ', exported', 'tokenizers', points, ['encode-trusted', file], nativeApart(written));
    const changed = ours(strings, 'encode-trusted', file).filter((ids, i) => ids !== plain[i]).length;
    console.log(`  its other fields change the ids of ${changed} of the generated strings`);
    failed ||= changed === 0;
  }
} finally {
  fs.rmSync(scratch, {recursive: true});
}
console.log(failed ? '\nthere are differences that no code point explains' : '\nthe same ids wherever the two agree on Unicode');
process.exit(failed ? 1 : 0);
