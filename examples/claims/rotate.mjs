// Tests on three networks whether turning one specialist toward another does better than a straight line. Prints a table:
//   node examples/claims/rotate.mjs
import { line, mean, measure, NETS, print } from './measure.mjs'

const LETTERS = ['A', 'B']
const MERGES = {
  line: 'halfway on a line',
  halfway: 'halfway by rotation',
  near: '70 % A on a line',
  turned: 'A, turned to B',
}

console.log('Digits recognised correctly (%): rotated (A), mirrored (B), and the mean')
for (const net of NETS) {
  console.log(`\n${line(net, [...LETTERS, 'mean'])}`)
  await measure('rotate.yaml', net, {}, async ({ merged, trained }) => {
    const show = async (title, accuracyOf) => {
      const found = []
      for (const letter of LETTERS) found.push(await accuracyOf(letter))
      print(`  ${title}`, [...found, mean(found)])
    }
    for (const letter of LETTERS) await show(`${letter} alone`, (task) => trained(letter, task))
    for (const [name, title] of Object.entries(MERGES)) await show(title, (task) => merged(name, task))
  })
}
