import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { build } from '#src/run/build.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'

/** Two and a half segments, so that a tensor is split; few distinct values, so that magnitudes tie everywhere. */
const LARGE = (1 << 21) + (1 << 19) + 12_345
const RECIPE = {
  smelt: 1,
  seed: 7,
  models: { base: 'base.safetensors', a: 'a.safetensors', b: 'b.safetensors' },
  steps: {
    strong: { op: 'mask.magnitude', model: 'a', base: 'base', quantile: 0.7, scope: 'model' },
    blend: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.3, mask: 'strong', method: 'slerp' },
    ties: {
      op: 'merge.ties',
      base: 'base',
      models: [
        { model: 'a', density: 0.2 },
        { model: 'b', density: 0.35 },
      ],
      rescale: 'l1',
    },
    whole: {
      op: 'merge.ties',
      base: 'base',
      models: [
        { model: 'a', density: 0.2 },
        { model: 'b', density: 0.35 },
      ],
      scope: 'model',
    },
    dare: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.6, rescale: 'l1', ties: 'sum', iterations: 2 },
  },
  outputs: {
    blend: { from: 'blend', path: 'out/blend.safetensors' },
    ties: { from: 'ties', path: 'out/ties.safetensors', dtype: 'bf16', shard_size: '3MB' },
    whole: { from: 'whole', path: 'out/whole.safetensors' },
    dare: { from: 'dare', path: 'out/dare.safetensors', dtype: 'f8_e5m2' },
    mask: { from: 'strong', path: 'out/mask.safetensors' },
  },
}

const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}
const tensors = (seed: number, spread: number): Record<string, TensorValues> => {
  const next = random(seed)
  const draw = (n: number): number[] => Array.from({ length: n }, () => 1 + Math.round((next() - 0.5) * spread) / 64)
  return {
    'large.weight': { dtype: 'F16', shape: [LARGE], values: draw(LARGE) },
    'small.weight': { dtype: 'F32', shape: [3, 70], values: draw(210) },
    'small.bias': { dtype: 'BF16', shape: [5], values: draw(5) },
    nothing: { dtype: 'F32', shape: [0, 4], values: [] },
    counter: { dtype: 'I64', shape: [1, 3], values: [0, 1, 2] },
  }
}

const digests = async (
  folder: string,
  workers: number,
  cutting: { chunk: number; block: number },
  recipe = 'recipe.yaml',
): Promise<Record<string, string>> => {
  const built = await build(join(folder, recipe), {
    workers,
    cutting,
    out: join(folder, `w${workers}c${cutting.chunk}`),
  })
  if (built.type === 'failed') throw new Error(built.diagnostics.map((d) => d.message).join('\n'))
  return Object.fromEntries(built.value.outputs.map((o) => [o.name, o.digest]))
}

let files: Record<'base' | 'a' | 'b', Record<string, TensorValues>>
beforeAll(() => {
  files = { base: tensors(1, 8), a: tensors(2, 60), b: tensors(3, 60) }
})

const prepare = (folder: string): void => {
  for (const [name, content] of Object.entries(files)) writeSafetensors(join(folder, `${name}.safetensors`), content)
  writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify(RECIPE))
}

test('the same bytes come out whatever the number of workers and the size of chunks', () =>
  inFolder(async (folder) => {
    prepare(folder)
    const first = await digests(folder, 1, { chunk: 65536, block: 262144 })
    expect(await digests(folder, 2, { chunk: 10_007, block: 65536 })).toEqual(first)
    expect(await digests(folder, 4, { chunk: 262144, block: 131072 })).toEqual(first)
  }))

test('the same bytes come out whatever else the recipe builds and however its steps are ordered', () =>
  inFolder(async (folder) => {
    prepare(folder)
    const first = await digests(folder, 2, { chunk: 65536, block: 262144 })
    const reversed = {
      ...RECIPE,
      steps: Object.fromEntries(Object.entries(RECIPE.steps).reverse()),
      outputs: { whole: RECIPE.outputs.whole, dare: RECIPE.outputs.dare },
    }
    writeFileSync(join(folder, 'less.yaml'), JSON.stringify(reversed))
    mkdirSync(join(folder, 'w3c65536'))
    const second = await digests(folder, 3, { chunk: 65536, block: 262144 }, 'less.yaml')
    expect(second).toEqual({ whole: first['whole'], dare: first['dare'] })
  }))

test('a tensor of several segments is trimmed to exactly its largest magnitudes, equal ones by index', () =>
  inFolder(async (folder) => {
    prepare(folder)
    writeFileSync(
      join(folder, 'one.yaml'),
      JSON.stringify({
        ...RECIPE,
        steps: { trimmed: { op: 'merge.ties', base: 'base', models: [{ model: 'a', density: 0.2 }] } },
        outputs: { out: { from: 'trimmed', path: 'out.safetensors', dtype: 'f32' } },
      }),
    )
    await digests(folder, 2, { chunk: 65536, block: 262144 }, 'one.yaml')
    const [base, a] = [files.base['large.weight']!.values as number[], files.a['large.weight']!.values as number[]]
    const out = (await readTensors(join(folder, 'w2c65536', 'out.safetensors')))['large.weight']!.values
    const delta = a.map((x, i) => x - base[i]!)
    const order = delta.map((_, i) => i).sort((i, j) => Math.abs(delta[j]!) - Math.abs(delta[i]!) || i - j)
    const kept = new Set(order.slice(0, Math.floor(0.2 * LARGE)))
    let wrong = 0
    for (let i = 0; i < LARGE; i++) if (Math.abs(out[i]! - (base[i]! + (kept.has(i) ? delta[i]! : 0))) > 1e-6) wrong++
    expect(wrong).toBe(0)
  }))

test('trimming over the whole model counts the tensors that no output holds', () =>
  inFolder(async (folder) => {
    prepare(folder)
    const steps = { whole: RECIPE.steps.whole, part: { op: 'model.select', model: 'whole', layers: 'small' } }
    writeFileSync(
      join(folder, 'part.yaml'),
      JSON.stringify({ ...RECIPE, steps, outputs: { part: { from: 'part', path: 'part.safetensors' } } }),
    )
    writeFileSync(
      join(folder, 'all.yaml'),
      JSON.stringify({ ...RECIPE, steps, outputs: { all: { from: 'whole', path: 'all.safetensors' } } }),
    )
    await digests(folder, 2, { chunk: 65536, block: 262144 }, 'part.yaml')
    await digests(folder, 2, { chunk: 65536, block: 262144 }, 'all.yaml')
    const part = await readTensors(join(folder, 'w2c65536', 'part.safetensors'))
    const all = await readTensors(join(folder, 'w2c65536', 'all.safetensors'))
    expect(Object.keys(part)).toEqual(['small.bias', 'small.weight'])
    for (const [name, tensor] of Object.entries(part)) expect(tensor.values).toEqual(all[name]!.values)
  }))
