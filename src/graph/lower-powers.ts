import { MOST_POWER, numberName, type Instruction } from './program.js'

/** Adds a node and gives the name of its result. */
type Emit = (op: string, inputs: readonly string[]) => string

/** A float32 whose last binary place is 1: what is added to it becomes a whole number. */
const WHOLE = numberName(1.5 * 2 ** 23)
const [ZERO, ONE] = [numberName(0), numberName(1)]
const STEPS = [64, 32, 16, 8, 4, 2, 1]

/** x, or the bound that it is beyond; NaN becomes the upper one. */
const between = (x: string, least: number, most: number, emit: Emit): string => {
  const [lower, upper] = [numberName(least), numberName(most)]
  const below = emit('Where', [emit('Less', [x, upper]), x, upper])
  return emit('Where', [emit('Greater', [below, lower]), below, lower])
}
const rounded = (x: string, emit: Emit): string => emit('Sub', [emit('Add', [x, WHOLE]), WHOLE])

/** 2ˣ, one binary place of |x| after the other. */
const twoTo = (x: string, emit: Emit): string => {
  let [rest, power] = [emit('Abs', [x]), ONE]
  for (const step of STEPS) {
    const holds = emit('GreaterOrEqual', [rest, numberName(step)])
    power = emit('Where', [holds, emit('Mul', [power, numberName(2 ** -step)]), power])
    rest = emit('Where', [holds, emit('Sub', [rest, numberName(step)]), rest])
  }
  return emit('Where', [emit('Less', [x, ZERO]), power, emit('Div', [ONE, power])])
}

interface Split {
  readonly exponent: string
  readonly mantissa: string
}

/** Brings x ≤ 1 near 1, doubling it one binary place of its exponent after the other. */
const split = (x: string, emit: Emit): Split => {
  let [mantissa, exponent] = [x, ZERO]
  for (const step of STEPS) {
    const large = emit('GreaterOrEqual', [mantissa, numberName(Math.SQRT1_2 * 2 ** (1 - step))])
    mantissa = emit('Where', [large, mantissa, emit('Mul', [mantissa, numberName(2 ** step)])])
    exponent = emit('Where', [large, exponent, emit('Sub', [exponent, numberName(step)])])
  }
  return { exponent, mantissa }
}

/** The instructions of powers of two as nodes that every provider has, for one program; undefined for all others. */
export const lowerPowers = (emit: Emit): ((instruction: Instruction) => Instruction | undefined) => {
  const splits = new Map<string, Split>()
  const splitOf = (x: string): Split => {
    const known = splits.get(x) ?? split(between(x, 2 ** -MOST_POWER, 1, emit), emit)
    splits.set(x, known)
    return known
  }
  return ({ op, inputs, output }) => {
    const x = inputs[0]!
    const identity = (name: string): Instruction => ({ op: 'Identity', inputs: [name], output })
    switch (op) {
      case 'Round':
        return { op: 'Sub', inputs: [emit('Add', [x, WHOLE]), WHOLE], output }
      case 'TwoTo':
        return identity(twoTo(rounded(between(x, -MOST_POWER, MOST_POWER, emit), emit), emit))
      case 'Exponent':
        return identity(splitOf(x).exponent)
      case 'Mantissa':
        return identity(splitOf(x).mantissa)
      default:
        return undefined
    }
  }
}
