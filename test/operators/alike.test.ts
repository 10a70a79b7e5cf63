import { expect, test } from 'vitest'
import { createValues } from '#src/operators/alike.js'

test('equal values of tensors are one object, and zeros keep their signs', () => {
  const numbers: Readonly<Record<string, number>> = { a: 0.5, b: 0.5, c: 1, zero: 0, negative: -0 }
  const valuesOf = createValues({ mode: 'above', none: undefined }, [['keep', (name) => numbers[name]]])
  expect(valuesOf('a')).toEqual({ keep: 0.5, mode: 'above', none: undefined })
  expect(valuesOf('b')).toBe(valuesOf('a'))
  expect(valuesOf('c')).not.toBe(valuesOf('a'))
  expect(Object.is(valuesOf('zero')['keep'], 0)).toBe(true)
  expect(Object.is(valuesOf('negative')['keep'], -0)).toBe(true)
  expect(valuesOf('unknown')).toEqual({ keep: undefined, mode: 'above', none: undefined })
})
