import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema, ValueInfoProtoSchema, type NodeProto } from 'onnx-buf'
import { loadTestSets, openGraph, runGraph, type Images, type Numbers, type Weights } from './network.js'
import { FOLDER, type Net, type Task } from './results.js'

/** What reaches a layer: for each place where its weight [outputs, inputs] is applied, one row of its inputs. */
export interface LayerInputs {
  readonly layer: string
  readonly inputs: number
  readonly rows: Float32Array
}

/** What a network computes from images: what reaches each of its layers, in order, and the logits, 10 for each image. */
export interface Activations {
  readonly layers: readonly LayerInputs[]
  readonly logits: Float32Array
}

const WEIGHT = '.weight'
const IMAGES = 'x'

const numbersOf = (node: NodeProto, attribute: string, otherwise: readonly number[]): readonly number[] =>
  node.attribute.find(({ name }) => name === attribute)?.ints.map(Number) ?? otherwise

/** Lays out what a convolution sees of images [n, channels, height, width] as rows [channels, kernel height and width]. */
const unfold = (node: NodeProto, images: Numbers, kernel: readonly number[]): Float32Array => {
  const [n, channels, height, width] = images.shape as [number, number, number, number]
  const [kernelHeight, kernelWidth] = kernel as [number, number]
  const [top, left, bottom, right] = numbersOf(node, 'pads', [0, 0, 0, 0]) as [number, number, number, number]
  const [down, across] = numbersOf(node, 'strides', [1, 1]) as [number, number]
  const rows: number[] = []
  for (let image = 0; image < n; image++)
    for (let y = -top; y + kernelHeight <= height + bottom; y += down)
      for (let x = -left; x + kernelWidth <= width + right; x += across)
        for (let channel = 0; channel < channels; channel++)
          for (let i = y; i < y + kernelHeight; i++)
            for (let j = x; j < x + kernelWidth; j++)
              rows.push(
                i < 0 || j < 0 || i >= height || j >= width
                  ? 0
                  : images.numbers[((image * channels + channel) * height + i) * width + j]!,
              )
  return Float32Array.from(rows)
}

/** Runs a network over images of a task, and keeps what reaches its linear layers and convolutions. */
export const activationsOf = async (net: Net, weights: Weights, task: Task, images: Images): Promise<Activations> => {
  const model = fromBinary(ModelProtoSchema, await readFile(join(FOLDER, net, 'forward.onnx')))
  const { node: nodes, output } = model.graph!
  const transposed = new Map(nodes.filter((n) => n.opType === 'Transpose').map((n) => [n.output[0]!, n.input[0]!]))
  const layers = nodes.flatMap((node) => {
    const [from, operand] = [node.input[0]!, node.input[1]!]
    const weight = transposed.get(operand) ?? operand
    const applies = ['Gemm', 'MatMul', 'Conv'].includes(node.opType) && weight.endsWith(WEIGHT)
    return applies ? [{ node, from, weight }] : []
  })
  const type = output[0]!.type!.value
  const elemType = type.case === 'tensorType' ? type.value.elemType : 0
  for (const name of new Set(layers.map(({ from }) => from)))
    if (name !== IMAGES)
      output.push(create(ValueInfoProtoSchema, { name, type: { value: { case: 'tensorType', value: { elemType } } } }))
  const x = (await loadTestSets()).images(task, images)
  const values = await runGraph(await openGraph(toBinary(ModelProtoSchema, model)), x, weights)
  const valueOf = (name: string): Numbers =>
    name === IMAGES ? x : { shape: values[name]!.dims, numbers: values[name]!.data as Float32Array }
  return {
    layers: layers.map(({ node, from, weight }) => {
      const [, ...shape] = weights.get(weight)!.shape
      const reached = valueOf(from)
      return {
        layer: weight.slice(0, -WEIGHT.length),
        inputs: shape.reduce((a, b) => a * b),
        rows: node.opType === 'Conv' ? unfold(node, reached, shape.slice(1)) : reached.numbers,
      }
    }),
    logits: valueOf('logits').numbers,
  }
}
