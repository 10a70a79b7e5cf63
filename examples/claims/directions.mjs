// Tests on three networks whether merging by singular vectors does better than a sum of differences. Prints a table:
//   node examples/claims/directions.mjs
import { line, mean, measure, NETS } from './measure.mjs'

const LETTERS = ['A', 'B', 'C']
const LAMBDAS = [0.5, 0.7, 1, 1.4, 2]
const METHODS = { sum: 'sum', tsv: 'TSV-Merge', iso_c: 'Iso-C', iso_cts: 'Iso-CTS' }

console.log('Digits recognised correctly (%), mean of rotated (A), mirrored (B) and noisy ones (C), by lambda')
for (const net of NETS) {
  console.log(`\n${line(net, LAMBDAS.map(String))}`)
  await measure('directions.yaml', net, { lambda: LAMBDAS }, async ({ merged }) => {
    for (const [name, title] of Object.entries(METHODS)) {
      const cells = []
      for (const lambda of LAMBDAS) {
        const found = []
        for (const letter of LETTERS) found.push(await merged(`${name}-${lambda}`, letter))
        cells.push(mean(found).toFixed(1))
      }
      console.log(line(`  ${title}`, cells))
    }
  })
}
