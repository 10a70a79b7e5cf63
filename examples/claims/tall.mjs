// Tests on three networks when TALL masks help: to bring specialists back from a sum of them, and to merge them into one
// model. Prints a table:
//   node examples/claims/tall.mjs
import { measure, NETS, print, printHead, row } from './measure.mjs'

const LAMBDAS = [0.5, 0.7, 1]

console.log('Digits recognised correctly (%): rotated (A), mirrored (B), noisy (C)')
const [differences, gains] = [[], []]
for (const net of NETS) {
  const restored = await measure('tall.yaml', net, {}, async ({ merged, trained }) => ({
    trained: await row((letter) => trained(letter, letter)),
    masked: await row((letter) => merged(`restored-${letter}`, letter)),
  }))
  const single = await measure('consensus.yaml', net, { lambda: LAMBDAS }, async ({ merged }) => {
    const rows = { plain: [], consensus: [] }
    for (const [kind, found] of Object.entries(rows))
      for (const lambda of LAMBDAS)
        found.push({ lambda, cells: await row((letter) => merged(`${kind}-${lambda}`, letter)) })
    return rows
  })
  const [sum, consensus] = [single.plain, single.consensus].map((rows) => rows.find(({ lambda }) => lambda === 1))
  const [bestSum, bestConsensus] = [single.plain, single.consensus].map((rows) =>
    rows.reduce((best, other) => (other.cells.at(-1) > best.cells.at(-1) ? other : best)),
  )
  printHead(net)
  print('  A, B and C, each alone', restored.trained)
  print('  their sum, masked for each', restored.masked)
  print('  sum', sum.cells)
  print('  consensus', consensus.cells)
  print(`  sum, lambda ${bestSum.lambda}`, bestSum.cells)
  print(`  consensus, lambda ${bestConsensus.lambda}`, bestConsensus.cells)
  differences.push(...restored.trained.slice(0, -1).map((accuracy, i) => accuracy - restored.masked[i]))
  gains.push(bestConsensus.cells.at(-1) - bestSum.cells.at(-1))
}
console.log(
  `\nWith its mask, the sum reads each specialist’s digits at most ${Math.max(...differences).toFixed(1)} points worse than the specialist.`,
)
console.log(
  `As one file for all digits, with lambda chosen for each, consensus gains ${gains.map((gain) => gain.toFixed(1)).join(', ')} points on the sum without masks.`,
)
