import type { Scalar, ScalarOp } from './expression.js'
import { walk } from './walk.js'

/** Applies one scalar operation in float64. `if-less` is (x, y, then, otherwise). Division by zero follows IEEE. */
export const applyScalar = (op: ScalarOp, a: readonly number[]): number => {
  const [x = NaN, y = NaN, yes = NaN, no = NaN] = a
  switch (op) {
    case 'add':
      return x + y
    case 'sub':
      return x - y
    case 'mul':
      return x * y
    case 'div':
      return x / y
    case 'neg':
      return -x
    case 'abs':
      return Math.abs(x)
    case 'sqrt':
      return Math.sqrt(x)
    case 'min':
      return Math.min(x, y)
    case 'max':
      return Math.max(x, y)
    case 'sign':
      return Math.sign(x)
    case 'sin':
      return Math.sin(x)
    case 'cos':
      return Math.cos(x)
    case 'acos':
      return Math.acos(Math.min(1, Math.max(-1, x)))
    case 'if-less':
      return x < y ? yes : no
  }
}

/**
 * Evaluates scalars whose measures are known, each once: `measured` gives the float64 value of a total or quantile.
 * Values are memoised, so do not ask for a scalar before its measures are known.
 */
export const createScalars = (measured: (measure: Scalar) => number): ((scalar: Scalar) => number) => {
  const known = new Map<number, number>()
  const own = (e: Scalar): number => {
    switch (e.type) {
      case 'literal':
        return e.value
      case 'compute':
        return applyScalar(
          e.op,
          e.args.map((arg) => known.get(arg.id)!),
        )
      case 'total':
      case 'quantile':
        return measured(e)
    }
  }
  return (scalar) => {
    if (scalar.type === 'literal') return scalar.value
    walk([scalar], {
      enter: (e) => !known.has(e.id),
      leave: (e) => void known.set(e.id, own(e as Scalar)),
      below: (e) => (e.type === 'compute' ? e.args : []),
    })
    return known.get(scalar.id)!
  }
}
