import type { Evaluation, Scalar, ScalarOp, Vector } from './expression.js'
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

/** Values of scalars and vectors whose measures are known. */
export interface Evaluator {
  scalar(scalar: Scalar): number
  /** One number for each block. */
  vector(vector: Vector): Float64Array
}

/** The values of measures, once they are known. */
export interface Measured {
  number(measure: Scalar): number
  blocks(measure: Vector): Float64Array
}

/**
 * Evaluates scalars and vectors, each once: values are memoised, so do not ask for one before its measures are known.
 */
export const createEvaluator = (measured: Measured): Evaluator => {
  const numbers = new Map<number, number>()
  const vectors = new Map<number, Float64Array>()
  const results = new Map<Evaluation, readonly number[]>()
  const resultsOf = (of: Evaluation): readonly number[] => {
    const known = results.get(of) ?? of.fn.evaluate(of.args.map((arg) => numbers.get(arg.id)!))
    results.set(of, known)
    return known
  }
  const numberOf = (e: Scalar): number => {
    switch (e.type) {
      case 'literal':
        return e.value
      case 'compute':
        return applyScalar(
          e.op,
          e.args.map((arg) => numbers.get(arg.id)!),
        )
      case 'result':
        return resultsOf(e.of)[e.index]!
      case 'total':
      case 'quantile':
        return measured.number(e)
    }
  }
  const blocksOf = (e: Vector): Float64Array => {
    if (e.type === 'stored') throw new Error('stored vectors are read where they are spread')
    return e.type === 'combine'
      ? combineVectors(
          e.op,
          e.args.map((arg) => vectors.get(arg.id) ?? numbers.get(arg.id)!),
        )
      : measured.blocks(e)
  }
  const settle = (root: Scalar | Vector): void =>
    walk([root], {
      enter: (e) => !numbers.has(e.id) && !vectors.has(e.id),
      leave: (e) =>
        void (e.kind === 'vector' ? vectors.set(e.id, blocksOf(e)) : numbers.set(e.id, numberOf(e as Scalar))),
      below: (e) => (e.type === 'compute' || e.type === 'combine' ? e.args : e.type === 'result' ? e.of.args : []),
    })
  return {
    scalar: (scalar) => {
      if (scalar.type === 'literal') return scalar.value
      settle(scalar)
      return numbers.get(scalar.id)!
    },
    vector: (vector) => {
      settle(vector)
      return vectors.get(vector.id)!
    },
  }
}

/** Applies an operation block by block; a number counts for every block. One of the arguments is a vector. */
export const combineVectors = (op: ScalarOp, args: readonly (Float64Array | number)[]): Float64Array => {
  const { length } = args.find((arg) => typeof arg !== 'number') as Float64Array
  return Float64Array.from({ length }, (_, i) =>
    applyScalar(
      op,
      args.map((arg) => (typeof arg === 'number' ? arg : arg[i]!)),
    ),
  )
}
