import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { decode } from '#src/kernels/convert.js'
import { openModel } from '#src/safetensors/model.js'
import { FOLDER, type Net, type Task } from './results.js'

/** A tensor's shape, and its elements widened to float32. */
export interface Numbers {
  readonly shape: readonly number[]
  readonly numbers: Float32Array
}

/** The tensors of a file by name. */
export type Weights = ReadonlyMap<string, Numbers>

const widen = (dtype: string, bytes: ArrayBuffer): Float32Array => {
  if (dtype === 'F16') return decode('F16', new Uint16Array(bytes))
  return dtype === 'U8' ? Float32Array.from(new Uint8Array(bytes)) : new Float32Array(bytes)
}

/** Reads a small file whole. */
export const readWeights = async (path: string): Promise<Weights> => {
  const model = await openModel(path)
  if (model.type === 'failed') throw new Error(model.diagnostics[0]!.message)
  const bytes = new Uint8Array(await readFile(path))
  return new Map(
    [...model.value.tensors.values()].map(({ name, dtype, shape, begin, end }) => [
      name,
      { shape, numbers: widen(dtype, bytes.slice(begin, end).buffer) },
    ]),
  )
}

/** Test images, from the first of these numbers up to the second. */
export type Images = readonly [begin: number, end: number]

/** Every test image of a task. */
export const ALL: Images = [0, 600]

/** Loads the test images of every task as the networks take them, [n, 1, 8, 8] from 0 to 1, and their digits. */
export const loadTestSets = async () => {
  const sets = await readWeights(join(FOLDER, 'testsets.safetensors'))
  return {
    images: (task: Task, [begin, end]: Images): Numbers => ({
      shape: [end - begin, 1, 8, 8],
      numbers: sets
        .get(`${task}.images`)!
        .numbers.slice(begin * 64, end * 64)
        .map((value) => value / 16),
    }),
    labels: (task: Task, [begin, end]: Images): Float32Array => sets.get(`${task}.labels`)!.numbers.slice(begin, end),
  }
}

/** Runs a graph whose inputs are images `x` and weights by name. */
export const runGraph = async (
  session: InferenceSession,
  x: Numbers,
  weights: Weights,
): Promise<InferenceSession.ReturnType> => {
  const feeds = [...weights, ['x', x] as const].map(([name, { numbers, shape }]) => [
    name,
    new Tensor('float32', numbers, shape),
  ])
  return session.run(Object.fromEntries(feeds) as InferenceSession.FeedsType)
}

/** Opens a graph from a file or from memory, to be run by one thread. */
export const openGraph = async (graph: string | Uint8Array): Promise<InferenceSession> =>
  InferenceSession.create(graph as Uint8Array, { intraOpNumThreads: 1, interOpNumThreads: 1 })

/** A network of the folder, to be run with any weights. */
export interface Network {
  /** One row of 10 logits for each image. */
  logits(weights: Weights, task: Task, images?: Images): Promise<number[][]>
  /** The share of the images whose digit is named. */
  accuracy(weights: Weights, task: Task, images?: Images): Promise<number>
}

export const loadNetwork = async (net: Net): Promise<Network> => {
  const session = await openGraph(join(FOLDER, net, 'forward.onnx'))
  const sets = await loadTestSets()
  const logits = async (weights: Weights, task: Task, images = ALL): Promise<number[][]> => {
    const data = (await runGraph(session, sets.images(task, images), weights))['logits']!.data as Float32Array
    return Array.from({ length: images[1] - images[0] }, (_, i) => [...data.subarray(10 * i, 10 * i + 10)])
  }
  const accuracy = async (weights: Weights, task: Task, images = ALL): Promise<number> => {
    const labels = sets.labels(task, images)
    const rows = await logits(weights, task, images)
    return rows.filter((row, i) => row.indexOf(Math.max(...row)) === labels[i]).length / rows.length
  }
  return { logits, accuracy }
}
