import { expect, test } from 'vitest'
import { detectArchitecture, findResemblance } from '#src/architectures/detect.js'
import { part, readTable, type Shapes } from './tables.js'

const sd15 = readTable('sd15')
const sdxl = readTable('sdxl')
const sd3 = readTable('sd3-medium')
const flux = readTable('flux-dev')
const llama = readTable('llama-2-7b')

const seen = (tensors: Shapes) => {
  const found = detectArchitecture(tensors)
  return found && [found.id, found.modelspec, found.diffusionPrefix]
}

const shaped = (shapes: Record<string, number[]>): Shapes =>
  new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape }]))

const changed = (tensors: Shapes, change: (name: string, shape: number[]) => number[]): Shapes =>
  new Map([...tensors].map(([name, { shape }]) => [name, { shape: change(name, shape) }]))

test.each([
  ['sd15', ['sd1', 'stable-diffusion-v1', 'model.diffusion_model']],
  ['sdxl', ['sdxl', 'stable-diffusion-xl-v1-base', 'model.diffusion_model']],
  ['sd3-medium', ['sd3', 'stable-diffusion-v3-medium', 'model.diffusion_model']],
  ['flux-dev', ['flux', 'flux-1-dev', 'model.diffusion_model']],
  ['llama-2-7b', ['llama', undefined, undefined]],
  ['llama-3.1-8b', ['llama', undefined, undefined]],
  ['mistral-7b-v0.1', ['llama', undefined, undefined]],
  ['qwen2-7b', ['qwen2', undefined, undefined]],
])('the table %s is told by its names and shapes', (table, expected) => {
  expect(seen(readTable(table))).toEqual(expected)
})

test.each([
  ['without a prefix', ''],
  ['as ComfyUI holds it', 'diffusion_model.'],
  ['under model.model', 'model.model.'],
  ['under net', 'net.'],
])('a diffusion model alone is told %s', (_, prefix) => {
  const diffusion = (table: Shapes) => seen(part(table, 'model.diffusion_model', prefix))
  const root = prefix.slice(0, -1)
  expect(diffusion(sd15)).toEqual(['sd1', 'stable-diffusion-v1', root])
  expect(diffusion(sdxl)).toEqual(['sdxl', 'stable-diffusion-xl-v1-base', root])
  expect(diffusion(sd3)).toEqual(['sd3', 'stable-diffusion-v3-medium', root])
  expect(diffusion(flux)).toEqual(['flux', 'flux-1-dev', root])
})

test('an inpainting model with nine input channels is still Stable Diffusion 1', () => {
  const inpaint = changed(sd15, (name, shape) =>
    name === 'model.diffusion_model.input_blocks.0.0.weight' ? [320, 9, 3, 3] : shape,
  )
  expect(seen(inpaint)?.[0]).toBe('sd1')
})

test('the width of the text tells Stable Diffusion 2, and its ModelSpec id stays open', () => {
  const wide = changed(sd15, (name, shape) => (/attn2\.to_[kv]\.weight$/.test(name) ? [shape[0]!, 1024] : shape))
  expect(seen(wide)).toEqual(['sd2', undefined, 'model.diffusion_model'])
})

test('the width of the network tells the refiner', () => {
  const refiner = shaped({
    'model.diffusion_model.input_blocks.0.0.weight': [384, 4, 3, 3],
    'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight': [768, 1280],
    'model.diffusion_model.out.2.weight': [4, 384, 3, 3],
    'conditioner.embedders.0.model.ln_final.weight': [1280],
  })
  expect(seen(refiner)).toEqual(['sdxl-refiner', 'stable-diffusion-xl-v1-refiner', 'model.diffusion_model'])
  expect(detectArchitecture(refiner)!.locate('conditioner.embedders.0.model.ln_final.weight')).toEqual({
    component: 'clip_g',
    block: 'te',
    groups: [],
  })
})

test('a distilled SDXL is not taken for the whole one', () => {
  const small = new Map([...sdxl].filter(([name]) => !/transformer_blocks\.[4-9]\./.test(name)))
  expect(seen(small)).toEqual(['sdxl-small', undefined, 'model.diffusion_model'])
})

test('Flux without guidance is schnell, and with distilled guidance Chroma', () => {
  const schnell = new Map([...flux].filter(([name]) => !name.includes('guidance_in')))
  expect(seen(schnell)?.slice(0, 2)).toEqual(['flux', 'flux-1-schnell'])
  const chroma = new Map(schnell).set('model.diffusion_model.distilled_guidance_layer.in_proj.weight', {
    shape: [5120, 64],
  })
  expect(seen(chroma)?.slice(0, 2)).toEqual(['chroma', 'chroma'])
})

test('a Stable Diffusion 3 that normalises its queries is not the medium one of 2024', () => {
  const later = new Map(sd3).set('model.diffusion_model.joint_blocks.0.x_block.attn.ln_q.weight', { shape: [64] })
  expect(seen(later)?.slice(0, 2)).toEqual(['sd3', undefined])
})

test('Gemma 2 is told by its norms after the MLP, unless it also normalises queries', () => {
  const gemma = new Map(llama).set('model.layers.0.post_feedforward_layernorm.weight', { shape: [4096] })
  expect(seen(gemma)?.[0]).toBe('gemma2')
  const other = new Map(gemma).set('model.layers.0.self_attn.q_norm.weight', { shape: [128] })
  expect(seen(other)?.[0]).toBe('llama')
})

test.each([
  ['clip-l', part(sd15, 'cond_stage_model.transformer'), 'clip_l'],
  ['clip-l', part(sd15, 'cond_stage_model', 'cond_stage_model.'), 'clip_l'],
  ['clip-g', part(sd3, 'text_encoders.clip_g.transformer'), 'clip_g'],
  ['openclip-g', part(sdxl, 'conditioner.embedders.1'), 'clip_g'],
  ['t5', part(flux, 'text_encoders.t5xxl.transformer'), 't5'],
  ['vae', part(sd15, 'first_stage_model'), 'vae'],
  ['vae', part(flux, 'vae', 'vae.'), 'vae'],
])('a file with only %s is told, and every tensor of it is of that component', (id, tensors, component) => {
  const found = detectArchitecture(tensors)!
  expect([found.id, found.diffusionPrefix]).toEqual([id, undefined])
  expect(new Set([...tensors.keys()].map((name) => found.locate(name).component))).toEqual(new Set([component]))
})

test('a CLIP of 24 layers is CLIP-H in either naming', () => {
  const layers = (name: (n: number) => string) =>
    shaped(Object.fromEntries(Array.from({ length: 24 }, (_, n) => [name(n), [1]])))
  expect(seen(layers((n) => `text_model.encoder.layers.${n}.self_attn.q_proj.weight`))?.[0]).toBe('clip-h')
  expect(seen(layers((n) => `model.transformer.resblocks.${n}.attn.in_proj_weight`))?.[0]).toBe('openclip-h')
})

const TABLES = ['sd15', 'sdxl', 'sd3-medium', 'flux-dev', 'llama-2-7b', 'llama-3.1-8b', 'mistral-7b-v0.1', 'qwen2-7b']

/** Every fourth tensor has another name: one segment of it, another one each time, is spelt as no network spells it. */
const renamed = (tensors: Shapes, first: number): Shapes =>
  new Map(
    [...tensors].map(([name, info], i) => {
      if (i % 4 !== first) return [name, info]
      const segments = name.split('.')
      const at = Math.floor(i / 4) % segments.length
      return [segments.map((s, k) => (k === at ? `${s}_of_ours` : s)).join('.'), info]
    }),
  )

const prefixed = (tensors: Shapes, first: number): Shapes =>
  new Map([...tensors].map(([name, info], i) => [i % 4 === first ? `ours.${name}` : name, info]))

test.each(TABLES)('%s with a quarter of its names changed is of no known architecture', (table) => {
  for (const first of [0, 1, 2, 3]) {
    expect(detectArchitecture(renamed(readTable(table), first))).toBeUndefined()
    expect(detectArchitecture(prefixed(readTable(table), first))).toBeUndefined()
  }
})

test.each(['cond_stage_model.transformer', 'first_stage_model'])(
  'a few tensors under %s do not make a checkpoint of an unknown network that part alone',
  (companion) => {
    const network = new Map(
      Array.from(
        { length: 100 },
        (_, i) =>
          [`model.diffusion_model.blocks.${i}.mixer.weight`, { shape: [2, 2] }] satisfies [string, { shape: number[] }],
      ),
    )
    expect(detectArchitecture(new Map([...network, ...part(sd15, companion, `${companion}.`)]))).toBeUndefined()
  },
)

test('a CLIP with a picture encoder is not its text encoder, and a VQGAN is no VAE', () => {
  const text = part(sd15, 'cond_stage_model.transformer')
  const whole = new Map([
    ...text,
    ...[...text].map(([name, info]) => [name.replace('text_model', 'vision_model'), info] as const),
  ])
  expect(seen(text)?.[0]).toBe('clip-l')
  expect(detectArchitecture(whole)).toBeUndefined()
  const vae = part(sd15, 'first_stage_model')
  expect(detectArchitecture(new Map(vae).set('quantize.embedding.weight', { shape: [8, 4] }))).toBeUndefined()
})

test('averages of the weights and a ControlNet beside the diffusion model change nothing', () => {
  const names = [...sd15].filter(([name]) => name.startsWith('model.diffusion_model.'))
  const averaged = new Map([
    ...sd15,
    ...names.map(([name, info]) => [`model_ema.${name.slice(6).replaceAll('.', '')}`, info] as const),
  ])
  expect(seen(averaged)?.[0]).toBe('sd1')
  const controlled = new Map([
    ...sd15,
    ...names
      .slice(0, 340)
      .map(([name, info]) => [name.replace('model.diffusion_model', 'control_model'), info] as const),
  ])
  expect(seen(controlled)?.[0]).toBe('sd1')
})

test('what an unknown model resembles is told with how many of its tensors fit', () => {
  const odd = renamed(llama, 2)
  expect(findResemblance(odd)).toMatchObject({ title: 'Llama family', tensors: 291 })
  expect(findResemblance(odd)!.fitting).toBeLessThan(0.9 * 291)
  expect(findResemblance(shaped({ 'fc1.weight': [8, 4] }))).toBeUndefined()
})

test('a U-Net of another width resembles that whose names it has, not a part of its checkpoint', () => {
  const narrow = new Map([...sd15].map(([name, { shape }]) => [name, { shape: shape.map((n) => Math.ceil(n / 2)) }]))
  expect(detectArchitecture(narrow)).toBeUndefined()
  expect(findResemblance(narrow)).toEqual({
    title: 'Stable Diffusion 1',
    fitting: 686,
    tensors: narrow.size,
    shaped: false,
  })
})

test.each([
  ['a small perceptron', { 'fc1.bias': [8], 'fc1.weight': [8, 4], 'fc2.weight': [2, 8] }],
  ['a small convolutional network', { 'conv1.weight': [8, 1, 3, 3], 'conv1.bias': [8], 'fc.weight': [10, 8] }],
  [
    'a small transformer',
    {
      'embeddings.row_proj.weight': [16, 8],
      'layers.0.self_attn.q_proj.weight': [16, 16],
      'layers.0.mlp.fc1.weight': [32, 16],
    },
  ],
  [
    'a ControlNet',
    {
      'input_blocks.0.0.weight': [320, 4, 3, 3],
      'input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight': [640, 768],
    },
  ],
  ['tensors with names of objects', { __proto__x: [1], 'constructor.weight': [1], toString: [1] }],
  ['nothing', {}],
])('%s is of no known architecture', (_, shapes) => {
  expect(detectArchitecture(shaped(shapes as Record<string, number[]>))).toBeUndefined()
})

test('a model with the names and shapes of the one before has the same architecture, and one of another shape its own', () => {
  const first = detectArchitecture(sdxl)
  expect(detectArchitecture(new Map([...sdxl].reverse()))).toBe(first)
  const [name] = [...sdxl.keys()]
  const renamed = new Map([...sdxl].map(([own, tensor]) => [own === name ? 'strange' : own, tensor]))
  expect(detectArchitecture(renamed)).not.toBe(first)
  const reshaped = new Map([...sdxl].map(([own, tensor]) => [own, own === name ? { ...tensor, shape: [3] } : tensor]))
  expect(detectArchitecture(reshaped)).not.toBe(first)
  expect(detectArchitecture(sdxl)).toBe(first)
})
