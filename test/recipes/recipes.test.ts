import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { readDocument } from '#src/document/read.js'
import { toPlain } from '#src/document/value.js'
import { encode, decode } from '#src/kernels/convert.js'
import { half, makeBase, train, type Checkpoint } from './checkpoint.js'
import { makeLora, SD1_MODULES, SDXL_ATTENTION, SDXL_MODULES, withFusedRows } from './lora.js'
import { buildRecipe, RECIPES } from './recipe.js'

const base = makeBase('sd15', 1)
const [a, b, c] = [train(base, 2), train(base, 3), train(base, 4)]

/** The noise schedule of a checkpoint, token positions, and the scale of CLIP’s training. */
const isConstant = (name: string): boolean => !name.includes('.') || name.endsWith('.position_ids') || name.endsWith('.logit_scale')
const COUNTED = { constant: 13, merged: 1130 }

const numbersOf = (checkpoint: Checkpoint, name: string): Float32Array => checkpoint.get(name)!.numbers

/** A checkpoint made number by number in float32 and rounded to float16; constants are the first model's. */
const merge = (f: (name: string, ...numbers: number[]) => number, ...models: readonly Checkpoint[]): Checkpoint =>
  new Map([...models[0]!].map(([name, tensor]) => {
    if (isConstant(name)) return [name, tensor]
    const numbers = tensor.numbers.map((_, i) => f(name, ...models.map((m) => numbersOf(m, name)[i]!)))
    return [name, { ...tensor, numbers: half(numbers) }]
  }))

const { fround } = Math
const lerp = (x: number, y: number, keep: number): number => fround(x + fround(fround(y - x) * fround(1 - keep)))

/** Names of tensors that are not what they should be, in dtype, shape or any number. */
const differing = (found: Checkpoint, expected: Checkpoint, tolerance = 0): string[] =>
  [...new Set([...found.keys(), ...expected.keys()])].filter((name) => {
    const [x, y] = [found.get(name), expected.get(name)]
    if (x?.dtype !== y?.dtype || x?.shape.join() !== y?.shape.join()) return true
    return x!.numbers.some((value, i) => !(Math.abs(value - y!.numbers[i]!) <= tolerance))
  })

const FIRST_CONV = 'model.diffusion_model.input_blocks.0.0.weight'

test('blend-two lies between its models, by as much as `keep` says', async () => {
  const { plan, outputs } = await buildRecipe('blend-two', { first: a, second: b }, { keep: '0.25' })
  expect(plan.outputs[0]!.label).toBe('build/blend-0.25.safetensors')
  expect(plan.models.map((m) => m.architecture)).toEqual(['Stable Diffusion 1', 'Stable Diffusion 1'])
  expect(plan.steps[0]!.counts).toEqual(COUNTED)
  expect(plan.totals).toMatchObject({ tensors: 1143, copied: 13, computed: 1130 })
  expect(differing(outputs['merged']!, merge((_, x, y) => lerp(x, y, 0.25), a, b))).toEqual([])
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
    const kept = new Set(delta.map((d, i) => [Math.abs(d), i] as const).sort(([x, i], [y, j]) => y - x || i - j).slice(0, count).map(([, i]) => i))
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
  const expected = new Map([...base].map(([name, tensor]) =>
    [name, isConstant(name) ? tensor : { ...tensor, numbers: ties(tensor.numbers, [a, b, c].map((m) => numbersOf(m, name)), 0.5) }]))
  expect(differing(outputs['merged']!, expected, 5e-4)).toEqual([])
})

test('dare-ties adds a random part of each difference, scaled up, and nothing else', async () => {
  const { plan, outputs } = await buildRecipe('dare-ties', { base, one: a, two: b })
  expect(plan.steps[0]).toMatchObject({ op: 'merge.dare_ties', counts: COUNTED })
  let untouched = 0
  const all = [...outputs['merged']!].filter(([name]) => !isConstant(name)).flatMap(([name, { numbers }]) => [...numbers].map((y, i) => {
    const [x, one, two] = [base, a, b].map((m) => numbersOf(m, name)[i]!) as [number, number, number]
    const [first, second] = [one - x, two - x].map((d) => (0.7 * d) / 0.3) as [number, number]
    const elected = first * second > 0 ? first + second : Math.abs(first) > Math.abs(second) ? first : second
    untouched += Number(y === x)
    return Math.min(...[0, first, second, elected].map((d) => Math.abs(y - x - d)))
  }))
  expect(Math.max(...all)).toBeLessThan(1e-3)
  // Both dropped: 0.7². A little more, since a small change can round to what base has.
  expect(Math.abs(untouched / all.length - 0.49)).toBeLessThan(0.02)
})

test('protect-details changes only what is free, and writes the mask that says so', async () => {
  const { plan, outputs } = await buildRecipe('protect-details', { base, mine: a, other: b })
  expect(plan.steps.map(({ name, kind }) => [name, kind])).toEqual([['details', 'mask'], ['guarded', 'mask'], ['free', 'mask'], ['merged', 'model']])
  const mask = outputs['mask']!
  expect([...mask.values()].every(({ dtype }) => dtype === 'BOOL')).toBe(true)
  const share = (name: string): number => numbersOf(mask, name).reduce((x, y) => x + y) / numbersOf(mask, name).length
  expect(share(FIRST_CONV)).toBeCloseTo(0.2, 2)
  expect([...mask.keys()].filter((name) => name.startsWith('cond_stage_model.')).every((name) => share(name) === 1)).toBe(true)
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
  expect(differing(outputs['merged']!, merge((name, x, y) => (keepOf(name) === 1 ? x : lerp(x, y, keepOf(name))), a, b))).toEqual([])
})

test('swap-text-encoder copies the parts of two checkpoints', async () => {
  const { plan, outputs } = await buildRecipe('swap-text-encoder', { painter: a, reader: b })
  expect(plan.totals).toMatchObject({ tensors: 1143, copied: 1143, computed: 0 })
  expect(Object.fromEntries(plan.steps.map(({ name, tensors }) => [name, tensors]))).toEqual({ unet: 686, text: 197, rest: 260, whole: 1143 })
  expect(differing(outputs['merged']!, new Map([...a].map(([name, tensor]) => [name, name.startsWith('cond_stage_model.') ? b.get(name)! : tensor])))).toEqual([])
})

test('swap-text-encoder takes both text encoders of SDXL', async () => {
  const start = makeBase('sdxl', 1)
  const { outputs } = await buildRecipe('swap-text-encoder', { painter: start, reader: train(start, 2) })
  const swapped = differing(outputs['merged']!, start).map((name) => name.split('.').slice(0, 3).join('.'))
  expect([...new Set(swapped)].sort()).toEqual(['conditioner.embedders.0', 'conditioner.embedders.1'])
})

test('to-bf16 rounds SDXL to bfloat16, and leaves its VAE as it is', async () => {
  const model = makeBase('sdxl', 1)
  const { plan, outputs } = await buildRecipe('to-bf16', { sdxl: model })
  expect(plan.models[0]!.architecture).toBe('Stable Diffusion XL')
  expect(plan.totals).toMatchObject({ tensors: 2515, copied: 249, computed: 2266 })
  const expected = new Map([...model].map(([name, tensor]) => {
    if (name.startsWith('first_stage_model.') || tensor.dtype !== 'F16') return [name, tensor]
    return [name, { ...tensor, dtype: 'BF16' as const, numbers: decode('BF16', encode('BF16', tensor.numbers)) }]
  }))
  expect(differing(outputs['converted']!, expected)).toEqual([])
})

test.each([
  ['SD1', a, SD1_MODULES],
  ['SDXL', withFusedRows(makeBase('sdxl', 5)), SDXL_MODULES],
] as const)('bake-lora adds to %s what the factors make, with a strength of its own for text', async (_architecture, checkpoint, modules) => {
  const { file, deltas } = makeLora(checkpoint, modules, 9)
  const { plan, outputs } = await buildRecipe('bake-lora', { checkpoint, lora: file }, { strength: '0.75', clip_strength: '-0.5' })
  expect(plan.steps[0]!.counts).toEqual({ merged: deltas.size })
  expect(plan.totals).toMatchObject({ copied: checkpoint.size - deltas.size, computed: deltas.size })
  const expected = new Map([...checkpoint].map(([name, tensor]) => {
    const delta = deltas.get(name)
    const strength = name.startsWith('model.') ? 0.75 : -0.5
    return [name, delta === undefined ? tensor : { ...tensor, numbers: half(tensor.numbers.map((x, i) => x + strength * delta[i]!)) }]
  }))
  expect(differing(outputs['merged']!, expected, 5e-4)).toEqual([])
  expect(differing(outputs['merged']!, checkpoint).sort()).toEqual([...deltas.keys()].sort())
})

const xl = makeBase('sdxl', 1)
/** Models of an architecture, trained from one. */
const FAMILIES = [
  { architecture: 'Stable Diffusion 1', tuned: [a, b, c, train(base, 5)], depth: 12 },
  { architecture: 'Stable Diffusion XL', tuned: [2, 3, 4, 5].map((seed) => train(xl, seed)), depth: 9 },
] as const

/** The block of the U-Net that a tensor lies in, counted from the first on the way in. */
const stageOf = (name: string, depth: number): number | undefined => {
  const [, way, index] = /^model\.diffusion_model\.(input|middle|output)_blocks?\.(\d+)\./.exec(name) ?? []
  return way === undefined ? undefined : way === 'input' ? Number(index) : way === 'middle' ? depth : depth + 1 + Number(index)
}

describe.each(FAMILIES)('with $architecture', ({ architecture, tuned, depth }) => {
  const [first, second, third, fourth] = tuned as [Checkpoint, Checkpoint, Checkpoint, Checkpoint]
  const isText = (name: string): boolean => name.startsWith('cond_stage_model.') || name.startsWith('conditioner.')
  const constants = [...first.keys()].filter(isConstant).length

  test('quarters takes every number from one of four models, and as many from each', async () => {
    const { plan, outputs } = await buildRecipe('quarters', { one: first, two: second, three: third, four: fourth })
    expect(plan.models.map((m) => m.architecture)).toEqual(Array(4).fill(architecture))
    expect(plan.steps.map(({ name, kind }) => [name, kind])).toEqual([['deal', 'mask'], ['with_two', 'model'], ['with_three', 'model'], ['quarters', 'model']])
    expect(plan.steps.slice(1).map(({ counts }) => counts)).toEqual(Array.from({ length: 3 }, () => ({ constant: constants, merged: first.size - constants })))
    const [taken, strange] = [[0, 0, 0, 0], [] as string[]]
    for (const [name, { numbers }] of outputs['merged']!) {
      if (isConstant(name)) continue
      numbers.forEach((y, i) => {
        const sources = tuned.flatMap((m, source) => (numbersOf(m, name)[i] === y ? [source] : []))
        if (sources.length === 0) strange.push(`${name}[${i}]`)
        if (sources.length === 1) taken[sources[0]!]!++
      })
    }
    expect(strange).toEqual([])
    const total = taken.reduce((x, y) => x + y)
    for (const count of taken) expect(Math.abs(count / total - 0.25)).toBeLessThan(0.015)
  })

  test.each([['SMOOTHSTEP', (x: number) => x * x * (3 - 2 * x)], ['GRAD_V', (x: number) => Math.abs(1 - 2 * x)]])('mbw-preset takes the second model’s share from %s, and draws it', async (preset, curve) => {
    const { plan, outputs, reports } = await buildRecipe('mbw-preset', { first, second }, { preset })
    // What has no position in block lists goes with its neighbour, and in those of SD1 the VAE with the text encoder.
    const positionOf = (name: string): number | undefined =>
      /^model\.diffusion_model\.(?:time_embed|label_emb)\./.test(name) ? 0 : name.startsWith('model.diffusion_model.out.') ? 2 * depth : stageOf(name, depth)
    const shareOf = (name: string): number => {
      const position = positionOf(name)
      return position === undefined ? 0 : curve(position / (2 * depth))
    }
    const isBase = (name: string): boolean => isText(name) || (depth === 12 && name.startsWith('first_stage_model.'))
    const weighted = [...first.keys()].filter((name) => !isConstant(name) && (positionOf(name) !== undefined || isBase(name)))
    expect(plan.steps.find(({ name }) => name === 'blended')!.counts).toMatchObject({ merged: weighted.length })
    expect(differing(outputs['merged']!, merge((name, x, y) => lerp(x, y, 1 - shareOf(name)), first, second))).toEqual([])
    expect(reports['curve']).toMatch(/^<svg .*out\.8/s)
  })

  test('clip-dare moves the text encoders alone, and neither token positions nor the logit scale', async () => {
    const other = new Map([...second].map(([name, tensor]) => [name, isConstant(name) ? { ...tensor, numbers: tensor.numbers.map((x) => x + 1) } : tensor]))
    const { plan, outputs } = await buildRecipe('clip-dare', { first, second: other })
    const text = [...first.keys()].filter((name) => isText(name))
    const still = text.filter(isConstant)
    expect(still.length).toBe(architecture === 'Stable Diffusion XL' ? 2 : 1)
    expect(plan.steps[0]!.counts).toEqual({ constant: still.length, merged: text.length - still.length })
    expect(plan.totals).toMatchObject({ tensors: first.size, computed: text.length - still.length })
    let [dropped, all, worst] = [0, 0, 0]
    for (const name of text.filter((x) => !isConstant(x))) {
      numbersOf(outputs['merged']!, name).forEach((y, i) => {
        const [x, o] = [first, other].map((m) => numbersOf(m, name)[i]!) as [number, number]
        all++
        dropped += Number(y === x)
        if (y !== x) worst = Math.max(worst, Math.abs(y - x - (0.7 * (o - x)) / 0.1))
      })
    }
    expect(worst).toBeLessThan(1e-3)
    expect(Math.abs(dropped / all - 0.9)).toBeLessThan(0.03)
    const moved = differing(outputs['merged']!, first)
    expect(moved.length).toBeGreaterThan(20)
    expect(moved.filter((name) => !isText(name) || isConstant(name))).toEqual([])
  })

  test('shell-attention keeps the product of depth and kind of each layer', async () => {
    // Stages of each shell as the node pack’s documentation has them: three steps in for SDXL, four, five and three for SD1.
    const [ends, between] = depth === 12 ? [[4, 22], [9, 17]] as const : [[3, 16], [6, 13]] as const
    const keepOf = (name: string): number | undefined => {
      const stage = stageOf(name, depth)
      if (stage === undefined) return undefined
      const shell = stage < ends[0] || stage >= ends[1] ? 1 : stage < between[0] || stage >= between[1] ? 0.75 : 0.5
      const kind = /\.attn[12]\./.test(name) ? 0.5 : name.includes('.ff.net.') ? 0.75 : /\.(norm\d?|(in|out)_layers\.0)\./.test(name) ? 1 : undefined
      return kind === undefined ? undefined : shell * kind
    }
    const { plan, outputs } = await buildRecipe('shell-attention', { first, second })
    const weighted = [...first.keys()].filter((name) => keepOf(name) !== undefined)
    expect(plan.steps.at(-1)!.counts).toEqual({ constant: constants, kept: first.size - constants - weighted.length, merged: weighted.length })
    const wrong: string[] = []
    let [dropped, all] = [0, 0]
    for (const [name, { numbers }] of outputs['merged']!) {
      const keep = keepOf(name) ?? 1
      numbers.forEach((y, i) => {
        const [x, o] = [first, second].map((m) => numbersOf(m, name)[i]!) as [number, number]
        if (keep < 1) [dropped, all] = [dropped + Number(y === x), all + 1]
        if (y !== x && (keep === 1 || Math.abs(y - x - (1 - keep) * 2 * (o - x)) > 5e-4)) wrong.push(`${name}[${i}]`)
      })
    }
    expect(wrong).toEqual([])
    expect(Math.abs(dropped / all - 0.5)).toBeLessThan(0.03)
  })
})

const norm = (numbers: Float32Array): number => Math.hypot(...numbers)

describe.each([
  { architecture: 'SD1', checkpoint: a, modules: SD1_MODULES, attention: 112 },
  { architecture: 'SDXL', checkpoint: withFusedRows(makeBase('sdxl', 5)), modules: [...SDXL_MODULES, ...SDXL_ATTENTION], attention: 328 },
])('lora-normalized on $architecture', ({ checkpoint, modules, attention }) => {
  const { file, deltas } = makeLora(checkpoint, modules, 9)
  const models = { checkpoint, lora: file }
  const baked = new Map([...checkpoint].map(([name, tensor]) => [name, { ...tensor, numbers: tensor.numbers.map((x, i) => x + (deltas.get(name)?.[i] ?? 0)) }]))

  test('gives queries their old norm, and keys the inverse factor', async () => {
    const { plan, outputs } = await buildRecipe('lora-normalized', models)
    expect(plan.steps.map(({ name, counts }) => [name, counts])).toEqual([['baked', { merged: deltas.size }], ['normalized', { merged: attention }]])
    const factor = (name: string): number => {
      const query = name.replace('.to_k.', '.to_q.')
      if (!query.includes('.to_q.')) return 1
      const ratio = norm(numbersOf(checkpoint, query)) / norm(numbersOf(baked, query))
      return query === name ? ratio : 1 / ratio
    }
    const expected = new Map([...baked].map(([name, tensor]) => [name, tensor.dtype === 'F16' ? { ...tensor, numbers: half(tensor.numbers.map((x) => x * factor(name))) } : tensor]))
    expect(differing(outputs['merged']!, expected, 2e-3)).toEqual([])
    const scaled = [...deltas.keys()].filter((name) => name.includes('.to_q.'))
    expect(scaled.length).toBeGreaterThan(0)
    for (const name of scaled) expect(Math.abs(factor(name) - 1)).toBeGreaterThan(0.05)
  })

  test('gives every tensor its old norm when it is told so', async () => {
    const { outputs } = await buildRecipe('lora-normalized', models, { method: 'all' })
    for (const name of deltas.keys()) expect(norm(numbersOf(outputs['merged']!, name))).toBeCloseTo(norm(numbersOf(checkpoint, name)), 2)
    // A bias goes with its weight.
    const moved = [...deltas.keys()].flatMap((name) => [name, name.replace(/\.weight$/, '.bias')]).filter((name) => checkpoint.has(name))
    expect(differing(outputs['merged']!, checkpoint).sort()).toEqual([...new Set(moved)].sort())
  })
})

describe('the recipes of this folder', () => {
  const names = readdirSync(RECIPES)
  const schema = JSON.parse(readFileSync(join(RECIPES, '../schema/recipe.schema.json'), 'utf8')) as object
  const accepts = new Ajv({ strict: false, discriminator: true, allErrors: true }).compile(schema)

  test('are all built above', () => {
    const tests = readFileSync(new URL(import.meta.url), 'utf8')
    expect(names.filter((name) => !tests.includes(`buildRecipe('${name.replace('.yaml', '')}'`))).toEqual([])
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
