import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { findOperator, operators } from '#src/operators/index.js'
import { operatorPage } from '#src/operators/page.js'
import { findStale } from '#src/cli/generate.js'

const folder = fileURLToPath(new URL('../../src/operators/', import.meta.url))

test('every file of an operator is listed in index.ts', () => {
  const index = readFileSync(`${folder}index.ts`, 'utf8')
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => readdirSync(`${folder}${name}`).map((file) => `./${name}/${file.replace(/\.ts$/, '.js')}`))
  expect(files.length).toBeGreaterThan(10)
  for (const file of files) expect(index).toContain(`'${file}'`)
})

test('ids are unique, sorted and found', () => {
  const ids = operators.map(({ id }) => id)
  expect(ids).toEqual([...new Set(ids)].sort())
  for (const operator of operators) expect(findOperator(operator.id)).toBe(operator)
  expect(findOperator('merge.nothing')).toBeUndefined()
})

test('every parameter and input is described in a sentence', () => {
  for (const { inputs, params, summary } of operators) {
    for (const text of [
      summary,
      ...Object.values(inputs).map((x) => x.description),
      ...Object.values(params).map((x) => x.description),
    ])
      expect(text).toMatch(/^[A-Z`].*\.$/s)
  }
})

test('the generated schema and documentation are up to date', () => {
  expect(findStale(fileURLToPath(new URL('../../', import.meta.url)))).toEqual([])
})

test('a page shows parameters with defaults and ranges, and the example as a step', () => {
  const page = operatorPage(findOperator('merge.dare_linear')!)
  expect(page).toContain('| of each model: `density` | number 0 to 1, per layer | `0.1` |')
  expect(page).toContain(
    [
      'result:',
      '  op: merge.dare_linear',
      '  base: base',
      '  models:',
      '    - { model: model1, density: 0.5, kept: kept1 }',
    ].join('\n'),
  )
  expect(page).toContain('`base` [1, 1], `model1` [2, 3], `kept1` [true, false] → [3, 1]')
})
