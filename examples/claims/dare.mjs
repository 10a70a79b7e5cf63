// Tests what the paper of DARE claims: a specialist keeps its skill when 90 % of what it learned is dropped at random, if
// what is left is rescaled. Prints a table, and draws the skill that is left for other shares:
//   node examples/claims/dare.mjs [PICTURE]
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { drawKeptSkill } from './chart.mjs'
import { line, mean, measure, NETS } from './measure.mjs'

const picture = resolve(process.argv[2] ?? fileURLToPath(new URL('build/dare.svg', import.meta.url)))

const LETTERS = ['A', 'B']
const DROPS = [0.3, 0.5, 0.7, 0.8, 0.9, 0.95]
const SEEDS = [1, 2, 3, 4, 5]
const KINDS = ['rescaled', 'unscaled']
/** The share that the paper's claim and the table are about. */
const CLAIMED = 0.9

/** Every run of one network: its accuracy, and which share of the specialist's gain over the base is left. */
const runsOf = (net) =>
  measure('dare.yaml', net, { letter: LETTERS, drop: DROPS, seed: SEEDS }, async ({ merged, trained }) => {
    const runs = []
    for (const letter of LETTERS) {
      const [base, specialist] = [await trained('base', letter), await trained(letter, letter)]
      for (const kind of KINDS)
        for (const drop of DROPS)
          for (const seed of SEEDS) {
            const accuracy = await merged(`${kind}-${letter}-${drop}-${seed}`, letter)
            const kept = (100 * (accuracy - base)) / (specialist - base)
            runs.push({ net, letter, kind, drop, base, specialist, accuracy, kept })
          }
    }
    return runs
  })

const runs = []
for (const net of NETS) runs.push(...(await runsOf(net)))

const summarize = (some, value) => {
  const values = some.map((run) => run[value])
  return { mean: mean(values), low: Math.min(...values), high: Math.max(...values) }
}
const select = (wanted) => runs.filter((run) => Object.entries(wanted).every(([key, value]) => run[key] === value))

console.log(
  `${100 * CLAIMED} % of the differences dropped; digits recognised correctly (%), mean (least) of ${SEEDS.length} seeds:\n`,
)
console.log(line('', ['base', 'specialist', 'rescaled', 'not rescaled']))
for (const net of NETS)
  for (const letter of LETTERS) {
    const [{ base, specialist }] = select({ net, letter })
    const cells = KINDS.map((kind) => {
      const { mean, low } = summarize(select({ net, letter, kind, drop: CLAIMED }), 'accuracy')
      return `${mean.toFixed(1)} (${low.toFixed(1)})`
    })
    console.log(line(`${net} ${letter}`, [base.toFixed(1), specialist.toFixed(1), ...cells]))
  }

const points = NETS.flatMap((net) =>
  KINDS.flatMap((kind) =>
    DROPS.map((drop) => ({ net, kind, drop, ...summarize(select({ net, kind, drop }), 'kept') })),
  ),
)
const [rescaled, unscaled] = KINDS.map((kind) =>
  points.filter((p) => p.kind === kind && p.drop === CLAIMED).map((p) => p.mean),
)
console.log(
  `\nRescaled, a network keeps at least ${Math.min(...rescaled).toFixed(0)} % of what its specialists gained over the base; not rescaled, at most ${Math.max(...unscaled).toFixed(0)} %.`,
)

await mkdir(dirname(picture), { recursive: true })
await writeFile(picture, await drawKeptSkill(points))
console.log(`Picture: ${picture}`)
