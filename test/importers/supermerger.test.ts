import { expect, test } from 'vitest'
import { importAndBuild, numbersOf, worstDifference, type Numbers } from '../support/imported.js'
import { metadataOf, tryMerges } from '../support/supermerger-merges.js'
import { supermerge, type Network, type SuperRecipe } from '../support/supermerger.js'
import { sd1File, tinySd1 } from '../support/tiny-sd1.js'

const UNET = 'model.diffusion_model'
const MANY: readonly number[] = [4, 2]

/** Tensors of the other networks, as few as they are recognised by. */
const SHAPES: Readonly<Record<Exclude<Network, 'sd'>, Readonly<Record<string, readonly number[]>>>> = {
  xl: {
    [`${UNET}.time_embed.0.weight`]: MANY,
    [`${UNET}.label_emb.0.0.weight`]: MANY,
    [`${UNET}.input_blocks.0.0.weight`]: [320, 1],
    [`${UNET}.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight`]: [1, 2048],
    [`${UNET}.input_blocks.8.1.transformer_blocks.9.attn2.to_k.weight`]: MANY,
    [`${UNET}.middle_block.1.proj_in.weight`]: MANY,
    [`${UNET}.output_blocks.8.0.in_layers.2.weight`]: MANY,
    [`${UNET}.out.2.weight`]: MANY,
    'conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight': MANY,
    'conditioner.embedders.1.model.text_projection': MANY,
    'first_stage_model.decoder.conv_in.weight': MANY,
  },
  flux: {
    [`${UNET}.img_in.weight`]: MANY,
    [`${UNET}.guidance_in.in_layer.weight`]: MANY,
    [`${UNET}.double_blocks.0.img_attn.norm.key_norm.scale`]: [4],
    [`${UNET}.double_blocks.18.img_attn.qkv.weight`]: MANY,
    [`${UNET}.single_blocks.37.linear1.weight`]: MANY,
    [`${UNET}.final_layer.linear.weight`]: MANY,
    'text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight': MANY,
    'text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.weight': MANY,
    'vae.decoder.conv_in.weight': MANY,
  },
}

const tiny = (network: Exclude<Network, 'sd'>, model: number): Numbers =>
  Object.fromEntries(
    Object.entries(SHAPES[network]).map(([name, shape], i) => [
      name,
      numbersOf(
        model,
        i,
        shape.reduce((n, d) => n * d),
      ),
    ]),
  )

const MERGE: SuperRecipe = {
  mode: 'Weight sum',
  calcmode: 'normal',
  mbw: false,
  base_alpha: 0.25,
  base_beta: 0,
  weights_alpha: null,
  weights_beta: null,
  elemental_merge: [],
  inex: 'Off',
  blocks: [],
  elements: '',
}
const SD1 = { 'a.safetensors': sd1File(1), 'b.safetensors': sd1File(2), 'c.safetensors': sd1File(3) }

test('merges of any settings are imported as supermerger computes them, or refused, or what differs is told', async () => {
  const { built } = await tryMerges(12, 'some')
  expect(built).toBeGreaterThan(8)
})

test.each<readonly [Exclude<Network, 'sd'>, title: string, SuperRecipe]>([
  ['xl', 'one number', MERGE],
  ['xl', 'block weights', { ...MERGE, mbw: true, weights_alpha: [...Array.from({ length: 19 }, (_, i) => i / 32), 0] }],
  ['flux', 'one number', MERGE],
  ['flux', 'block weights', { ...MERGE, mbw: true, weights_alpha: Array.from({ length: 60 }, (_, i) => i / 64) }],
  ['flux', 'what is excluded', { ...MERGE, inex: 'Exclude', elements: 'linear1' }],
])('%s, %s', async (network, _, recipe) => {
  const files = Object.fromEntries(
    ['a', 'b', 'c'].map((name, model) => [
      `${name}.safetensors`,
      Object.fromEntries(
        Object.entries(tiny(network, model)).map(([tensor, values]) => [
          tensor,
          { dtype: 'F32' as const, shape: SHAPES[network][tensor]!, values },
        ]),
      ),
    ]),
  )
  const built = await importAndBuild('merged.json', metadataOf(recipe), files, ['--models', '.'])
  const wanted = supermerge(recipe, [tiny(network, 0), tiny(network, 1), tiny(network, 2)], network)
  expect(worstDifference(built.numbers, wanted), built.recipe).toBeLessThan(1e-6)
})

test.each<readonly [elemental: string, said: RegExp]>([
  ['IN04:attn2 :0.5', /a space at an end/],
  ['IN04 :attn2:0.5', /a space at an end/],
  ['IN04:attn2  attn1:0.5', /two spaces/],
  ['IN04:attn1', /`IN04:attn1` is no entry/],
  [' attn2:0.5', /`attn2:0.5` is no entry/],
  ['NOT BASE-OUT11:attn2:0.5', /tensors that only the second model has/],
])('elemental merge by %j is read as supermerger reads it, and said', async (entry, said) => {
  const recipe: SuperRecipe = { ...MERGE, elemental_merge: [entry] }
  const built = await importAndBuild('merged.json', metadataOf(recipe), SD1, ['--models', '.'])
  expect(worstDifference(built.numbers, supermerge(recipe, [tinySd1(1), tinySd1(2), tinySd1(3)]))).toBeLessThan(1e-6)
  expect(built.recipe.replaceAll('\n#', '')).toMatch(said)
})

test('a typed element with a space in front names nothing, as in supermerger, and is told', async () => {
  const recipe: SuperRecipe = { ...MERGE, inex: 'Exclude', elements: 'attn1, attn2' }
  const built = await importAndBuild('merged.json', metadataOf(recipe), SD1, ['--models', '.'])
  expect(worstDifference(built.numbers, supermerge(recipe, [tinySd1(1), tinySd1(2), tinySd1(3)]))).toBeLessThan(1e-6)
  expect(built.recipe).toContain('` attn2` has a space in it')
})

test.each(['normal', 'self'] as const)(
  'what is included twice is not included, as in supermerger: %s',
  async (calcmode) => {
    const recipe: SuperRecipe = { ...MERGE, calcmode, inex: 'Include', elements: 'in_layers.2,in_layers.2' }
    const built = await importAndBuild('merged.json', metadataOf(recipe), SD1, ['--models', '.'])
    expect(worstDifference(built.numbers, supermerge(recipe, [tinySd1(1), tinySd1(2), tinySd1(3)]))).toBeLessThan(1e-6)
  },
)
