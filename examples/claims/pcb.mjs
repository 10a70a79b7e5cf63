// Tests on three networks whether PCB-Merging makes one model that does better than TIES or an average, each with the
// settings that suit it best. Prints a table:
//   node examples/claims/pcb.mjs
import { measure, NETS, print, printHead, row } from './measure.mjs'

const [DENSITIES, LAMBDAS] = [
  [0.1, 0.4, 0.8],
  [0.8, 1, 1.6, 2],
]
const KINDS = ['average', 'ties', 'pcb']
const TITLES = { average: 'average', ties: 'TIES', pcb: 'PCB' }

const gains = []
for (const net of NETS) {
  const found = await measure('pcb.yaml', net, { density: DENSITIES, lambda: LAMBDAS }, async ({ merged }) => {
    const runs = []
    for (const kind of KINDS)
      for (const density of kind === 'average' ? DENSITIES.slice(0, 1) : DENSITIES)
        for (const lambda of LAMBDAS) {
          const cells = await row((letter) => merged(`${kind}-${density}-${lambda}`, letter))
          runs.push({ kind, density, lambda, cells })
        }
    return runs
  })
  const best = (some) => some.reduce((one, other) => (other.cells.at(-1) > one.cells.at(-1) ? other : one))
  const settings = ({ kind, density, lambda }) =>
    `  ${TITLES[kind]},${kind === 'average' ? '' : ` density ${density},`} lambda ${lambda}`
  const tops = KINDS.map((kind) => best(found.filter((run) => run.kind === kind)))
  printHead(net)
  for (const kind of KINDS.slice(1)) {
    const plain = found.find((run) => run.kind === kind && run.density === DENSITIES[0] && run.lambda === 1)
    print(settings(plain), plain.cells)
  }
  for (const top of tops) print(settings(top), top.cells)
  gains.push(tops[2].cells.at(-1) - Math.max(tops[0].cells.at(-1), tops[1].cells.at(-1)))
}
console.log(
  `\nWith settings chosen for each on these digits, PCB gains ${gains.map((gain) => gain.toFixed(1)).join(', ')} points on the better of TIES and the average.`,
)
