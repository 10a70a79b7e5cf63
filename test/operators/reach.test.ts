import { describe, expect, test } from 'vitest'
import { outlineOf, planOf, problemsOf, tryPlan, type Outline, type Paper } from '../plan/support.js'

const TWO: Outline = { head: ['F16', [4, 8]], tail: ['F16', [8]] }
const blend = (more: object = {}) => ({ op: 'merge.blend', a: 'a', b: 'b', ...more })
const paper = (models: Paper['models'], step: object = blend(), steps: object = {}): Paper => ({
  models,
  steps: { ...steps, m: step },
  outputs: { o: { from: 'm', path: 'out.safetensors' } },
})
const counts = (made: Paper) => planOf(made).steps.at(-1)!.counts
const first = (made: Paper) => tryPlan(made).diagnostics[0]!

const sd15 = outlineOf('sd15')
const sdxl = outlineOf('sdxl')
const llama = outlineOf('llama-2-7b')
const without = (outline: Outline, pattern: RegExp): Outline =>
  Object.fromEntries(Object.entries(outline).filter(([name]) => !pattern.test(name)))

describe('models of two architectures', () => {
  test('are one error, which names both, before any tensor', () => {
    const made = paper({ a: sd15, b: sdxl })
    expect(problemsOf(made)).toEqual(['error architectures-differ "b"'])
    expect(first(made).message).toBe(
      '`a` (/models/a.safetensors) is Stable Diffusion 1, but `b` (/models/b.safetensors) is Stable Diffusion XL',
    )
    expect(
      problemsOf(paper({ a: llama, b: outlineOf('qwen2-7b') }, { op: 'merge.linear', models: ['a', 'b'] })),
    ).toEqual(['error architectures-differ "b"'])
    expect(
      problemsOf(paper({ a: sd15, b: sdxl }, { op: 'mask.magnitude', model: 'a', base: 'b', quantile: 0.5 })),
    ).toEqual(['error architectures-differ "b"'])
  })

  test('are merged where their tensors agree only when the recipe says it in all three ways', () => {
    expect(problemsOf(paper({ a: sd15, b: sdxl }, blend({ missing: 'keep', mismatch: 'keep' })))).toEqual([
      'error architectures-differ "b"',
    ])
    expect(problemsOf(paper({ a: sd15, b: sdxl }, blend({ architectures: 'mixed', mismatch: 'keep' })))).toContain(
      'error missing-tensor "b"',
    )
    expect(
      counts(paper({ a: sd15, b: sdxl }, blend({ architectures: 'mixed', missing: 'keep', mismatch: 'keep' })))[
        'merged'
      ],
    ).toBeGreaterThan(100)
  })

  test('are told apart from a checkpoint and a file with one of its parts', () => {
    const clip: Outline = Object.fromEntries(
      Object.entries(sd15)
        .filter(([name]) => name.startsWith('cond_stage_model.'))
        .map(([name, slot]) => [name.slice('cond_stage_model.transformer.'.length), slot]),
    )
    expect(counts(paper({ a: sd15, b: clip }, blend({ layers: 'component:clip' })))).toMatchObject({ merged: 196 })
    expect(problemsOf(paper({ a: llama, b: clip }))).toEqual(['error architectures-differ "b"'])
  })
})

describe('a step that merges no tensor', () => {
  test('is an error with what became of them', () => {
    const other: Outline = { nose: ['F16', [4]] }
    expect(problemsOf(paper({ a: TWO, b: other }, blend({ missing: 'keep' })))).toEqual([
      'error nothing-merged "merge.blend"',
    ])
    expect(first(paper({ a: TWO, b: other }, blend({ missing: 'keep' }))).message).toBe(
      'step `m` merges no tensor, so it would give `a` (/models/a.safetensors) unchanged: 2 missing in another model',
    )
    expect(
      problemsOf(paper({ a: TWO, b: { head: ['F16', [8, 4]], tail: ['F16', [4]] } }, blend({ mismatch: 'keep' }))),
    ).toEqual(['error nothing-merged "merge.blend"'])
    const whole = first(paper({ a: { steps: ['I64', [7]] }, b: { steps: ['I64', [7]] } }))
    expect([whole.code, whole.message.split(': ')[1], whole.help]).toEqual([
      'nothing-merged',
      '1 integer tensor',
      'select floating-point tensors, since only these are merged, or remove the step',
    ])
    expect(
      problemsOf(
        paper({ a: TWO, b: other }, { op: 'mask.magnitude', model: 'a', base: 'b', quantile: 0.5, missing: 'keep' }),
      ),
    ).toEqual(['error nothing-merged "mask.magnitude"'])
  })

  test('is what the recipe says where its numbers, layers or mask leave all as it is', () => {
    expect(problemsOf(paper({ a: TWO, b: TWO }, blend({ keep: 1 })))).toEqual([])
    expect(
      problemsOf(paper({ a: TWO, b: TWO }, blend({ keep: 'none' }), { none: { op: 'weights.block', like: 'a' } })),
    ).toEqual([])
    expect(
      problemsOf(
        paper({ a: TWO, b: TWO }, blend({ mask: 'none' }), { none: { op: 'mask.fill', like: 'a', value: false } }),
      ),
    ).toEqual([])
    expect(problemsOf(paper({ a: TWO, b: { head: TWO['head']! } }, blend({ layers: 'head' })))).toEqual([])
  })
})

describe('what only later models have', () => {
  test('is counted once', () => {
    expect(
      counts(
        paper(
          { a: TWO, b: { ...TWO, nose: ['F16', [4]] }, c: { ...TWO, nose: ['F16', [4]], ear: ['F16', [4]] } },
          { op: 'merge.linear', models: ['a', 'b', 'c'] },
        ),
      ),
    ).toEqual({ merged: 2, dropped: 2 })
  })

  test.each(['v_pred', 'ztsnr', 'edm_vpred.sigma_max', 'lm_head.weight', 'guidance_in.in_layer.weight'])(
    'is a warning where it decides what a model is: %s',
    (name) => {
      const more: Outline = { ...TWO, [name]: ['F16', [1]] }
      expect(problemsOf(paper({ a: TWO, b: more }))).toEqual(['warning tensor-dropped "b"'])
      expect(counts(paper({ a: TWO, b: more }))).toEqual({ merged: 2, dropped: 1 })
    },
  )

  test('is a warning where it is channels of the input, whichever way the others differ', () => {
    const wide: Outline = { ...sd15, 'model.diffusion_model.input_blocks.0.0.weight': ['F16', [320, 9, 3, 3]] }
    expect(problemsOf(paper({ a: sd15, b: wide }))).toEqual([
      'error shape-mismatch "b"',
      'warning channels-dropped "b"',
    ])
    expect(problemsOf(paper({ a: sd15, b: wide }, blend({ mismatch: 'keep' })))).toEqual([
      'warning channels-dropped "b"',
    ])
    expect(problemsOf(paper({ a: wide, b: sd15 }, blend({ mismatch: 'keep' })))).toEqual([])
  })
})

describe('a model that lacks tensors', () => {
  const help = (models: Paper['models']): string => first(paper(models)).help!
  test('is told with the reason, where there is one', () => {
    expect(help({ a: TWO, b: { head: TWO['head']! } })).toMatch(/^write `missing: keep`/)
    expect(help({ a: TWO, b: { nose: ['F16', [4]] } })).toMatch(/^check that both are the same kind of network/)
    const gpt2: Outline = { 'h.0.attn.c_attn.weight': ['F16', [4, 4]], 'lm_head.weight': llama['lm_head.weight']! }
    expect(help({ a: llama, b: gpt2 })).toMatch(/^check that both are the same kind of network/)
    expect(help({ a: sd15, b: without(sd15, /^(?:first_stage|cond_stage)_model\./) })).toMatch(
      /^write `layers: component:unet`, since .* or `missing: keep` to take clip_l, vae from/,
    )
    expect(
      help({
        a: sd15,
        b: {
          'down_blocks.0.resnets.0.conv1.weight': ['F16', [4, 4]],
          'mid_block.resnets.0.conv1.weight': ['F16', [4, 4]],
        },
      }),
    ).toMatch(/^convert .*: its tensors are named as in diffusers/)
    expect(
      help({
        a: llama,
        b: { 'tok_embeddings.weight': ['F16', [4, 4]], 'layers.0.attention.wq.weight': ['F16', [4, 4]] },
      }),
    ).toMatch(/named as in Meta’s release/)
  })
})

describe('what stands in the wrong block of a recipe', () => {
  const lora: Outline = {
    'lora_unet_x.lora_up.weight': ['F16', [4, 2]],
    'lora_unet_x.lora_down.weight': ['F16', [2, 4]],
    'lora_unet_x.alpha': ['F16', []],
  }
  test('a LoRA among models is an error of its own, wherever its factors would be computed with', () => {
    expect(problemsOf(paper({ a: lora, b: lora }))).toEqual(['error adapter-as-model "a"'])
    expect(problemsOf(paper({ a: TWO, b: lora }))).toEqual(['error adapter-as-model "b"'])
    expect(problemsOf(paper({ a: lora }, { op: 'model.scale', model: 'a', factor: 2 }))).toEqual([
      'error adapter-as-model "a"',
    ])
    expect(
      problemsOf({ models: { a: lora }, outputs: { o: { from: 'a', path: 'out.safetensors', dtype: 'f32' } } }),
    ).toEqual([])
  })

  test('a mask that knows no tensor of the model is an error of its own', () => {
    const steps = { mask: { op: 'mask.fill', like: 'c', p: 0.5 } }
    const models = { a: TWO, b: TWO, c: { nose: ['F16', [4]] } } as const
    for (const unmasked of ['keep', 'merge'])
      expect(problemsOf(paper(models, blend({ mask: 'mask', unmasked }), steps))).toEqual(['error foreign-mask "mask"'])
    expect(problemsOf(paper(models, { op: 'merge.dare', a: 'a', b: 'b', kept: ['mask'] }, steps))).toEqual([
      'error foreign-mask "mask"',
    ])
    expect(
      problemsOf(paper(models, { op: 'merge.dare_linear', base: 'a', models: [{ model: 'b', kept: 'mask' }] }, steps)),
    ).toEqual(['error foreign-mask "mask"'])
  })
})
