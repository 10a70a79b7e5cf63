import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { sizeOfParts } from '#src/cluster/lay-out.js'
import { makeRunFolder, type RunPart } from '#src/cluster/layout.js'
import { readPart, readParts, writeParts } from '#src/cluster/part-files.js'
import { build } from '#src/run/build.js'
import { renderReport } from '#src/view/report/render.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { contentsOf, finish, laidOut, MODELS, valueOf, writeProject } from './small-project.js'

const MORE = { ...MODELS, grams: 'grams.safetensors' }
const LIST = [
  { model: 'a', density: 0.3 },
  { model: 'b', density: 0.4 },
]
/** A part that does nothing. */
const PART: Omit<RunPart, 'number'> = {
  stage: 0,
  type: 'tensors',
  bytes: 1,
  jobs: [],
  measures: [],
  reports: [],
  reads: [],
}
type Steps = Readonly<Record<string, object>>
const to = (steps: Steps, output: object = {}) => ({
  steps,
  outputs: Object.fromEntries(
    Object.keys(steps).map((name) => [name, { from: name, path: `out/${name}.safetensors`, ...output }]),
  ),
})

/** A recipe for each way in which work can depend on other work. */
const RECIPES: Readonly<Record<string, object>> = {
  'element by element': to({ x: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.3 } }),
  'copies, and numbers that no one merges': to({ x: { op: 'merge.passthrough', model: 'a' } }),
  'random numbers': to({ x: { op: 'merge.dare_linear', base: 'base', models: LIST } }),
  'thresholds of tensors': to({ x: { op: 'merge.ties', base: 'base', models: LIST } }),
  'thresholds of a whole model': to({ x: { op: 'merge.ties', base: 'base', models: LIST, scope: 'model' } }),
  'a whole model measured, and measured again': {
    ...to({
      x: { op: 'merge.ties', base: 'base', models: LIST, scope: 'model' },
      y: {
        op: 'merge.ties',
        base: 'base',
        models: [
          { model: 'x', density: 0.5 },
          { model: 'c', density: 0.2 },
        ],
        scope: 'model',
      },
    }),
  },
  masks: to({
    strong: { op: 'mask.magnitude', model: 'a', base: 'base', quantile: 0.7, scope: 'model' },
    chance: { op: 'mask.fill', like: 'a', p: 0.3 },
    either: { op: 'mask.union', masks: ['strong', 'chance'] },
    x: { op: 'merge.linear', models: ['a', 'b'], mask: 'either' },
  }),
  'equations that are solved': {
    models: MORE,
    ...to({
      x: {
        op: 'merge.regmean',
        models: [
          { model: 'a', statistics: 'grams' },
          { model: 'b', statistics: 'grams' },
        ],
        layers: '**.weight',
      },
    }),
  },
  'singular vectors': to({ x: { op: 'merge.isotropic', base: 'base', models: ['a', 'b'], layers: '**.weight' } }),
  rotations: to({ x: { op: 'merge.rotate', a: 'a', b: 'b', layers: '**.weight' } }),
  'sums over tensors': to({ x: { op: 'merge.karcher', models: ['a', 'b', 'c'] } }),
  'an adapter': to({
    x: { op: 'adapter.extract', model: 'a', base: 'base', rank: 2 },
    y: { op: 'adapter.apply', model: 'base', adapter: 'x' },
  }),
  'ranks that the numbers decide': to({
    x: { op: 'adapter.extract', model: 'a', base: 'base', rank: 8, method: 'energy', amount: 0.6 },
  }),
  'shards, and other dtypes': to(
    { x: { op: 'merge.linear', models: { a: 0.5, b: 0.5 } } },
    { dtype: 'bf16', shard_size: '400B' },
  ),
  'several settings': {
    params: { keep: 0.5 },
    steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep: '${keep}' } },
    outputs: { x: { from: 'x', path: 'out/${keep}.safetensors' } },
  },
  reports: {
    steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.3 }, r: { op: 'report.diff', a: 'x', b: 'base' } },
    outputs: { x: { from: 'x', path: 'out/x.safetensors' }, r: { from: 'r', path: 'out/r.json' } },
  },
  'reports alone': {
    steps: { r: { op: 'report.model', model: 'a' } },
    outputs: { r: { from: 'r', path: 'out/r.json' } },
  },
}

describe('a build in parts writes what a build on one machine writes, and nothing else', () => {
  test.each(Object.entries(RECIPES))('%s', (name, recipe) =>
    inFolder(async (folder) => {
      const set = name === 'several settings' ? { keep: '0.2,0.4,0.6' } : {}
      const [one, many] = [join(folder, 'one'), join(folder, 'many')]
      const built = await build(writeProject(one, recipe), {
        workers: 1,
        start: inlineWorker,
        render: renderReport,
        set,
      })
      const laid = await laidOut(writeProject(many, recipe), { set })
      if (name !== 'reports alone') expect(laid.plan.stages.at(-1)!.parts).toBeGreaterThan(1)
      const committed = await finish(laid)
      const [x, y] = [valueOf(built), valueOf(committed)]
      expect(y.outputs.map((o) => o.digest)).toEqual(x.outputs.map((o) => o.digest))
      expect(contentsOf(many)).toEqual(contentsOf(one))
      expect(committed.diagnostics.map((d) => d.code)).toEqual(built.diagnostics.map((d) => d.code))
    }),
  )
})

describe('what a run is cut into', () => {
  const stagesOf = (recipe: object, parts: number) =>
    inFolder(async (folder) => (await laidOut(writeProject(folder, recipe), { parts })).plan.stages)

  test('a measure over more tensors than one part has comes first', async () => {
    const stages = await stagesOf(RECIPES['thresholds of a whole model']!, 4)
    expect(stages.map((s) => s.parts)).toEqual([1, 4])
  })

  test('and is no part of its own where one part has all of them', async () => {
    const stages = await stagesOf(RECIPES['thresholds of a whole model']!, 1)
    expect(stages.map((s) => s.parts)).toEqual([1])
  })

  test('a measure of one tensor does not come first', async () => {
    expect(await stagesOf(RECIPES['thresholds of tensors']!, 4)).toHaveLength(1)
  })
})

test('the same recipe has the same run, and another one has another', () =>
  inFolder(async (folder) => {
    const path = writeProject(folder, RECIPES['element by element']!)
    const first = await laidOut(path)
    expect(await laidOut(path)).toMatchObject({ run: first.run, isResumed: true })
    expect((await laidOut(path, { parts: 2 })).run).not.toBe(first.run)
    writeProject(folder, RECIPES['random numbers']!)
    expect((await laidOut(path)).run).not.toBe(first.run)
  }))

test('parts have four turns for each task at a time, or one where there is one task, and never less or more than is worth it', () => {
  expect(sizeOfParts(320e9, { parallel: 8 })).toBe(10e9)
  expect(sizeOfParts(10e9, { parallel: 1 })).toBe(10e9)
  expect(sizeOfParts(10e9, { parallel: 8 })).toBe(2e9)
  expect(sizeOfParts(1e12, { parallel: 1 })).toBe(64e9)
  expect(sizeOfParts(10e9, { parallel: 8, parts: 10 })).toBe(1e9)
})

test('what more parts do than a file describes is found, and a part that is not there is told', () =>
  inFolder((folder) => {
    makeRunFolder(folder)
    const parts = Array.from({ length: 201 }, (_, number) => ({ ...PART, number }))
    writeParts(folder, parts)
    expect([0, 99, 100, 200].map((part) => valueOf(readPart(folder, part)).number)).toEqual([0, 99, 100, 200])
    expect(valueOf(readParts(folder, 201))).toEqual(parts)
    expect(readPart(folder, 201).diagnostics[0]?.code).toBe('run-invalid')
    expect(readPart(folder, 300).diagnostics[0]?.code).toBe('run-missing')
    return Promise.resolve()
  }))
