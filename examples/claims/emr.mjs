// Tests on three networks how well EMR-Merging brings specialists back from one difference, with and without its scales,
// and what that difference is worth by itself. Prints a table:
//   node examples/claims/emr.mjs
import { LETTERS, measure, NETS, print, printHead, row } from './measure.mjs'

const losses = []
for (const net of NETS) {
  const tall = await measure('tall.yaml', net, {}, ({ merged }) =>
    row((letter) => merged(`restored-${letter}`, letter)),
  )
  const rows = await measure('emr.yaml', net, {}, async ({ merged, trained }) => ({
    trained: await row((letter) => trained(letter, letter)),
    tasks: await row((letter) => merged(letter, letter)),
    unscaled: await row((letter) => merged(`unscaled-${letter}`, letter)),
    unified: await row((letter) => merged('unified', letter)),
  }))
  printHead(net)
  print('  A, B and C, each alone', rows.trained)
  print('  EMR, a model for each', rows.tasks)
  print('  the same, without scales', rows.unscaled)
  print('  TALL masks of their sum', tall)
  print('  EMR, one model for all', rows.unified)
  losses.push(...LETTERS.map((_, i) => rows.trained[i] - rows.tasks[i]))
}
console.log(
  `\nWith its mask and scale, the one difference reads each specialist’s digits at most ${Math.max(...losses).toFixed(1)} points worse than the specialist.`,
)
