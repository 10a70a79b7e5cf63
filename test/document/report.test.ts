import { expect, test } from 'vitest'
import type { Diagnostic, Severity } from '#src/base/diagnostic.js'
import { orderProblems } from '#src/document/report.js'

const source = { path: 'recipe.yaml', text: 'x'.repeat(200) }

const problem = (start: number, severity: Severity): Diagnostic => ({
  code: `at-${start}`,
  severity,
  blame: 'input',
  message: `${start}`,
  at: { type: 'text', range: { source, start, end: start + 1 } },
  related: [],
})

const many = (from: number, count: number, severity: Severity): Diagnostic[] =>
  Array.from({ length: count }, (_, i) => problem(from + i, severity))

test('warnings that are not shown are counted in a warning', () => {
  const told = orderProblems(many(0, 60, 'warning'))
  expect(told.length).toBe(51)
  expect(told.some(({ severity }) => severity === 'error')).toBe(false)
  expect(told.at(-1)).toMatchObject({ message: 'and 10 more warnings, the first of them here' })
})

test('an error behind many warnings is shown, in its place', () => {
  const told = orderProblems([...many(0, 60, 'warning'), problem(100, 'error')])
  expect(told.length).toBe(51)
  expect(told.at(-2)).toMatchObject({ code: 'at-100', severity: 'error' })
  expect(told.at(-1)).toMatchObject({ severity: 'warning' })
  expect(orderProblems(many(0, 60, 'error')).at(-1)).toMatchObject({ severity: 'error' })
})
