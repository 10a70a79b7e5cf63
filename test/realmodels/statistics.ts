import type { TensorValues } from '../support/write-safetensors.js'
import type { Activations, LayerInputs } from './layers.js'
import type { Weights } from './network.js'

/** Statistics of one model, by the name of a tensor or layer. */
export type Statistics = Readonly<Record<string, TensorValues>>

const CLASSES = 10

/** The Gram matrix XᵀX of the rows that reach a layer. */
const gramOf = ({ inputs, rows }: LayerInputs): Float64Array => {
  const gram = new Float64Array(inputs * inputs)
  for (let at = 0; at < rows.length; at += inputs) {
    const row = rows.subarray(at, at + inputs)
    for (let i = 0; i < inputs; i++) {
      const x = row[i]!
      // ReLU leaves many zeros.
      if (x !== 0) for (let j = 0; j < inputs; j++) gram[i * inputs + j]! += x * row[j]!
    }
  }
  return gram
}

/** The statistics that `merge.regmean` reads: the Gram matrix of every layer. */
export const gramsOf = ({ layers }: Activations): Statistics =>
  Object.fromEntries(
    layers.map((layer) => [
      layer.layer,
      { dtype: 'F32', shape: [layer.inputs, layer.inputs], values: [...gramOf(layer)] },
    ]),
  )

const softmax = (logits: Float32Array): number[] => {
  const powers = [...logits].map((x) => Math.exp(x - Math.max(...logits)))
  const sum = powers.reduce((a, b) => a + b)
  return powers.map((x) => x / sum)
}

/** The gradient with respect to a layer's inputs, each of them a ReLU's result, from that of its outputs. */
const backward = (weight: Float32Array, outputs: readonly number[], reached: Float32Array): number[] => {
  const gradient = new Array<number>(reached.length).fill(0)
  outputs.forEach((d, o) => {
    for (let i = 0; i < reached.length; i++) if (reached[i]! > 0) gradient[i]! += d * weight[o * reached.length + i]!
  })
  return gradient
}

/**
 * The statistics that `merge.fisher` reads, of linear layers with ReLU between them: the mean over images of the squared
 * gradient of the log-likelihood, its exact expectation over the labels as the network predicts them.
 *
 * The gradient of a weight is that of its output times its input, and so is its square: summed over labels first, each
 * image takes one product for each weight.
 */
export const fisherOf = (weights: Weights, { layers, logits }: Activations): Statistics => {
  const images = logits.length / CLASSES
  const sums = new Map([...weights].map(([name, { numbers }]) => [name, new Float64Array(numbers.length)]))
  for (let image = 0; image < images; image++) {
    const reached = layers.map(({ inputs, rows }) => rows.subarray(image * inputs, (image + 1) * inputs))
    const squares = layers.map(({ layer }) => new Float64Array(weights.get(`${layer}.bias`)!.numbers.length))
    const shares = softmax(logits.subarray(image * CLASSES, (image + 1) * CLASSES))
    shares.forEach((share, label) => {
      let gradient = shares.map((p, c) => Number(c === label) - p)
      for (let l = layers.length - 1; l >= 0; l--) {
        gradient.forEach((d, o) => (squares[l]![o]! += share * d * d))
        if (l > 0) gradient = backward(weights.get(`${layers[l]!.layer}.weight`)!.numbers, gradient, reached[l]!)
      }
    })
    layers.forEach(({ layer, inputs }, l) => {
      const [weight, bias] = [sums.get(`${layer}.weight`)!, sums.get(`${layer}.bias`)!]
      squares[l]!.forEach((square, o) => {
        bias[o]! += square / images
        reached[l]!.forEach((x, i) => (weight[o * inputs + i]! += (square * x * x) / images))
      })
    })
  }
  return Object.fromEntries(
    [...weights].map(([name, { shape }]) => [name, { dtype: 'F32', shape, values: [...sums.get(name)!] }]),
  )
}
