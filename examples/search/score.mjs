// Prints the log-loss of a merge on digits, the worse of rotated and mirrored ones: the mean of −log of the probability
// that it gives to the right digit. The first half of the quick start's test images is for searching. `--report` prints
// the digits recognised correctly (%) too, for that half and for the held-out other one.
import { fileURLToPath } from 'node:url'
import { Tensor } from 'onnxruntime-node'
import { loadNetwork, readTask, readTensors } from '../quickstart/evaluate.mjs'

const data = (name) => fileURLToPath(new URL(`../quickstart/data/${name}`, import.meta.url))
const [file, option] = process.argv.slice(2)

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

/** The mean log-loss, and the share of digits recognised correctly. */
const judge = async (network, weights, { images, labels }) => {
  const feeds = Object.fromEntries(
    [...weights].map(([name, { shape, numbers }]) => [name, new Tensor('float32', numbers, shape)]),
  )
  const { logits } = await network.run({ x: images, ...feeds })
  const classes = logits.dims[1]
  let [loss, right] = [0, 0]
  for (const [image, label] of labels.entries()) {
    const scores = logits.data.subarray(image * classes, (image + 1) * classes)
    const most = Math.max(...scores)
    const total = scores.reduce((sum, score) => sum + Math.exp(score - most), 0)
    loss += most + Math.log(total) - scores[label]
    if (scores.indexOf(most) === label) right += 1
  }
  return { loss: loss / labels.length, right: right / labels.length }
}

const network = await loadNetwork(data('forward.onnx'))
const [testsets, weights] = [await readTensors(data('testsets.safetensors')), await readTensors(file)]
const worse = async (second) => {
  const judged = []
  for (const task of ['A', 'B']) judged.push(await judge(network, weights, halfOf(readTask(testsets, task), second)))
  return {
    loss: Math.max(...judged.map(({ loss }) => loss)),
    right: Math.min(...judged.map(({ right }) => right)),
  }
}

if (option === '--report')
  for (const half of ['searched', 'held out']) {
    const { loss, right } = await worse(half === 'held out')
    console.log(`${half}  ${(100 * right).toFixed(2)} % correct, log-loss ${loss.toFixed(4)}`)
  }
else console.log((await worse(false)).loss.toFixed(6))
