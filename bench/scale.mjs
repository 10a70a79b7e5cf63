// The tables of docs/scale.md: how long a merge takes on many machines, by the model that the page explains.
// node bench/scale.mjs [--node GB/s] [--system GB/s] [--cores N]
import { parseArgs } from 'node:util'
import { sizeOfParts } from '../dist/cluster/lay-out.js'

const { values } = parseArgs({
  options: {
    node: { type: 'string', default: '3' },
    system: { type: 'string', default: '40' },
    cores: { type: 'string', default: '16' },
  },
})
const [perNode, system, cores] = [values.node, values.system, values.cores].map(Number)

// Processor nanoseconds an element, of bf16 models: docs/performance.md says where they were measured.
const READ_AND_HASH = 0.2 + 0.19
const HASH_AND_WRITE = 0.19 + 0.33
const MERGES = [
  { name: 'linear merge of 3', inputs: 3, reads: 3, nanoseconds: 6 * READ_AND_HASH + 2 * 1.1 + 2 * HASH_AND_WRITE },
  // 56 GB are read for 7 × 10⁹ elements: four models.
  { name: 'TIES of 3 and a base', inputs: 4, reads: 4, nanoseconds: 22 },
]
const MODELS = [
  { name: '70B × 3', elements: 70e9 },
  { name: '1 TB × 3', elements: 500e9 },
]
const BYTES = 2
/** Seconds for starting a task, with reading headers and planning; for planning and committing a run. */
const [START, DRIVER] = [1, 5]

/** Seconds of a merge on so many nodes, and what limits them. */
const estimate = ({ elements }, { reads, nanoseconds }, nodes) => {
  const bytes = elements * BYTES * (reads + 1)
  const size = sizeOfParts(bytes, { parallel: nodes })
  const parts = Math.ceil(bytes / size)
  const busy = Math.min(nodes, parts)
  const bandwidth = Math.min(busy * perNode, system) * 1e9
  const [moving, computing] = [bytes / bandwidth, (elements * nanoseconds * 1e-9) / (busy * cores)]
  const work = Math.max(moving, computing)
  const each = work / (parts / busy)
  const limit = computing > moving ? 'processors' : busy * perNode < system ? 'nodes’ links' : 'file system'
  // While the last parts are done, nodes have nothing to do: half a part, on average.
  return { seconds: DRIVER + work + (START * parts) / busy + (busy > 1 ? each / 2 : 0), parts, limit }
}

const time = (seconds) => (seconds < 100 ? `${Math.round(seconds)} s` : `${(seconds / 60).toFixed(1)} min`)
const NODES = [1, 8, 64]
console.log(`| models | merge | ${NODES.map((n) => (n === 1 ? '1 node' : `${n} nodes`)).join(' | ')} |`)
console.log(`|---|---|${NODES.map(() => '---|').join('')}`)
for (const model of MODELS)
  for (const merge of MERGES) {
    const cells = NODES.map((nodes) => {
      const { seconds, parts, limit } = estimate(model, merge, nodes)
      return `${time(seconds)} (${parts} parts; ${limit})`
    })
    console.log(`| ${model.name} | ${merge.name} | ${cells.join(' | ')} |`)
  }
