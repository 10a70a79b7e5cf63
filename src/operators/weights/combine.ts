import { divideByZero } from '../../base/catalogue/operators.js'
import { failed } from '../../base/result.js'
import { named } from '../aliases.js'
import { valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { likeInput, likeOf, makeWeights, numbersOf } from '../layer-numbers.js'
import { choice, perLayer } from '../params.js'

const OPERATIONS = {
  mean: '`(a + b)/2`',
  min: 'the smaller',
  max: 'the larger',
  add: '`a + b`',
  subtract: '`a − b`',
  multiply: '`a·b`',
  divide: '`a/b`',
} as const

const COMPUTE: Readonly<Record<keyof typeof OPERATIONS, (x: number, y: number) => number>> = {
  mean: (x, y) => (x + y) / 2,
  min: Math.min,
  max: Math.max,
  add: (x, y) => x + y,
  subtract: (x, y) => x - y,
  multiply: (x, y) => x * y,
  divide: (x, y) => x / y,
}

const JOIN = { inner: 'has no number', outer: 'keeps the one it has' } as const

/** Two weights in one. */
export const combine: Operator = {
  id: 'weights.combine',
  version: 1,
  summary: 'Combines two sets of weights, number by number.',
  aliases: [
    ...named('ComfyUI-DareMerge', ['DM_GradientOperations', 'Gradient Operations'], 'the same `operation` and `join`'),
  ],
  details:
    'For example, the product of a `weights.shell` and a `weights.attention` depends on depth and on the kind of layer.',
  source: 'ComfyUI-DareMerge, gradient operations',
  output: 'weights',
  inputs: { like: likeInput },
  params: {
    a: perLayer({ required: true, description: 'The first weights.' }),
    b: perLayer({ required: true, description: 'The second weights, or a number for every tensor.' }),
    operation: choice(OPERATIONS, 'mean', 'How the two numbers of a tensor are combined.'),
    join: choice(JOIN, 'inner', 'What happens to a tensor that has a number in only one of them.'),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    { inputs: { like: [1, 2] }, params: { a: 0.5, b: 0.25, operation: 'multiply' }, expect: [0.125] },
    {
      title: 'with numbers that only one of them has',
      inputs: { like: { both: [1], one: [1] } },
      params: { a: { both: 0.5, one: 0.75 }, b: { both: 0.25 }, operation: 'min', join: 'outer' },
      expect: { both: [0.25], one: [0.75] },
    },
  ],
  evaluate: (call) => {
    const [a, b] = [numbersOf(call, 'a'), numbersOf(call, 'b')]
    if (a.type === 'failed') return a
    if (b.type === 'failed') return b
    const operation = (valueOf(call, 'operation') ?? 'mean') as keyof typeof OPERATIONS
    const outer = valueOf(call, 'join') === 'outer'
    const zero = [...likeOf(call).tensors.keys()].find(
      (tensor) => operation === 'divide' && a.value(tensor) !== undefined && b.value(tensor) === 0,
    )
    if (zero !== undefined) return failed(divideByZero(call.at('b'), zero))
    return makeWeights(
      call,
      (tensor) => {
        const [x, y] = [a.value(tensor), b.value(tensor)]
        return x === undefined || y === undefined ? (outer ? (x ?? y) : undefined) : COMPUTE[operation](x, y)
      },
      [...a.diagnostics, ...b.diagnostics],
    )
  },
}
