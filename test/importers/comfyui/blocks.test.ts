import { expect, test } from 'vitest'
import { BLOCK_CLASSES } from '#src/importers/comfyui/block-classes.js'
import { evaluateRecipe } from '../../support/evaluate.js'
import type { PlainFile } from '../../support/recipe-run.js'
import { createWorkflow, recipeOf } from '../../support/workflows.js'

/** How many sliders each node of ComfyUI has. */
const SLIDERS: Readonly<Record<string, number>> = {
  ModelMergeBlocks: 3,
  ModelMergeSD1: 30,
  ModelMergeSD2: 30,
  ModelMergeSDXL: 24,
  ModelMergeBlockNumber: 30,
  ModelMergeSDXLTransformers: 104,
  ModelMergeSDXLDetailedTransformers: 874,
  ModelMergeSD3_2B: 30,
  ModelMergeSD35_Large: 44,
  ModelMergeAuraflow: 43,
  ModelMergeFlux1: 63,
  ModelMergeMochiPreview: 53,
  ModelMergeLTXV: 33,
  ModelMergeCosmos7B: 34,
  ModelMergeCosmos14B: 42,
  ModelMergeCosmosPredict2_2B: 33,
  ModelMergeCosmosPredict2_14B: 41,
  ModelMergeWAN2_1: 46,
  ModelMergeQwenImage: 66,
  ModelMergeKrea2: 38,
}
/** Layers in the place of `input`, `middle` and `out`. */
const WHOLE: readonly string[] = ['input_blocks.3.', 'middle_block.', 'output_blocks.1.', 'out.']
/** Tensors of a single name, which no prefix with a dot reaches. */
const ALONE = ['pos_embed', 'pos_frequencies']

/** A tensor for each slider, and some that no slider begins. */
const namesOf = (type: string): readonly string[] => [
  ...(type === 'ModelMergeBlocks' ? WHOLE : BLOCK_CLASSES[type]!)
    .filter((prefix) => !ALONE.includes(prefix.replace('.', '')))
    .map((prefix) => (prefix.endsWith('.') ? `${prefix}proj.weight` : `${prefix}.weight`)),
  ...ALONE,
  'other.weight',
]

const fileOf = (names: readonly string[], value: number): PlainFile =>
  Object.fromEntries(names.map((name) => [name, { dtype: 'f32', shape: [1], values: [value] }]))

test('smelt knows every node with sliders for blocks', () => {
  expect(Object.fromEntries(Object.entries(BLOCK_CLASSES).map(([type, names]) => [type, names.length]))).toEqual(
    SLIDERS,
  )
})

test.each(Object.keys(SLIDERS))('%s: the slider of the longest name that a tensor begins with decides', (type) => {
  const sliders = BLOCK_CLASSES[type]!
  // Most sliders in a row are alike, as people leave them, and others stand inside of such that differ.
  const ratios = Object.fromEntries(sliders.map((name, i) => [name, i % 7 === 3 ? 0.5 : (i % 3) / 8 + 0.25]))
  const names = namesOf(type)
  const files = {
    'models/diffusion_models/a.safetensors': fileOf(names, 0),
    'models/diffusion_models/b.safetensors': fileOf(names, 1),
  }
  const ratioOf = (name: string): number => {
    const found = sliders.filter((prefix) => name.startsWith(prefix))
    const longest = found.toSorted((x, y) => y.length - x.length)[0] ?? sliders[0]!
    return ratios[longest]!
  }
  const flow = createWorkflow()
  const [a, b] = ['a', 'b'].map((name) =>
    flow.add('UNETLoader', { unet_name: `${name}.safetensors`, weight_dtype: 'default' }),
  )
  const merged = flow.add(type, ratios, { model1: [a!, 0], model2: [b!, 0] })
  flow.add('ModelSave', { filename_prefix: 'out' }, { model: [merged, 0] })
  for (const json of [flow.api(), flow.ui(), flow.ui(1)]) {
    const result = evaluateRecipe(recipeOf(json), files)
    expect(result.diagnostics.filter((d) => d.severity === 'error').map((d) => d.message)).toEqual([])
    const found = result.type === 'ok' ? Object.values(result.value)[0]! : {}
    expect(Object.keys(found).toSorted()).toEqual([...names].toSorted())
    for (const name of names) expect([name, found[name]!.values[0]]).toEqual([name, 1 - ratioOf(name)])
  }
})
