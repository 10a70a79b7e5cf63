import type { Scalar, ScalarOp } from './expression.js'

/** Applies one scalar operation in float64. `if-less` is (x, y, then, otherwise). Division by zero follows IEEE. */
export const applyScalar = (op: ScalarOp, a: readonly number[]): number => {
  const [x = NaN, y = NaN, yes = NaN, no = NaN] = a
  switch (op) {
    case 'add': return x + y
    case 'sub': return x - y
    case 'mul': return x * y
    case 'div': return x / y
    case 'neg': return -x
    case 'abs': return Math.abs(x)
    case 'sqrt': return Math.sqrt(x)
    case 'min': return Math.min(x, y)
    case 'max': return Math.max(x, y)
    case 'sign': return Math.sign(x)
    case 'sin': return Math.sin(x)
    case 'cos': return Math.cos(x)
    case 'acos': return Math.acos(Math.min(1, Math.max(-1, x)))
    case 'if-less': return x < y ? yes : no
  }
}

/** Evaluates a scalar whose measures are known: `measured` gives the float64 value of a total or quantile. */
export const evaluateScalar = (scalar: Scalar, measured: (measure: Scalar) => number): number => {
  switch (scalar.type) {
    case 'literal': return scalar.value
    case 'compute': return applyScalar(scalar.op, scalar.args.map((arg) => evaluateScalar(arg, measured)))
    case 'total':
    case 'quantile':
      return measured(scalar)
  }
}
