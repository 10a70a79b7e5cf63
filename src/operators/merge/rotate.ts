import { tooLargeToRotate } from '../../base/catalogue/operators.js'
import { rotation } from '../../kernels/solvers/rotation.js'
import { sizeOf } from '../../tensor/info.js'
import { defineOperator } from '../define.js'
import { model, number, perLayer } from '../params.js'

/** Memory for one tensor: some minutes of work on its matrices, and more than most machines can spare. */
const MOST_BYTES = 8e9

/** A kernel of a convolution is one point, as in sd-mecha; of other tensors, what leads to one output. */
const matrixOf = (shape: readonly number[]): readonly [rows: number, columns: number] => {
  const kernel = shape.length === 4 ? sizeOf(shape.slice(2)) : 1
  const rows = kernel > 1 ? shape[0]! * shape[1]! : shape[0]!
  return [rows, sizeOf(shape) / rows]
}

/** Rotates one model toward another. */
export const rotate = defineOperator({
  id: 'merge.rotate',
  version: 1,
  summary: 'Rotates the weights of one model toward those of another, without stretching them.',
  details: [
    'Each matrix is taken as points: its rows, or its columns where it has more of them. With `A` and `B` the points of `a` and `b` around their centres, `Q` is the orthogonal matrix for which `A·Q` is nearest to `B` (orthogonal Procrustes: the orthogonal part `U·Vᵀ` of `AᵀB`), and the result is `A·Q^alignment` around a centre between theirs. Each kernel of a convolution is one point; tensors of one dimension have no rotation and become `a + alpha·(b − a)`.',
    '',
    '`alignment: 0` with `alpha: 0` gives `a`, and 1 with 1 gives `b`, bit for bit. With a whole `alignment` Q may reflect, as in sd-mecha. Between 0 and 1 a reflection is undone along the direction that the points say least about; what turns by exactly half a circle (as where `b` is `−a`) has no shorter way, and is an error.',
    'Directions in which the points have no extent are not rotated: 2⁻³⁶ of its size is added to the diagonal of `AᵀB`. sd-mecha always takes rows for points. Where there are fewer rows than columns its `Q` is then a free choice of many; here the side that determines it is rotated.',
    'In float64, with a fixed order of operations. For N points of n numbers, a tensor takes about `60·N·n + 64·n²` bytes of memory, at most 8 GB, and about `4·N·n² + 30·n³` operations; with an `alignment` between 0 and 1, `130·n³`.',
  ].join('\n'),
  source: 'Schönemann 1966, “A generalized solution of the orthogonal Procrustes problem”; sd-mecha 1.1.5, `rotate`',
  aliases: [
    { name: 'rotate', from: 'sd-mecha', settings: 'the same names; matrices with fewer rows than columns differ' },
    { name: 'orthogonal Procrustes', from: 'Schönemann 1966' },
  ],
  output: 'model',
  inputs: {
    a: model('The model that is rotated.'),
    b: model('The model that it is rotated toward.'),
  },
  params: {
    alignment: perLayer({
      default: 1,
      min: 0,
      max: 1,
      description:
        'How far `a` is rotated: 0 not at all, 1 as near to `b` as a rotation gets, between them by a share of every angle.',
    }),
    alpha: perLayer({
      default: 0,
      description:
        'How much of what no rotation changes is taken from `b`: before the rotation, `a` moves toward `b·Qᵀ` by this share.',
    }),
    centralization: number({
      default: 1,
      min: 0,
      max: 1,
      description:
        'How far the points are moved to their centre before they are rotated: 1 rotates around it, 0 around 0.',
    }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'a quarter turn',
      inputs: {
        a: [
          [1, 0],
          [0, 2],
          [-1, 0],
          [0, -2],
        ],
        b: [
          [0, 1],
          [-1, 0],
          [0, -1],
          [1, 0],
        ],
      },
      expect: [0, 1, -2, 0, 0, -1, 2, 0],
    },
    {
      title: 'a third of it',
      inputs: {
        a: [
          [1, 0],
          [0, 2],
          [-1, 0],
          [0, -2],
        ],
        b: [
          [0, 1],
          [-1, 0],
          [0, -1],
          [1, 0],
        ],
      },
      params: { alignment: 1 / 3 },
      expect: [Math.sqrt(3) / 2, 0.5, -1, Math.sqrt(3), -Math.sqrt(3) / 2, -0.5, 1, -Math.sqrt(3)],
    },
  ],
  build: (g, { a, b }, { alignment, alpha, centralization }, { name, shape, at }) => {
    if (alignment === alpha && (alpha === 0 || alpha === 1)) return alpha === 0 ? a : b
    if (shape.length < 2 || sizeOf(shape) === 0) return g.add(a, g.mul(g.sub(b, a), alpha))
    const matrix = matrixOf(shape)
    const bytes = 36 * sizeOf(shape) + rotation.workspace([matrix, matrix], shape, [], [])
    if (bytes > MOST_BYTES) return tooLargeToRotate(at('a'), name, shape, bytes, MOST_BYTES)
    const operands = [a, b].map((x) => ({ x, shape: matrix }))
    return g.solve(rotation, operands, [alignment, alpha, centralization], shape)
  },
})
