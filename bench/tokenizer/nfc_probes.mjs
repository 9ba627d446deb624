// Does ours bring texts into the NFC of others? For exactness.mjs.
//
// Probed are every code point of Unicode by itself and between marks of other classes, every character
// that composes (or is composed) with every mark of Unicode, and the syllables of Hangul by their parts.
import fs from 'node:fs';

const database = '/usr/share/unicode/UnicodeData.txt';  // what our tables are made of

// The code points that our version of Unicode has.
const assigned = () => {
  if (!fs.existsSync(database)) throw new Error(`${database} is missing: apt-get install unicode-data`);
  const found = new Set();
  let first = 0;
  for (const line of fs.readFileSync(database, 'utf8').split('\n')) {
    const [code, name] = line.split(';');
    if (!name) continue;
    const point = parseInt(code, 16);
    if (name.endsWith(', First>')) first = point;
    else for (let c = name.endsWith(', Last>') ? first : point; c <= point; ++c) found.add(c);
  }
  return found;
};

const range = (low, high) => Array.from({length: high - low + 1}, (_, i) => low + i);

// Texts: a code point, one between marks, or a pair.
const probes = () => {
  const points = range(0, 0x10ffff).filter((c) => (c < 0xd800 || c > 0xdfff) && c !== 0x0a);
  const found = [];
  const firsts = new Set(), marks = new Set();
  for (const c of points) {
    const text = String.fromCodePoint(c);
    found.push(text, `a\u0315${text}\u0300\u05ae\u0300b`);
    const parts = [...text.normalize('NFD')].map((part) => part.codePointAt(0));
    const hangul = c >= 0xac00 && c <= 0xd7a3;
    if (parts.length > 1 && !hangul) {
      firsts.add(parts[0]).add(c);
      parts.slice(1).forEach((part) => marks.add(part));
    }
    if (/\p{M}/u.test(text)) marks.add(c);
  }
  const pair = (a, b) => found.push(String.fromCodePoint(a, b));
  for (const first of firsts) for (const mark of marks) pair(first, mark);
  for (const lead of range(0x1100, 0x1113)) for (const vowel of range(0x1161, 0x1176)) pair(lead, vowel);
  for (let syllable = 0xac00; syllable <= 0xd7a3; syllable += 28) {
    for (const tail of range(0x11a7, 0x11c3)) pair(syllable, tail);
  }
  return found;
};

// What a probe is about.
const pointsOf = (probe) => {
  const points = [...probe].map((c) => c.codePointAt(0));
  return points.length > 2 ? [points[2]] : points;
};

// Of every probe ours and each peer's, where those differ. `ours` and the peers turn a list of texts into
// a list of texts. Returns [{name, points, mistakes}]: the code points that a peer of another version of
// Unicode brings into another form, and the probes in which ours cannot be explained so: it differs from
// `reference` although our version has all of the code points.
export const nfcDifferences = async (ours, reference, peers) => {
  const all = probes(), known = assigned();
  const lines = [];
  for (let i = 0; i < all.length; i += 400) lines.push(all.slice(i, i + 400));
  const texts = lines.map((line) => line.join('\n'));
  const mine = (await ours(texts)).map((text) => text.split('\n'));
  const right = (await reference(texts)).map((text) => text.split('\n'));
  const results = [];
  for (const [name, peer] of peers) {
    const points = new Set(), pairs = [], mistakes = [];
    const theirs = await peer(texts);
    for (let i = 0; i < lines.length; ++i) {
      const their = theirs[i].split('\n');
      for (let k = 0; k < lines[i].length; ++k) {
        if (mine[i][k] === their[k]) continue;
        const codes = pointsOf(lines[i][k]);
        const foreign = codes.filter((c) => !known.has(c));
        if (mine[i][k] !== right[i][k] && !foreign.length) mistakes.push(lines[i][k]);
        if (codes.length === 1) points.add(codes[0]); else pairs.push(foreign.length ? foreign : codes);
      }
    }
    for (const codes of pairs) if (!codes.some((c) => points.has(c))) codes.forEach((c) => points.add(c));
    results.push({name, points, mistakes});
  }
  return {probes: all.length, results};
};
