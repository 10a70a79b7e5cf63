import { describe, expect, test } from 'vitest'
import { buildRun } from '../support/build-run.js'
import { compareFile } from '../support/recipe-run.js'
import { readCases } from './case.js'
import { mapCase } from './cases.js'

const mapped = readCases().flatMap((c) => {
  const run = mapCase(c)
  return typeof run === 'string' ? [] : [[c.id, run] as const]
})

describe('a real recipe, files in and file out, gives the expected numbers of', () => {
  test.each(mapped)('%s', async (_id, run) => {
    const result = await buildRun(run)
    if (run.expect === 'refusal') {
      expect(result.diagnostics.map((d) => d.code)).toContain(run.code)
      return
    }
    expect(result.type === 'ok' ? [] : result.diagnostics).toEqual([])
    if (result.type === 'ok') expect(compareFile(run, run.expect['out']!, result.value)).toEqual([])
  })
})
