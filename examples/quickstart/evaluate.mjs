import { readFile } from 'node:fs/promises'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { openModel } from 'smelt'

const ARRAYS = { F32: Float32Array, U8: Uint8Array }

/** The tensors of a small safetensors file, whole in memory: name -> {shape, numbers}. */
export const readTensors = async (path) => {
  const opened = await openModel(path)
  if (opened.type === 'failed') throw new Error(opened.diagnostics.map((d) => d.message).join('\n'))
  const bytes = await readFile(path)
  return new Map(
    [...opened.value.tensors].map(([name, { dtype, shape, begin, end }]) => {
      const numbers = new ARRAYS[dtype](bytes.buffer.slice(bytes.byteOffset + begin, bytes.byteOffset + end))
      return [name, { shape, numbers }]
    }),
  )
}

/** The images of one task as numbers from 0 to 1, and the digit that each one shows. */
export const readTask = (testsets, task) => {
  const {
    shape: [count, rows, columns],
    numbers,
  } = testsets.get(`${task}.images`)
  const pixels = Float32Array.from(numbers, (value) => value / 16)
  return {
    images: new Tensor('float32', pixels, [count, 1, rows, columns]),
    labels: testsets.get(`${task}.labels`).numbers,
  }
}

/** Loads a network whose weights are inputs of the graph, each under its tensor's name. */
export const loadNetwork = (path) => InferenceSession.create(path, { intraOpNumThreads: 1 })

/** The share of a task's images that a network names rightly with the given weights. */
export const accuracy = async (network, weights, { images, labels }) => {
  const feeds = Object.fromEntries(
    [...weights].map(([name, { shape, numbers }]) => [name, new Tensor('float32', numbers, shape)]),
  )
  const { logits } = await network.run({ x: images, ...feeds })
  const classes = logits.dims[1]
  const right = labels.filter((label, image) => {
    const scores = logits.data.subarray(image * classes, (image + 1) * classes)
    return scores.indexOf(Math.max(...scores)) === label
  })
  return right.length / labels.length
}
