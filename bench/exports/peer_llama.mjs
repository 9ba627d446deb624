// What llama.cpp says to the files of floe-bench-exports, through the npm package node-llama-cpp.
//
//   node peer_llama.mjs NODE_MODULES FOLDER NAME...   {name, models: {NAME: {ids, greedy, logits} or {error}}}
//
// Reads FOLDER/NAME/model.gguf, and FOLDER/NAME/ours.json for the text, the ids to go on from and the path along
// which logits are wanted. Keys and values are kept in 32-bit floats, as ours are. Exit code 3: the package, or its
// prebuilt llama.cpp for this machine, is not there; standard error says which.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';

const [modules, folder, ...names] = process.argv.slice(2);

async function open() {
  const entry = createRequire(join(resolve(modules), 'x.js')).resolve('node-llama-cpp');
  const {getLlama} = await import(pathToFileURL(entry));
  const llama = await getLlama({gpu: false, build: 'never', logLevel: 'error'});
  const own = JSON.parse(readFileSync(join(dirname(entry), '..', 'package.json'), 'utf8'));
  return {llama, version: `llama.cpp ${llama.llamaCppRelease.release} (${own.name} ${own.version})`};
}

async function say(llama, name) {
  const ours = JSON.parse(readFileSync(join(folder, name, 'ours.json'), 'utf8'));
  const model = await llama.loadModel({modelPath: join(folder, name, 'model.gguf')});
  const context = await model.createContext({
    contextSize: 128, threads: 1, flashAttention: false, experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32'});
  const sequence = context.getSequence();
  const path = [...ours.ids, ...ours.greedy];
  const outputs = await sequence.controlledEvaluate(path.map((id) => [id, {generateNext: {logits: true}}]));
  const logits = outputs.map(({next}) => {
    const row = new Array(next.logits.size).fill(null);
    for (const [id, value] of next.logits) row[id] = value;
    return row;
  });
  await sequence.clearHistory();
  const greedy = [];
  for await (const id of sequence.evaluate(ours.ids, {temperature: 0, yieldEogToken: true})) {
    greedy.push(id);
    if (greedy.length === ours.greedy.length) break;
  }
  const ids = model.tokenize(ours.text, false);
  await context.dispose();
  await model.dispose();
  return {ids: [...ids], greedy, logits};
}

let llama;
let version;
try {
  ({llama, version} = await open());
} catch (missing) {
  console.error(`${missing.message}`);
  process.exit(3);
}
const models = {};
for (const name of names) {
  try {
    models[name] = await say(llama, name);
  } catch (error) {
    models[name] = {error: `${error.message}`};
  }
}
process.stdout.write(JSON.stringify({name: version, models}), () => process.exit(0));
