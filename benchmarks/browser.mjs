// How long the decoder's parts take in a browser's WebAssembly, in one thread: milliseconds, the least of 30 runs.
//
//   npm install onnxruntime-web
//   anymask export nano -o nano --parts
//   node benchmarks/browser.mjs nano/parts
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

// The package lies where the command is run, which need not be the folder of this file.
const require = createRequire(pathToFileURL(process.cwd() + '/'))
const ort = require('onnxruntime-web/wasm')
ort.env.wasm.numThreads = 1

const [folder] = process.argv.slice(2)
if (!folder) {
  console.error('usage: node benchmarks/browser.mjs FOLDER, which holds the manifest.json of a decoder in parts')
  process.exit(2)
}
const RUNS = 30
const manifest = JSON.parse(fs.readFileSync(`${folder}/manifest.json`))
const noise = (shape) => {
  const count = shape.reduce((a, b) => a * b, 1)
  return new ort.Tensor('float32', Float32Array.from({ length: count }, () => Math.random() - 0.5), shape)
}

// One click in a photo of 4:3.
const { frame, mask_size: side } = manifest
const tensors = {
  coords: new ort.Tensor('float32', Float32Array.of(frame / 2, frame / 3, 0, 0), [1, 2, 2]),
  labels: new ort.Tensor('int64', BigInt64Array.of(1n, -1n), [1, 2]),
  present: new ort.Tensor('bool', Uint8Array.of(1, 1), [1, 2]),
  masks: noise([1, 1, side, side]),
  has_mask: new ort.Tensor('bool', Uint8Array.of(1), [1]),
  resized: new ort.Tensor('int64', BigInt64Array.of(BigInt((frame * 3) / 4), BigInt(frame)), [2]),
}
for (const { name, shape } of manifest.embedding) tensors[name] = noise(shape)

for (const name of ['prepare', 'answer_masks', 'answer', 'upscale', 'upscale_image']) {
  const graph = manifest.graphs[name]
  const session = await ort.InferenceSession.create(fs.readFileSync(`${folder}/${graph.file}`))
  const feeds = Object.fromEntries(graph.inputs.map((input) => [input, tensors[input]]))
  let found = await session.run(feeds)
  const times = []
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now()
    found = await session.run(feeds)
    times.push(performance.now() - start)
  }
  Object.assign(tensors, found)
  if (name === 'answer') {
    const [, , width] = tensors.weights.dims // the three masks of an ambiguous click
    tensors.weights = new ort.Tensor('float32', tensors.weights.data.slice(width), [1, 3, width])
  }
  console.log(`${name.padEnd(14)} ${Math.min(...times).toFixed(0).padStart(4)} ms`)
}
