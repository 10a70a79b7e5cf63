// Tests whether dividing by q, as DAREx does, saves what DARE loses where it drops nearly everything. Prints a table:
//   node examples/claims/darex.mjs
import { line, mean, measure, NETS } from './measure.mjs'

const LETTERS = ['A', 'B']
const SEEDS = [1, 2, 3, 4, 5]
const DENSITIES = [0.1, 0.05, 0.02]
/** What the kept differences are divided by, as a multiple of the density; 1 is DARE. */
const TIMES = [1, 1.5, 2, 4]
const qOf = (density, times) => Number((density * times).toPrecision(3))

console.log(
  `Digits recognised correctly (%), mean (least) of two specialists with ${SEEDS.length} seeds each, by q as a multiple of the density`,
)
for (const net of NETS) {
  console.log(
    `\n${line(
      net,
      TIMES.map((times) => (times === 1 ? 'DARE' : `${times} times`)),
    )}`,
  )
  for (const density of DENSITIES) {
    const q = TIMES.map((times) => qOf(density, times))
    const params = { letter: LETTERS, density, q, seed: SEEDS }
    await measure('darex.yaml', net, params, async ({ merged }) => {
      const cells = []
      for (const own of q) {
        const found = []
        for (const letter of LETTERS)
          for (const seed of SEEDS) found.push(await merged(`${letter}-${density}-${own}-${seed}`, letter))
        cells.push(`${mean(found).toFixed(1)} (${Math.min(...found).toFixed(1)})`)
      }
      console.log(line(`  ${Number((100 * (1 - density)).toFixed(1))} % dropped`, cells))
    })
  }
}
