import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { operators } from '#src/operators/index.js'
import { build, type BuildOptions } from '#src/run/build.js'
import type { Device } from '#src/run/devices/device.js'
import type { WorkerHandle } from '#src/run/worker-pool.js'
import type { WorkerStart } from '#src/run/worker.js'
import { renderReport } from '#src/view/report/render.js'
import { readCases } from '../../golden/case.js'
import { mapCase } from '../../golden/cases.js'
import { makeBase, train, writeCheckpoint, type Checkpoint } from '../../recipes/checkpoint.js'
import { makeLora, SD1_MODULES } from '../../recipes/lora.js'
import { RECIPES } from '../../recipes/recipe.js'
import { makeRandom } from '../../safetensors/files.js'
import { inFolder } from '../../support/build-run.js'
import { exampleRun } from '../../support/examples.js'
import type { RecipeRun } from '../../support/recipe-run.js'
import { writeRun } from '../../support/write-run.js'
import { writeSafetensors, type TensorValues } from '../../support/write-safetensors.js'
import { anyHand, pretend } from './pretend.js'

const SMALL = 1 << 16
const filesBelow = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()

/**
 * What a build writes, by file, as text that differs where bytes do; or, where a recipe is refused, nothing but why.
 */
const outcome = async (
  recipe: string,
  name: string,
  options: BuildOptions,
): Promise<Readonly<Record<string, string>>> => {
  const out = join(recipe, '..', name)
  const done = await build(recipe, { workers: 1, start: anyHand, out, lock: false, render: renderReport, ...options })
  if (done.type === 'failed') return { refused: done.diagnostics.map((d) => d.message).join() }
  const files = existsSync(out) ? filesBelow(out) : []
  expect(files.length).toBeGreaterThan(0)
  return Object.fromEntries(files.map((file) => [file, readFileSync(join(out, file)).toString('latin1')]))
}

const processor = (chunk = 1 << 15): BuildOptions => ({ cutting: { chunk, block: SMALL } })
/** Fails where a device, in any cutting, writes another byte than the processor. */
const compare = async (
  recipe: string,
  devices: readonly (readonly [Device, number, number])[] = [
    ['cuda:0', SMALL, SMALL],
    ['webgpu', SMALL, SMALL],
  ],
): Promise<readonly string[]> => {
  const expected = await outcome(recipe, 'cpu', processor())
  const used = new Set<string>()
  const start = (order: WorkerStart): WorkerHandle => {
    used.add(order.engine.type)
    return anyHand(order)
  }
  const second = await outcome(recipe, 'onnx', { ...processor(), start, engine: 'onnx' })
  expect([...used].filter((type) => type !== 'onnx')).toEqual([])
  expect(
    Object.keys({ ...expected, ...second }).filter((file) => second[file] !== expected[file]),
    'by ONNX Runtime',
  ).toEqual([])
  for (const [i, [device, chunk, block]] of devices.entries()) {
    const found = await outcome(recipe, `device${i}`, pretend(device, chunk, block))
    // Not by toEqual, which would print megabytes.
    const differing = Object.keys({ ...expected, ...found }).filter((file) => found[file] !== expected[file])
    expect(differing, `${device} in chunks of ${chunk}`).toEqual([])
  }
  return Object.keys(expected)
}
const compareRun = (run: RecipeRun): Promise<void> =>
  inFolder(async (folder) =>
    expect((await compare(writeRun(folder, run))).includes('refused')).toBe(run.expect === 'refusal'),
  )

describe('a device writes the bytes that the processor writes', () => {
  test.each(operators.filter((op) => op.output !== 'report').map((op) => [op.id, op] as const))(
    'for every example of %s',
    async (_id, operator) => {
      for (const example of operator.examples) await compareRun(exampleRun(operator, example))
    },
  )

  // One of each operation: their programs are compared one by one elsewhere.
  const cases = new Map(
    readCases()
      .map((c) => [c.op, mapCase(c)] as const)
      .filter((entry): entry is readonly [string, RecipeRun] => typeof entry[1] !== 'string'),
  )
  test.each([...cases])('for a reference case of %s', async (_op, run) => compareRun(run))
})

/** One segment and an element more. */
const LARGE = (1 << 20) + 1
const FLOATS = ['F32', 'F64', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2'] as const
/** Few distinct values, so that magnitudes tie everywhere. */
const draw = (n: number, seed: number): number[] => {
  const random = makeRandom(seed)
  return Array.from({ length: n }, () => Math.round((random() - 0.5) * 64) / 16)
}
const vector = (dtype: TensorValues['dtype'], values: readonly number[]): TensorValues => ({
  dtype,
  shape: [values.length],
  values,
})
const tensors = (seed: number): Record<string, TensorValues> => ({
  large: vector('BF16', draw(LARGE, seed)),
  ...Object.fromEntries(
    FLOATS.map((dtype, i) => [`${dtype}.weight`, { ...vector(dtype, draw(1200, seed + i)), shape: [30, 40] }]),
  ),
  one: vector('F16', [0.5 * seed]),
  none: vector('BF16', []),
  scalar: { dtype: 'F32', shape: [], values: [seed] },
  ids: vector('I64', [1, 2]),
})
const masks = (dtype: 'I64' | 'BOOL' | 'F16', seed: number): Record<string, TensorValues> =>
  Object.fromEntries(
    Object.entries(tensors(1))
      .filter(([name]) => name !== 'ids')
      .map(([name, { shape, values }]) => [
        name,
        { dtype, shape, values: draw((values as readonly number[]).length, seed).map((v) => (v > 0 ? 1 : 0)) },
      ]),
  )

/** Writes models of special numbers, of which all dtypes have those that they can. */
const SPECIAL = [
  0,
  -0,
  1,
  -1,
  NaN,
  -NaN,
  Infinity,
  -Infinity,
  2 ** -149,
  -(2 ** -149),
  2 ** -126,
  2 ** -24,
  2 ** -16,
  -(2 ** -9),
  448,
  57344,
  65504,
  3.4e38,
  -3.4e38,
  1 + 2 ** -8,
  1 + 3 * 2 ** -8,
  1 + 2 ** -11,
]
const special = (shift: number): Record<string, TensorValues> =>
  Object.fromEntries(
    FLOATS.map((dtype) => [
      `${dtype}.special`,
      vector(
        dtype,
        SPECIAL.flatMap((_, i) => SPECIAL.map((_, j) => SPECIAL[(shift === 0 ? i : i + j) % SPECIAL.length]!)),
      ),
    ]),
  )

const writeModels = (
  folder: string,
  files: Readonly<Record<string, Record<string, TensorValues>>>,
  recipe: object,
): string => {
  for (const [name, content] of Object.entries(files)) writeSafetensors(join(folder, `${name}.safetensors`), content)
  const path = join(folder, 'recipe.yaml')
  writeFileSync(
    path,
    JSON.stringify({
      smelt: 1,
      models: Object.fromEntries(Object.keys(files).map((name) => [name, `${name}.safetensors`])),
      ...recipe,
    }),
  )
  return path
}
const outputs = (steps: object, more: object = {}): object =>
  Object.fromEntries(Object.keys(steps).map((from) => [from, { from, path: `${from}.safetensors`, ...more }]))

describe('in chunks of any length a device writes the bytes that the processor writes', () => {
  const CUTTINGS = [
    ['cuda:0', 1 << 20, 1 << 20],
    ['cuda:0', 10_007, SMALL],
    ['webgpu', SMALL, 1 << 17],
  ] as const

  test('of all dtypes, with thresholds, ties, draws and masks, and of tensors without an element, with one, and with more than a segment', () =>
    inFolder(async (folder) => {
      const ties = {
        op: 'merge.ties',
        base: 'base',
        models: [
          { model: 'a', density: 0.2 },
          { model: 'b', density: 0.35 },
        ],
        rescale: 'l1',
      }
      const shown = {
        ties,
        strong: { op: 'mask.magnitude', model: 'a', base: 'base', quantile: 0.7 },
        dare: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.6, rescale: 'l1' },
        slerp: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.3, method: 'slerp', mask: 'whole' },
        either: { op: 'mask.xor', masks: ['truth', 'strong'] },
        noise: { op: 'model.noise', model: 'a', layers: 'F*', std: 0.02 },
        partly: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.3, mask: 'halved' },
      }
      const loads = {
        whole: { op: 'mask.load', file: 'integers' },
        truth: { op: 'mask.load', file: 'truths' },
        halved: { op: 'mask.load', file: 'halves' },
      }
      const recipe = writeModels(
        folder,
        {
          base: tensors(1),
          a: tensors(2),
          b: tensors(3),
          integers: masks('I64', 4),
          truths: masks('BOOL', 5),
          halves: masks('F16', 6),
        },
        { seed: 3, steps: { ...loads, ...shown }, outputs: outputs(shown) },
      )
      expect(await compare(recipe, CUTTINGS)).toHaveLength(Object.keys(shown).length)
    }))

  test('of numbers that are none, too large, too small or zero of either sign, where they are allowed', () =>
    inFolder(async (folder) => {
      const steps = {
        blend: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.25 },
        linear: { op: 'merge.linear', models: { a: 0.5, b: 2 } },
        signs: {
          op: 'merge.dare_ties',
          base: 'base',
          models: [
            { model: 'a', density: 0.5, weight: -1 },
            { model: 'b', density: 0.5 },
          ],
          normalize: true,
        },
        masked: { op: 'merge.blend', a: 'a', b: 'b', keep: 1, mask: 'further' },
        further: { op: 'mask.compare', a: 'a', b: 'b', base: 'base' },
      }
      const { further: _, ...models } = steps
      const encoded = Object.fromEntries(
        ['f32', 'f16', 'bf16', 'f8_e4m3', 'f8_e5m2'].flatMap((dtype) =>
          Object.keys(models).map((from) => [
            `${from}_${dtype}`,
            { from, path: `${from}.${dtype}.safetensors`, dtype, non_finite: 'allow' },
          ]),
        ),
      )
      const recipe = writeModels(
        folder,
        { base: tensors(1), a: special(0), b: special(1) },
        {
          steps,
          outputs: {
            ...outputs(models, { non_finite: 'allow' }),
            ...encoded,
            further: { from: 'further', path: 'further.safetensors' },
          },
        },
      )
      writeSafetensors(join(folder, 'base.safetensors'), special(0))
      expect(
        await compare(recipe, [
          ['cuda:0', SMALL, SMALL],
          ['webgpu', 100, SMALL],
        ]),
      ).toHaveLength(25)
    }))
})

describe('a device writes the bytes that the processor writes, for recipes of real models', () => {
  /** Blocks that are like their neighbours. */
  const ALIKE =
    /\.input_blocks\.(1|3|5|6|7|9|10)\.|\.output_blocks\.([1-7]|9|10)\.|\.layers\.([2-9]|10)\.|\.(up|down)\.[12]\./
  const base: Checkpoint = new Map([...makeBase('sd15', 1)].filter(([name]) => !ALIKE.test(name)))
  const lora = makeLora(base, SD1_MODULES, 9).file

  test.each(['bake-lora', 'clip-dare', 'dare-ties', 'mbw-preset', 'to-bf16'])('%s', (name) =>
    inFolder(async (folder) => {
      const text = readFileSync(join(RECIPES, `${name}.yaml`), 'utf8')
      writeFileSync(join(folder, `${name}.yaml`), text)
      const files = [...new Set([...text.matchAll(/([\w-]+)\.safetensors/g)].map((found) => found[1]!))]
      for (const [i, file] of files.entries())
        writeCheckpoint(join(folder, `${file}.safetensors`), file === 'lora' ? lora : i === 0 ? base : train(base, i))
      expect(await compare(join(folder, `${name}.yaml`))).not.toContain('refused')
    }),
  )
})
