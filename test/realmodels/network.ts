import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { decode } from '#src/kernels/convert.js'
import { openModel } from '#src/safetensors/model.js'
import { FOLDER, type Net, type Task } from './results.js'

/** The tensors of a file by name, widened to float32. */
export type Weights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly numbers: Float32Array }>

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

/** A network of the folder, to be run with any weights. */
export interface Network {
  /** One row of 10 logits for each of the first images of a task. */
  logits(weights: Weights, task: Task, count?: number): Promise<number[][]>
  /** The share of a task's images whose digit is named. */
  accuracy(weights: Weights, task: Task): Promise<number>
}

export const loadNetwork = async (net: Net): Promise<Network> => {
  const session = await InferenceSession.create(join(FOLDER, net, 'forward.onnx'), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  })
  const sets = await readWeights(join(FOLDER, 'testsets.safetensors'))
  const logits = async (weights: Weights, task: Task, count?: number): Promise<number[][]> => {
    const { shape, numbers } = sets.get(`${task}.images`)!
    const n = count ?? shape[0]!
    const x = new Tensor(
      'float32',
      numbers.slice(0, n * 64).map((value) => value / 16),
      [n, 1, 8, 8],
    )
    const feeds = Object.fromEntries([...weights].map(([name, w]) => [name, new Tensor('float32', w.numbers, w.shape)]))
    const data = (await session.run({ x, ...feeds }))['logits']!.data as Float32Array
    return Array.from({ length: n }, (_, i) => [...data.subarray(10 * i, 10 * i + 10)])
  }
  const accuracy = async (weights: Weights, task: Task): Promise<number> => {
    const labels = sets.get(`${task}.labels`)!.numbers
    const rows = await logits(weights, task)
    return rows.filter((row, i) => row.indexOf(Math.max(...row)) === labels[i]).length / rows.length
  }
  return { logits, accuracy }
}
