/** Why an expression has no value: an unexpected token, or a name that is not a number. */
export type ArithmeticProblem =
  | { readonly type: 'syntax'; readonly found: string; readonly expected: 'operand' | 'sign' | ')' }
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'deep' }

/**
 * The value of an expression, or what is wrong with it. Division by zero gives an infinity or NaN, which no param may
 * be.
 */
export type ArithmeticResult = { readonly type: 'value'; readonly value: number } | ArithmeticProblem

const TOKEN = /\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_][\w-]*)|([-+*/()])|(\S))/gy

/** How deep parentheses and signs may nest; no real recipe needs more. */
const MOST_DEPTH = 64

/** Decimal digits that a result keeps, so that `1 - 0.9` is 0.1 and not 0.09999999999999998. */
const DIGITS = 15

/**
 * Computes `+ - * /` over numbers and names, with parentheses, in float64, rounded to 15 decimal digits. Names may hold
 * `-`, so a minus between names needs spaces.
 * `valueOf` gives the number of a name; undefined where it is none.
 */
export const computeArithmetic = (text: string, valueOf: (name: string) => number | undefined): ArithmeticResult => {
  const tokens = [...text.matchAll(TOKEN)].map(([, number, name, sign, other]) => ({
    number,
    name,
    sign,
    text: number ?? name ?? sign ?? other ?? '',
  }))
  let at = 0
  let depth = 0
  let problem: ArithmeticProblem | undefined
  const fail = (p: ArithmeticProblem): number => {
    problem ??= p
    at = tokens.length
    return NaN
  }
  const take = (...signs: readonly string[]): string | undefined => {
    const sign = tokens[at]?.sign
    if (sign === undefined || !signs.includes(sign)) return undefined
    at += 1
    return sign
  }
  const found = (): string => tokens[at]?.text ?? ''
  const operand = (): number => {
    if (++depth > MOST_DEPTH) return fail({ type: 'deep' })
    try {
      if (take('-') !== undefined) return -operand()
      if (take('+') !== undefined) return operand()
      if (take('(') !== undefined) {
        const value = sum()
        return take(')') === undefined ? fail({ type: 'syntax', found: found(), expected: ')' }) : value
      }
      const { number, name } = tokens[at] ?? {}
      if (number === undefined && name === undefined)
        return fail({ type: 'syntax', found: found(), expected: 'operand' })
      at += 1
      return number === undefined ? (valueOf(name!) ?? fail({ type: 'name', name: name! })) : Number(number)
    } finally {
      depth -= 1
    }
  }
  const product = (): number => {
    let value = operand()
    for (let sign = take('*', '/'); sign !== undefined; sign = take('*', '/'))
      value = sign === '*' ? value * operand() : value / operand()
    return value
  }
  const sum = (): number => {
    let value = product()
    for (let sign = take('+', '-'); sign !== undefined; sign = take('+', '-'))
      value = sign === '+' ? value + product() : value - product()
    return value
  }
  const value = sum()
  if (problem === undefined && at < tokens.length) fail({ type: 'syntax', found: found(), expected: 'sign' })
  return problem ?? { type: 'value', value: Number(value.toPrecision(DIGITS)) }
}
