import { describe, expect, test } from 'vitest'
import { evaluateRecipe } from '../support/evaluate.js'
import { compareFile } from '../support/recipe-run.js'
import { readCases } from './case.js'
import { MAPPED, mapCase } from './cases.js'
import { UNMAPPED } from './unmapped.js'

const cases = readCases()
const mapped = cases.flatMap((c) => {
  const run = mapCase(c)
  return typeof run === 'string' ? [] : [[c.id, run] as const]
})

test('every operation of the cases is either mapped to operators or explained', () => {
  for (const op of new Set(cases.map((c) => c.op)))
    expect([op, Number(op in MAPPED) + Number(op in UNMAPPED)]).toEqual([op, 1])
})

test('of the mapped operations, a case in ten at most is left out', () => {
  const left = cases.filter((c) => c.op in MAPPED && typeof mapCase(c) === 'string')
  expect(left.length).toBeLessThan(mapped.length / 10)
})

describe('the interpreter gives the expected numbers of', () => {
  test.each(mapped)('%s', (_id, run) => {
    const result = evaluateRecipe(run.recipe, run.files)
    if (run.expect === 'refusal') {
      expect(result.diagnostics.map((d) => d.code)).toContain(run.code)
      return
    }
    expect(result).toMatchObject({ type: 'ok' })
    if (result.type === 'ok') expect(compareFile(run, run.expect['out']!, result.value['out']!)).toEqual([])
  })
})
