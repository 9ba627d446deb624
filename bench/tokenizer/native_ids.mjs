// node native_ids.mjs NODE_MODULES FILE.json: stdin: a text a line, in base64; stdout: `ready`, and its ids a
// line, by Hugging Face's native `tokenizers`. Each line is out before the next text is looked at: where the library ends the process,
// as many lines are there as texts went well. For exactness.mjs.
import fs from 'node:fs';
import {createRequire} from 'node:module';

const [modules, file] = process.argv.slice(2);
const {Tokenizer} = createRequire(modules + '/')('tokenizers');
const tokenizer = Tokenizer.fromString(fs.readFileSync(file, 'utf8'));
fs.writeSync(1, 'ready\n');
for (const line of fs.readFileSync(0, 'utf8').split('\n').slice(0, -1)) {
  const encoding = await tokenizer.encode(Buffer.from(line, 'base64').toString(), null, {addSpecialTokens: false});
  fs.writeSync(1, encoding.getIds().join(' ') + '\n');
}
