import { describe, expect, test } from 'vitest'
import { half, type Checkpoint } from './checkpoint.js'
import { differing, isConstant, lerp, merge, numbersOf } from './expected.js'
import { makeLora, type Adapted } from './lora.js'
import { buildRecipe } from './recipe.js'

/** Four models of an architecture, trained from one, and how many blocks its U-Net has on the way in. */
export interface Family {
  readonly architecture: string
  readonly tuned: readonly Checkpoint[]
  readonly depth: number
}

/** The block of the U-Net that a tensor lies in, counted from the first on the way in. */
const stageOf = (name: string, depth: number): number | undefined => {
  const [, way, index] = /^model\.diffusion_model\.(input|middle|output)_blocks?\.(\d+)\./.exec(name) ?? []
  return way === undefined
    ? undefined
    : way === 'input'
      ? Number(index)
      : way === 'middle'
        ? depth
        : depth + 1 + Number(index)
}

/** Tests of the recipes that follow blocks or tell architectures apart, with one of these. */
export const testArchitecture = ({ architecture, tuned, depth }: Family): unknown =>
  describe(`with ${architecture}`, () => {
    const [first, second, third, fourth] = tuned as [Checkpoint, Checkpoint, Checkpoint, Checkpoint]
    const isText = (name: string): boolean => name.startsWith('cond_stage_model.') || name.startsWith('conditioner.')
    const constants = [...first.keys()].filter(isConstant).length

    test('quarters takes every number from one of four models, and as many from each', async () => {
      const { plan, outputs } = await buildRecipe('quarters', { one: first, two: second, three: third, four: fourth })
      expect(plan.models.map((m) => m.architecture)).toEqual(Array(4).fill(architecture))
      expect(plan.steps.map(({ name, kind }) => [name, kind])).toEqual([
        ['deal', 'mask'],
        ['with_two', 'model'],
        ['with_three', 'model'],
        ['quarters', 'model'],
      ])
      expect(plan.steps.slice(1).map(({ counts }) => counts)).toEqual(
        Array.from({ length: 3 }, () => ({ constant: constants, merged: first.size - constants })),
      )
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

    test.each([
      ['SMOOTHSTEP', (x: number) => x * x * (3 - 2 * x)],
      ['GRAD_V', (x: number) => Math.abs(1 - 2 * x)],
    ])('mbw-preset takes the second model’s share from %s, and draws it', async (preset, curve) => {
      const { plan, outputs, reports } = await buildRecipe('mbw-preset', { first, second }, { preset })
      // What has no position in block lists goes with its neighbour, and in those of SD1 the VAE with the text encoder.
      const positionOf = (name: string): number | undefined =>
        /^model\.diffusion_model\.(?:time_embed|label_emb)\./.test(name)
          ? 0
          : name.startsWith('model.diffusion_model.out.')
            ? 2 * depth
            : stageOf(name, depth)
      const shareOf = (name: string): number => {
        const position = positionOf(name)
        return position === undefined ? 0 : curve(position / (2 * depth))
      }
      const isBase = (name: string): boolean => isText(name) || (depth === 12 && name.startsWith('first_stage_model.'))
      const weighted = [...first.keys()].filter(
        (name) => !isConstant(name) && (positionOf(name) !== undefined || isBase(name)),
      )
      expect(plan.steps.find(({ name }) => name === 'blended')!.counts).toMatchObject({ merged: weighted.length })
      expect(
        differing(
          outputs['merged']!,
          merge((name, x, y) => lerp(x, y, 1 - shareOf(name)), first, second),
        ),
      ).toEqual([])
      expect(reports['curve']).toMatch(/^<svg .*out\.8/s)
    })

    test('clip-dare moves the text encoders alone, and neither token positions nor the logit scale', async () => {
      const other = new Map(
        [...second].map(([name, tensor]) => [
          name,
          isConstant(name) ? { ...tensor, numbers: tensor.numbers.map((x) => x + 1) } : tensor,
        ]),
      )
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
      // Stages of each shell as the node pack’s documentation has them: three steps in for SDXL, four, five and three
      // for SD1.
      const [ends, between] =
        depth === 12
          ? ([
              [4, 22],
              [9, 17],
            ] as const)
          : ([
              [3, 16],
              [6, 13],
            ] as const)
      const keepOf = (name: string): number | undefined => {
        const stage = stageOf(name, depth)
        if (stage === undefined) return undefined
        const shell = stage < ends[0] || stage >= ends[1] ? 1 : stage < between[0] || stage >= between[1] ? 0.75 : 0.5
        const kind = /\.attn[12]\./.test(name)
          ? 0.5
          : name.includes('.ff.net.')
            ? 0.75
            : /\.(norm\d?|(in|out)_layers\.0)\./.test(name)
              ? 1
              : undefined
        return kind === undefined ? undefined : shell * kind
      }
      const { plan, outputs } = await buildRecipe('shell-attention', { first, second })
      const weighted = [...first.keys()].filter((name) => keepOf(name) !== undefined)
      expect(plan.steps.at(-1)!.counts).toEqual({
        constant: constants,
        kept: first.size - constants - weighted.length,
        merged: weighted.length,
      })
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

/** Tests of the recipe that merges a LoRA and keeps norms, with a checkpoint whose modules it changes. */
export const testNormalized = (
  architecture: string,
  checkpoint: Checkpoint,
  modules: readonly Adapted[],
  attention: number,
): unknown =>
  describe(`lora-normalized on ${architecture}`, () => {
    const { file, deltas } = makeLora(checkpoint, modules, 9)
    const models = { checkpoint, lora: file }
    const baked = new Map(
      [...checkpoint].map(([name, tensor]) => [
        name,
        { ...tensor, numbers: tensor.numbers.map((x, i) => x + (deltas.get(name)?.[i] ?? 0)) },
      ]),
    )

    test('gives queries their old norm, and keys the inverse factor', async () => {
      const { plan, outputs } = await buildRecipe('lora-normalized', models)
      expect(plan.steps.map(({ name, counts }) => [name, counts])).toEqual([
        ['baked', { merged: deltas.size }],
        ['normalized', { merged: attention }],
      ])
      const factor = (name: string): number => {
        const query = name.replace('.to_k.', '.to_q.')
        if (!query.includes('.to_q.')) return 1
        const ratio = norm(numbersOf(checkpoint, query)) / norm(numbersOf(baked, query))
        return query === name ? ratio : 1 / ratio
      }
      const expected = new Map(
        [...baked].map(([name, tensor]) => [
          name,
          tensor.dtype === 'F16' ? { ...tensor, numbers: half(tensor.numbers.map((x) => x * factor(name))) } : tensor,
        ]),
      )
      expect(differing(outputs['merged']!, expected, 2e-3)).toEqual([])
      const scaled = [...deltas.keys()].filter((name) => name.includes('.to_q.'))
      expect(scaled.length).toBeGreaterThan(0)
      for (const name of scaled) expect(Math.abs(factor(name) - 1)).toBeGreaterThan(0.05)
    })

    test('gives every tensor its old norm when it is told so', async () => {
      const { outputs } = await buildRecipe('lora-normalized', models, { method: 'all' })
      for (const name of deltas.keys())
        expect(norm(numbersOf(outputs['merged']!, name))).toBeCloseTo(norm(numbersOf(checkpoint, name)), 2)
      // A bias goes with its weight.
      const moved = [...deltas.keys()]
        .flatMap((name) => [name, name.replace(/\.weight$/, '.bias')])
        .filter((name) => checkpoint.has(name))
      expect(differing(outputs['merged']!, checkpoint).sort()).toEqual([...new Set(moved)].sort())
    })
  })
