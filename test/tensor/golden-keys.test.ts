import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { resolvePerLayer, selectLayers } from '#src/tensor/pattern.js'

const folder =
  process.env['SMELT_GOLDEN'] === undefined
    ? new URL('../data/golden/', import.meta.url)
    : new URL(`file://${process.env['SMELT_GOLDEN']}/`)
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))

interface Case {
  id: string
  op: string
  params: { patterns: string[]; operation: string; value: number }
  inputs: { keys?: { values?: string[]; ref?: string }; map?: { entries: Record<string, number> } }
  expected: { selected?: { type: string; values: string[] }; value?: { type: string; entries: Record<string, number> } }
}

const cases = read('daremerge.json') as Case[]
const lists = read('keylists.json') as Record<string, string[]>
const context = { diffusionPrefix: 'diffusion_model' }
const toPatterns = (texts: string[]) => texts.map((text) => ({ text }))

test.each(cases.filter((c) => c.op === 'select_keys').map((c) => [c.id, c] as const))(
  '%s',
  (_, { params, inputs, expected }) => {
    const keys = inputs.keys?.values ?? lists[inputs.keys?.ref ?? '']!
    const result = selectLayers(toPatterns(params.patterns), keys, context)
    if (expected.selected?.type === 'error')
      expect(result).toMatchObject({ type: 'failed', diagnostics: [{ code: 'pattern-selects-nothing' }] })
    else expect(result.type === 'ok' && [...result.value]).toEqual(expected.selected?.values)
  },
)

test.each(cases.filter((c) => c.op === 'gradient_edit' && c.params.operation === 'set').map((c) => [c.id, c] as const))(
  '%s',
  (_, { params, inputs, expected }) => {
    const before = Object.entries(inputs.map!.entries)
    const set = params.patterns.map((text) => ({ pattern: { text }, value: params.value }))
    const result = resolvePerLayer(
      { rules: set },
      before.map(([name]) => name),
      context,
    )
    if (expected.value?.type === 'error')
      expect(result).toMatchObject({ type: 'failed', diagnostics: [{ code: 'pattern-selects-nothing' }] })
    else
      expect(
        result.type === 'ok' &&
          Object.fromEntries(before.map(([name, value]) => [name, result.value.get(name) ?? value])),
      ).toEqual(expected.value?.entries)
  },
)

test('the golden cases are there', () => expect(cases.filter((c) => c.op === 'select_keys').length).toBe(17))
