import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeReport } from '#src/cli/run-report.js'
import { makeFolder, smelt } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const folder = makeFolder({
  'recipe.yaml': `smelt: 1
name: small
models: { a: a.safetensors, b: b.safetensors }
steps:
  strong: { op: mask.magnitude, model: a, base: b, select: above, quantile: 0.5 }
  spare: { op: mask.magnitude, model: b, base: a, select: above, quantile: 0.5 }
  half: { op: merge.blend, a: a, b: b, mask: strong, keep: { default: 0.25, "y": 0.75 } }
outputs:
  merged: { from: half, path: merged.safetensors }
`,
})
const at = (name: string): string => join(folder.path, name)
interface Report {
  readonly sections: readonly {
    readonly title: string
    readonly facts?: readonly { readonly label: string; readonly value: number }[]
    readonly rows?: readonly { readonly cells: readonly unknown[] }[]
  }[]
}

beforeAll(() => {
  writeSafetensors(at('a.safetensors'), {
    x: { dtype: 'F32', shape: [4], values: [0, 1, 2, 8] },
    y: { dtype: 'F32', shape: [2], values: [1, 2] },
  })
  writeSafetensors(at('b.safetensors'), {
    x: { dtype: 'F32', shape: [4], values: [0, 0, 0, 0] },
    y: { dtype: 'F32', shape: [2], values: [0, 0] },
  })
})
afterAll(() => folder.remove())

describe('smelt build --report', () => {
  it('writes what the build did with the numbers of its masks and weights, and says so', async () => {
    const done = await smelt(folder.path, ['build', 'recipe.yaml', '--report', 'build/report.json'])
    expect(done).toMatchObject({ code: 0, stderr: expect.stringContaining('wrote build/report.json') })
    const { sections } = JSON.parse(readFileSync(at('build/report.json'), 'utf8')) as Report
    const titles = sections.map((s) => s.title)
    expect(titles).toEqual(
      expect.arrayContaining(['Steps', 'Outputs', 'Warnings and errors', 'Mask of strong', 'Weights of half, keep']),
    )
    expect(titles.join()).not.toContain('of spare')
    // The differences are 0, 1, 2, 8 and 1, 2: above the half of each tensor's own stand two and one.
    expect(
      Object.fromEntries(sections.find((s) => s.title === 'Mask of strong')!.facts!.map((f) => [f.label, f.value])),
    ).toMatchObject({ parameters: 6, selected: 3 })
    expect(sections.find((s) => s.title === 'Layers of half, keep')!.rows!.map((r) => r.cells)).toEqual([
      ['x', 0.25],
      ['y', 0.75],
    ])
  })

  it('makes a page with the graph, also where nothing had to be done, and the outputs are the same with and without it', async () => {
    const before = readFileSync(at('merged.safetensors'))
    const done = await smelt(folder.path, ['build', 'recipe.yaml', '--report', 'report.html', '--quiet'])
    expect(done.code).toBe(0)
    const page = readFileSync(at('report.html'), 'utf8')
    expect(page).toContain('<h2>Graph</h2>')
    expect(page).toContain('Mask of strong')
    expect(readFileSync(at('merged.safetensors')).equals(before)).toBe(true)
  })

  it('refuses an ending that is no form before it builds anything', async () => {
    const done = await smelt(folder.path, ['build', 'recipe.yaml', '--report', 'report.pdf', '--out', 'never'])
    expect(done).toMatchObject({ code: 2, stderr: expect.stringContaining('error[report-ending]') })
    expect(existsSync(at('never'))).toBe(false)
  })

  it('refuses a place where no file can be before it builds anything', async () => {
    const done = await smelt(folder.path, [
      'build',
      'recipe.yaml',
      '--report',
      'recipe.yaml/report.html',
      '--out',
      'never',
    ])
    expect(done).toMatchObject({ code: 2, stderr: expect.stringContaining('error[output-below-file]') })
    expect(existsSync(at('never'))).toBe(false)
  })

  it('refuses a name that is too long before it builds anything', async () => {
    const path = `${'long'.repeat(100)}.html`
    const done = await smelt(folder.path, ['build', 'recipe.yaml', '--report', path, '--out', 'never'])
    expect(done).toMatchObject({ code: 2, stderr: expect.stringContaining('error[name-too-long]') })
    expect(existsSync(at('never'))).toBe(false)
  })

  it('warns where the report cannot be written in the end; the build is done all the same', async () => {
    const document = { title: 'done', subject: '', facts: [], sections: [] }
    const problems = await writeReport({ path: at('recipe.yaml/report.txt'), format: 'txt' }, document)
    expect(problems).toMatchObject([{ code: 'report-not-written', severity: 'warning' }])
  })
})
