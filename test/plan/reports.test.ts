import { join } from 'node:path'
import { expect, test } from 'vitest'
import { prepare } from '#src/run/prepare.js'
import { makeFolder } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const planOf = async (output: Readonly<Record<string, unknown>>, more: Readonly<Record<string, unknown>> = {}) => {
  const folder = makeFolder()
  try {
    writeSafetensors(join(folder.path, 'm.safetensors'), {
      x: { dtype: 'F32', shape: [2], values: [1, 2] },
      y: { dtype: 'F32', shape: [3], values: 1 },
    })
    folder.write(
      'recipe.yaml',
      JSON.stringify({
        smelt: 1,
        models: { m: 'm.safetensors' },
        steps: { look: { op: 'report.model', model: 'm' }, weighed: { op: 'report.weights', like: 'm', weights: 0.5 } },
        outputs: { out: { from: 'look', ...output }, other: { from: 'weighed', path: 'other.txt' }, ...more },
      }),
    )
    return await prepare(join(folder.path, 'recipe.yaml'))
  } finally {
    folder.remove()
  }
}

const codesOf = async (...args: Parameters<typeof planOf>): Promise<readonly string[]> =>
  (await planOf(...args)).diagnostics.map((d) => d.code)

test.each(['txt', 'json', 'svg', 'png', 'html', 'HTML'])(
  'a report is planned in the form of its ending .%s',
  async (ending) => {
    const prepared = await planOf({ path: `reports/look.${ending}` })
    if (prepared.type === 'failed') throw new Error(prepared.diagnostics[0]!.message)
    const { reports, outputs, jobs, totals } = prepared.value.plan
    expect(reports.map(({ name, format, step }) => ({ name, format, step }))).toEqual([
      { name: 'out', format: ending.toLowerCase(), step: 'look' },
      { name: 'other', format: 'txt', step: 'weighed' },
    ])
    expect(outputs).toEqual([])
    expect(jobs.map((job) => job.tensor)).toEqual(['x', 'y'])
    expect(totals).toMatchObject({ readBytes: 20, writeBytes: 0 })
  },
)

test('another ending is refused with the endings there are', async () => {
  const prepared = await planOf({ path: 'look.pdf' })
  expect(prepared.diagnostics.map((d) => [d.code, d.help])).toEqual([
    ['report-ending', 'end the path in `.txt`, `.json`, `.svg`, `.png` or `.html`'],
  ])
})

test.each([
  ['dtype', 'f16'],
  ['dtype', { '**': 'f16' }],
  ['shard_size', '5GB'],
  ['delta', true],
  ['non_finite', 'allow'],
  ['metadata', { a: 'b' }],
])('`%s` says nothing of a report', async (key, value) => {
  const prepared = await planOf({ path: 'look.txt', [key]: value })
  expect(prepared.diagnostics.map((d) => [d.code, d.message])).toEqual([
    ['report-option', `\`${key}\` does not apply to \`look\`, which is a report`],
  ])
})

test('a report does not go over a file that is read, or that is written by another output', async () => {
  expect(await codesOf({ path: 'other.txt' })).toEqual(['output-twice'])
  expect(await codesOf({ path: 'look.txt' }, { again: { from: 'weighed', path: 'look.txt' } })).toEqual([
    'output-twice',
  ])
})

test('what needs no numbers of a model has no work to do', async () => {
  const prepared = await planOf({ from: 'weighed', path: 'look.txt' })
  if (prepared.type === 'failed') throw new Error(prepared.diagnostics[0]!.message)
  expect(prepared.value.plan.jobs).toEqual([])
})

test('a layer shown closely is one layer', async () => {
  const folder = makeFolder()
  writeSafetensors(join(folder.path, 'm.safetensors'), {
    x: { dtype: 'F32', shape: [2], values: [1, 2] },
    y: { dtype: 'F32', shape: [3], values: 1 },
  })
  folder.write(
    'recipe.yaml',
    JSON.stringify({
      smelt: 1,
      models: { m: 'm.safetensors' },
      steps: { look: { op: 'report.model', model: 'm', layer: '*' } },
      outputs: { out: { from: 'look', path: 'look.txt' } },
    }),
  )
  const prepared = await prepare(join(folder.path, 'recipe.yaml'))
  folder.remove()
  expect(prepared.diagnostics.map((d) => d.message)).toEqual([
    '`layer` selects 2 tensors, and only one can be shown in detail: `x`, `y`',
  ])
})
