import { kroneckerApproximation } from '../../kernels/solvers/kronecker.js'
import { sizeOf } from '../../tensor/info.js'
import { defineOperator } from '../define.js'
import { model as modelInput, perLayer } from '../params.js'

/** The best approximation by a Kronecker product. */
export const truncateKronecker = defineOperator({
  id: 'model.truncate_kronecker',
  version: 1,
  summary: 'Replaces each matrix by the nearest Kronecker product of two smaller ones.',
  aliases: [
    { name: 'truncate_kronecker', from: 'sd-mecha', settings: '`ratio` is its `kronecker_ratio`' },
    { name: 'nearest Kronecker product', from: 'common usage' },
  ],
  details: [
    'Replaces each matrix by the Kronecker product `A ⊗ B` that is nearest to it: every number of `A` times all of `B`, as LoKr adapters store their changes. Meant for differences: what such an adapter could hold of them. Convolutions keep their kernels in `B`; vectors stay as they are.',
    '',
    '`ratio` says how large `A` is. At 0.5 both have about as many numbers; at 1, `A` has as many rows and columns as the matrix, and at 0, `B` has. In between, the logarithm of the size of `A` grows evenly. Of the sizes that divide rows and columns it takes the nearest. Where several are as near, as of a matrix of 1280 × 640, it takes what sd-mecha takes, which is as good as by chance: a product of two matrices is recognised for certain only where the size of `A` is its own.',
    '',
    'The error is within 1 % of the least that is possible.',
  ].join('\n'),
  source: 'sd-mecha 1.1.5, `truncate_kronecker`; Van Loan and Pitsianis 1993, “Approximation with Kronecker Products”',
  output: 'model',
  inputs: { model: modelInput('The model or difference.', 'any') },
  params: { ratio: perLayer({ default: 0.5, min: 0, max: 1, description: 'The size of `A`, from 0 to 1.' }) },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'a product of [[1, 2], [3, 4]] and [[1, 0], [0, 0]] stays as it is',
      inputs: {
        model: [
          [1, 0, 2, 0],
          [0, 0, 0, 0],
          [3, 0, 4, 0],
          [0, 0, 0, 0],
        ],
      },
      expect: [1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0],
    },
  ],
  build: (g, { model }, { ratio }, { shape }) =>
    shape.length < 2 || sizeOf(shape) === 0
      ? model
      : g.solve(kroneckerApproximation, [{ x: model, shape }], factorSides(shape, ratio), shape),
})

const divisorsOf = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0)

/**
 * The rows and columns of the first factor, by the very operations of sd-mecha: where several are equally good, its
 * rounding decides. V8's logarithm is the same on every machine, and that of Python another in one of a hundred cases.
 */
const factorSides = (shape: readonly number[], ratio: number): readonly [number, number] => {
  const [rows = 1, columns = 1] = shape
  const middle = 0.5 * Math.log(sizeOf(shape))
  const choices = divisorsOf(rows).flatMap((m) =>
    divisorsOf(columns).map((n) => ({
      sides: [m, n] as const,
      offset: Math.log(m * n) - middle,
      skew: Math.abs(Math.log(m / (rows / m))) + Math.abs(Math.log(n / (columns / n))),
    })),
  )
  const reach = choices.reduce((most, { offset }) => Math.max(most, Math.abs(offset)), 0)
  const target = (2 * ratio - 1) * reach
  const best = choices.reduce((x, y) => {
    const [near, nearer] = [Math.abs(x.offset - target), Math.abs(y.offset - target)]
    return nearer < near || (nearer === near && y.skew < x.skew) ? y : x
  })
  return best.sides
}
