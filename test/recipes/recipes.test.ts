import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { readDocument } from '#src/document/read.js'
import { toPlain } from '#src/document/value.js'
import { encode, decode } from '#src/kernels/convert.js'
import { half, makeBase, partOf, train, type Checkpoint } from './checkpoint.js'
import { makeLora, SD1_MODULES, SDXL_MODULES, withFusedRows } from './lora.js'
import { testArchitecture, testNormalized } from './architecture.js'
import { differing, isConstant, lerp, merge, numbersOf } from './expected.js'
import { buildRecipe, RECIPES } from './recipe.js'

const base = makeBase('sd15', 1)
const [a, b, c] = [train(base, 2), train(base, 3), train(base, 4)]

const { fround } = Math
const COUNTED = { constant: 13, merged: 1130 }

const FIRST_CONV = 'model.diffusion_model.input_blocks.0.0.weight'

test('blend-two lies between its models, by as much as `keep` says', async () => {
  const { plan, outputs } = await buildRecipe('blend-two', { first: a, second: b }, { keep: '0.25' })
  expect(plan.outputs[0]!.label).toBe('build/blend-0.25.safetensors')
  expect(plan.models.map((m) => m.architecture)).toEqual(['Stable Diffusion 1', 'Stable Diffusion 1'])
  expect(plan.steps[0]!.counts).toEqual(COUNTED)
  expect(plan.totals).toMatchObject({ tensors: 1143, copied: 13, computed: 1130 })
  expect(
    differing(
      outputs['merged']!,
      merge((_, x, y) => lerp(x, y, 0.25), a, b),
    ),
  ).toEqual([])
})

test('add-difference teaches an inpainting model, and keeps the first layer that differs in shape', async () => {
  const wide = { ...a.get(FIRST_CONV)!, shape: [320, 3, 2, 2], numbers: new Float32Array(3840).fill(0.25) }
  const target = new Map(a).set(FIRST_CONV, wide)
  const { plan, outputs } = await buildRecipe('add-difference', { 'sd15-inpainting': target, tuned: b, sd15: c })
  expect(plan.steps[0]!.counts).toEqual({ constant: 13, merged: 1129, mismatched: 1 })
  const taught = merge((_, x, y, z) => fround(x + fround(y - z)), a, b, c)
  expect(differing(outputs['merged']!, new Map(taught).set(FIRST_CONV, wide))).toEqual([])
})

/** TIES as its paper has it, for one tensor, in float64. */
const ties = (start: Float32Array, others: readonly Float32Array[], density: number): Float32Array => {
  const count = Math.floor(density * start.length)
  const deltas = others.map((other) => {
    const delta = [...other].map((x, i) => x - start[i]!)
    const kept = new Set(
      delta
        .map((d, i) => [Math.abs(d), i] as const)
        .sort(([x, i], [y, j]) => y - x || i - j)
        .slice(0, count)
        .map(([, i]) => i),
    )
    return delta.map((d, i) => (kept.has(i) ? d : 0))
  })
  return start.map((x, i) => {
    const sign = deltas.reduce((sum, d) => sum + d[i]!, 0) >= 0 ? 1 : -1
    const agreeing = deltas.map((d) => d[i]!).filter((d) => d * sign > 0)
    return agreeing.length === 0 ? x : x + agreeing.reduce((sum, d) => sum + d) / agreeing.length
  })
}

test('ties-three adds the largest changes that agree', async () => {
  const { plan, outputs } = await buildRecipe('ties-three', { base, one: a, two: b, three: c }, { density: '0.5' })
  expect(plan.steps[0]).toMatchObject({ op: 'merge.ties', counts: COUNTED })
  const expected = new Map(
    [...base].map(([name, tensor]) => [
      name,
      isConstant(name)
        ? tensor
        : {
            ...tensor,
            numbers: ties(
              tensor.numbers,
              [a, b, c].map((m) => numbersOf(m, name)),
              0.5,
            ),
          },
    ]),
  )
  expect(differing(outputs['merged']!, expected, 5e-4)).toEqual([])
})

test('dare-ties adds a random part of each difference, scaled up, and nothing else', async () => {
  const { plan, outputs } = await buildRecipe('dare-ties', { base, one: a, two: b })
  expect(plan.steps[0]).toMatchObject({ op: 'merge.dare_ties', counts: COUNTED })
  let untouched = 0
  const all = [...outputs['merged']!]
    .filter(([name]) => !isConstant(name))
    .flatMap(([name, { numbers }]) =>
      [...numbers].map((y, i) => {
        const [x, one, two] = [base, a, b].map((m) => numbersOf(m, name)[i]!) as [number, number, number]
        const [first, second] = [one - x, two - x].map((d) => (0.7 * d) / 0.3) as [number, number]
        const elected = first * second > 0 ? first + second : Math.abs(first) > Math.abs(second) ? first : second
        untouched += Number(y === x)
        return Math.min(...[0, first, second, elected].map((d) => Math.abs(y - x - d)))
      }),
    )
  expect(Math.max(...all)).toBeLessThan(1e-3)
  // Both dropped: 0.7². A little more, since a small change can round to what base has.
  expect(Math.abs(untouched / all.length - 0.49)).toBeLessThan(0.02)
})

test('protect-details changes only what is free, and writes the mask that says so', async () => {
  const { plan, outputs } = await buildRecipe('protect-details', { base, mine: a, other: b })
  expect(plan.steps.map(({ name, kind }) => [name, kind])).toEqual([
    ['details', 'mask'],
    ['guarded', 'mask'],
    ['free', 'mask'],
    ['merged', 'model'],
  ])
  const mask = outputs['mask']!
  expect([...mask.values()].every(({ dtype }) => dtype === 'BOOL')).toBe(true)
  const share = (name: string): number => numbersOf(mask, name).reduce((x, y) => x + y) / numbersOf(mask, name).length
  expect(share(FIRST_CONV)).toBeCloseTo(0.2, 2)
  expect(
    [...mask.keys()].filter((name) => name.startsWith('cond_stage_model.')).every((name) => share(name) === 1),
  ).toBe(true)
  const [counts, wrong] = [{ protected: 0, dropped: 0, moved: 0 }, [] as string[]]
  for (const [name, { numbers }] of outputs['merged']!) {
    numbers.forEach((y, i) => {
      const [x, other] = [a, b].map((m) => numbersOf(m, name)[i]!) as [number, number]
      const moved = x + 0.6 * 2 * (other - x)
      if (isConstant(name) || numbersOf(mask, name)[i] === 1) counts.protected++
      else if (y === x) counts.dropped++
      else counts.moved++
      const free = !isConstant(name) && numbersOf(mask, name)[i] === 0
      if (y !== x && !(free && Math.abs(y - moved) < 5e-4)) wrong.push(`${name}[${i}]`)
    })
  }
  expect(wrong).toEqual([])
  expect(counts.dropped / (counts.dropped + counts.moved)).toBeGreaterThan(0.47)
  expect(counts.dropped / (counts.dropped + counts.moved)).toBeLessThan(0.53)
})

test('attention-only moves attention by block, and nothing else', async () => {
  const keepOf = (name: string): number => {
    if (!/\.attn[12]\./.test(name)) return 1
    if (name.includes('.attn2.')) return 0.7
    return name.includes('.input_blocks.') ? 0.8 : name.includes('.output_blocks.') ? 0.3 : 0.5
  }
  const { plan, outputs } = await buildRecipe('attention-only', { first: a, second: b })
  const attention = [...a.keys()].filter((name) => keepOf(name) < 1)
  expect(plan.steps[0]!.counts).toEqual({ merged: attention.length })
  expect(plan.totals).toMatchObject({ tensors: 1143, copied: 1143 - attention.length, computed: attention.length })
  expect(
    differing(
      outputs['merged']!,
      merge((name, x, y) => (keepOf(name) === 1 ? x : lerp(x, y, keepOf(name))), a, b),
    ),
  ).toEqual([])
})

test('swap-text-encoder copies the parts of two checkpoints', async () => {
  const { plan, outputs } = await buildRecipe('swap-text-encoder', { painter: a, reader: b })
  expect(plan.totals).toMatchObject({ tensors: 1143, copied: 1143, computed: 0 })
  expect(Object.fromEntries(plan.steps.map(({ name, tensors }) => [name, tensors]))).toEqual({
    unet: 686,
    text: 197,
    rest: 260,
    whole: 1143,
  })
  expect(
    differing(
      outputs['merged']!,
      new Map([...a].map(([name, tensor]) => [name, name.startsWith('cond_stage_model.') ? b.get(name)! : tensor])),
    ),
  ).toEqual([])
})

test('swap-text-encoder takes both text encoders of SDXL', async () => {
  const start = makeBase('sdxl', 1)
  const { outputs } = await buildRecipe('swap-text-encoder', { painter: start, reader: train(start, 2) })
  const swapped = differing(outputs['merged']!, start).map((name) => name.split('.').slice(0, 3).join('.'))
  expect([...new Set(swapped)].sort()).toEqual(['conditioner.embedders.0', 'conditioner.embedders.1'])
})

const withPart = (checkpoint: Checkpoint, other: Checkpoint, root: string): Checkpoint =>
  new Map([...checkpoint].map(([name, tensor]) => [name, name.startsWith(`${root}.`) ? other.get(name)! : tensor]))

test('bake-vae puts a VAE into a checkpoint, and nothing of its training', async () => {
  const loss = { dtype: 'F16', shape: [2], numbers: new Float32Array(2) } as const
  const vae = new Map(partOf(b, 'first_stage_model')).set('loss.logvar', loss)
  const { plan, outputs } = await buildRecipe('bake-vae', { checkpoint: a, vae })
  expect(plan.steps.map((s) => s.counts)).toEqual([{ 'dropped (loss)': 1 }, { renamed: 248 }, {}])
  expect(plan.totals).toMatchObject({ tensors: 1143, copied: 1143, computed: 0 })
  expect(differing(outputs['baked']!, withPart(a, b, 'first_stage_model'))).toEqual([])
})

test('unet-to-checkpoint puts a U-Net into a checkpoint', async () => {
  const unet = partOf(b, 'model.diffusion_model')
  const { plan, outputs } = await buildRecipe('unet-to-checkpoint', { checkpoint: a, unet })
  expect(plan.totals).toMatchObject({ tensors: 1143, copied: 1143, computed: 0 })
  expect(differing(outputs['checkpoint_of_unet']!, withPart(a, b, 'model.diffusion_model'))).toEqual([])
})

test.each([
  ['drops averages', 'ignore', a, { 'dropped (ema)': 686 }],
  ['uses averages', 'use', withPart(a, b, 'model.diffusion_model'), { replaced: 686, 'dropped (ema)': 686 }],
] as const)('prune %s, and keeps the rest as it is', async (_, ema, expected, counts) => {
  const averages = [...b].flatMap(([name, tensor]) =>
    name.startsWith('model.')
      ? [[`model_ema.${name.slice('model.'.length).replaceAll('.', '')}`, tensor] as const]
      : [],
  )
  const { plan, outputs } = await buildRecipe('prune', { full: new Map([...a, ...averages]) }, { ema })
  expect(plan.steps[0]!.counts).toEqual(counts)
  expect(differing(outputs['pruned_model']!, expected)).toEqual([])
})

test('to-bf16 rounds SDXL to bfloat16, and leaves its VAE as it is', async () => {
  const model = makeBase('sdxl', 1)
  const { plan, outputs } = await buildRecipe('to-bf16', { sdxl: model })
  expect(plan.models[0]!.architecture).toBe('Stable Diffusion XL')
  expect(plan.totals).toMatchObject({ tensors: 2515, copied: 249, computed: 2266 })
  const expected = new Map(
    [...model].map(([name, tensor]) => {
      if (name.startsWith('first_stage_model.') || tensor.dtype !== 'F16') return [name, tensor]
      return [name, { ...tensor, dtype: 'BF16' as const, numbers: decode('BF16', encode('BF16', tensor.numbers)) }]
    }),
  )
  expect(differing(outputs['converted']!, expected)).toEqual([])
})

test.each([
  ['SD1', a, SD1_MODULES],
  ['SDXL', withFusedRows(makeBase('sdxl', 5)), SDXL_MODULES],
] as const)(
  'bake-lora adds to %s what the factors make, with a strength of its own for text',
  async (_architecture, checkpoint, modules) => {
    const { file, deltas } = makeLora(checkpoint, modules, 9)
    const { plan, outputs } = await buildRecipe(
      'bake-lora',
      { checkpoint, lora: file },
      { strength: '0.75', clip_strength: '-0.5' },
    )
    expect(plan.steps[0]!.counts).toEqual({ merged: deltas.size })
    expect(plan.totals).toMatchObject({ copied: checkpoint.size - deltas.size, computed: deltas.size })
    const expected = new Map(
      [...checkpoint].map(([name, tensor]) => {
        const delta = deltas.get(name)
        const strength = name.startsWith('model.') ? 0.75 : -0.5
        return [
          name,
          delta === undefined
            ? tensor
            : { ...tensor, numbers: half(tensor.numbers.map((x, i) => x + strength * delta[i]!)) },
        ]
      }),
    )
    expect(differing(outputs['merged']!, expected, 5e-4)).toEqual([])
    expect(differing(outputs['merged']!, checkpoint).sort()).toEqual([...deltas.keys()].sort())
  },
)

// recipes.long.ts has them with Stable Diffusion XL.
testArchitecture({ architecture: 'Stable Diffusion 1', tuned: [a, b, c, train(base, 5)], depth: 12 })
testNormalized('SD1', a, SD1_MODULES, 112)

describe('the recipes of this folder', () => {
  const names = readdirSync(RECIPES)
  const schema = JSON.parse(readFileSync(join(RECIPES, '../schema/recipe.schema.json'), 'utf8')) as object
  const accepts = new Ajv({ strict: false, discriminator: true, allErrors: true }).compile(schema)

  test('are all built above', () => {
    const tests = ['recipes.test.ts', 'architecture.ts']
      .map((file) => readFileSync(new URL(file, import.meta.url), 'utf8'))
      .join('')
    const built = new Set([...tests.matchAll(/buildRecipe\(\s*'([^']+)'/g)].map(([, name]) => `${name}.yaml`))
    expect(names.filter((name) => !built.has(name))).toEqual([])
  })

  test.each(names)('%s is what the editor’s schema accepts', (name) => {
    const text = readFileSync(join(RECIPES, name), 'utf8')
    expect(text).toContain('$schema=../schema/recipe.schema.json')
    const document = readDocument({ path: name, text })
    if (document.type === 'failed') throw new Error(document.diagnostics[0]!.message)
    accepts(toPlain(document.value))
    expect(accepts.errors ?? []).toEqual([])
  })
})
