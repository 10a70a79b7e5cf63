// Prints the log-loss of a merge on rotated, mirrored and noisy digits: the mean of −log of the probability that it gives
// to the right digit. The first half of the quick start's test images is for searching. `--report` prints the digits
// recognised correctly (%) too, for that half and for the held-out other one; with a second file, also by how much the
// held-out log-loss of the first is less than that of the second, and the standard error of that.
import { fileURLToPath } from 'node:url'
import { Tensor } from 'onnxruntime-node'
import { loadNetwork, readTask, readTensors } from '../quickstart/evaluate.mjs'

const data = (name) => fileURLToPath(new URL(`../quickstart/data/${name}`, import.meta.url))
const [file, option, other] = process.argv.slice(2)

/** One half of the images of a task. */
const halfOf = ({ images, labels }, second) => {
  const [count, ...shape] = images.dims
  const [from, to] = second ? [count / 2, count] : [0, count / 2]
  const size = images.data.length / count
  return {
    images: new Tensor('float32', images.data.slice(from * size, to * size), [to - from, ...shape]),
    labels: labels.subarray(from, to),
  }
}

/** The log-loss of each image, and the share of digits recognised correctly. */
const judge = async (network, weights, { images, labels }) => {
  const feeds = Object.fromEntries(
    [...weights].map(([name, { shape, numbers }]) => [name, new Tensor('float32', numbers, shape)]),
  )
  const { logits } = await network.run({ x: images, ...feeds })
  const classes = logits.dims[1]
  const losses = []
  let right = 0
  for (const [image, label] of labels.entries()) {
    const scores = logits.data.subarray(image * classes, (image + 1) * classes)
    const most = Math.max(...scores)
    const total = scores.reduce((sum, score) => sum + Math.exp(score - most), 0)
    losses.push(most + Math.log(total) - scores[label])
    if (scores.indexOf(most) === label) right += 1
  }
  return { losses, right: right / labels.length }
}

const meanOf = (numbers) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length

const network = await loadNetwork(data('forward.onnx'))
const testsets = await readTensors(data('testsets.safetensors'))
/** What a merge gives on one half of the images of all three tasks. */
const judgeAll = async (path, second) => {
  const weights = await readTensors(path)
  const judged = []
  for (const task of ['A', 'B', 'C'])
    judged.push(await judge(network, weights, halfOf(readTask(testsets, task), second)))
  return { losses: judged.flatMap(({ losses }) => losses), right: judged.map(({ right }) => right) }
}

if (option === '--report') {
  for (const half of ['searched', 'held out']) {
    const { losses, right } = await judgeAll(file, half === 'held out')
    const shares = right.map((share) => (100 * share).toFixed(2)).join(' / ')
    console.log(`${half}  log-loss ${meanOf(losses).toFixed(4)}, ${shares} % correct`)
  }
  if (other !== undefined) {
    const [own, theirs] = [(await judgeAll(file, true)).losses, (await judgeAll(other, true)).losses]
    const gains = theirs.map((loss, i) => loss - own[i])
    const gain = meanOf(gains)
    const error = Math.sqrt(meanOf(gains.map((x) => (x - gain) ** 2)) / (gains.length - 1))
    console.log(`held-out log-loss less by ${gain.toFixed(4)}, standard error ${error.toFixed(4)}`)
  }
} else console.log(meanOf((await judgeAll(file, false)).losses).toFixed(6))
