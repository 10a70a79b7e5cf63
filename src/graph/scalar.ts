import type { Evaluation, Scalar, ScalarOp, Vector } from './expression.js'
import { walk } from './walk.js'

type Apply = (x: number, y: number, yes: number, no: number) => number

/** The scalar operations in float64. `if-less` is (x, y, then, otherwise). Division by zero follows IEEE. */
const OPERATIONS: Readonly<Record<ScalarOp, Apply>> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  neg: (x) => -x,
  abs: (x) => Math.abs(x),
  sqrt: (x) => Math.sqrt(x),
  min: (x, y) => Math.min(x, y),
  max: (x, y) => Math.max(x, y),
  sign: (x) => Math.sign(x),
  round: (x) => Math.round(x),
  'two-to': (x) => 2 ** x,
  exponent: (x) => exponentOf(x),
  mantissa: (x) => x / 2 ** exponentOf(x),
  sin: (x) => Math.sin(x),
  cos: (x) => Math.cos(x),
  acos: (x) => Math.acos(Math.min(1, Math.max(-1, x))),
  'if-less': (x, y, yes, no) => (x < y ? yes : no),
}

const exponentOf = (x: number): number => Math.floor(Math.log2(x) + 0.5)

/** Applies one scalar operation. */
export const applyScalar = (op: ScalarOp, [x = NaN, y = NaN, yes = NaN, no = NaN]: readonly number[]): number =>
  OPERATIONS[op](x, y, yes, no)

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
  const apply = OPERATIONS[op]
  const [x, y, yes, no] = [0, 1, 2, 3].map((i) => args[i] ?? NaN) as [Argument, Argument, Argument, Argument]
  const out = new Float64Array(length)
  for (let i = 0; i < length; i++) out[i] = apply(at(x, i), at(y, i), at(yes, i), at(no, i))
  return out
}

type Argument = Float64Array | number
const at = (arg: Argument, i: number): number => (typeof arg === 'number' ? arg : arg[i]!)
