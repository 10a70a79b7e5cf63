import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { TensorValues } from '../support/write-safetensors.js'
import { withBuildFixture, type Rebuilt } from './build-fixture.js'

const tensor = (values: number): TensorValues => ({ dtype: 'F32', shape: [2, 2], values })

/** Layers below a path, the tensors of each by what follows its number. */
const layersAt = (path: string, layers: readonly (readonly string[])[]): Readonly<Record<string, TensorValues>> =>
  Object.fromEntries(layers.flatMap((own, i) => own.map((name) => [`${path}.${i}.${name}`, tensor(i)])))

/** The config.json of layers 0 and 1 of a model, and all of its layers behind them. */
const stacked = async (
  config: object,
  tensors: Readonly<Record<string, TensorValues>>,
  path?: string,
): Promise<Rebuilt & { readonly config: unknown }> => {
  let found: (Rebuilt & { readonly config: unknown }) | undefined
  await withBuildFixture(async (shop) => {
    mkdirSync(shop.at('m'))
    writeFileSync(shop.at('m/config.json'), JSON.stringify({ dtype: 'float32', ...config }))
    await shop.model('m/model.safetensors', 0, tensors)
    const built = await shop.build({
      models: { m: 'm' },
      steps: { s: { op: 'model.stack', slices: [{ model: 'm', layers: [0, 2] }, 'm'], ...(path && { path }) } },
      outputs: { o: { from: 's', path: 'out/' } },
    })
    const text = built.codes.includes('by-layer') ? '{}' : readFileSync(shop.at('out/config.json'), 'utf8')
    found = { ...built, config: JSON.parse(text) as unknown }
  })
  return found!
}

const ALIKE = [['mlp'], ['mlp'], ['mlp']]

test.each([
  [
    'language_model.model.layers',
    { text_config: { num_hidden_layers: 3 }, vision_config: { num_hidden_layers: 3 } },
    { text_config: { num_hidden_layers: 5 }, vision_config: { num_hidden_layers: 3 } },
  ],
  [
    'vision_tower.layers',
    { text_config: { num_hidden_layers: 3 }, vision_config: { depth: 3 } },
    { text_config: { num_hidden_layers: 3 }, vision_config: { depth: 5 } },
  ],
  ['decoder.block', { num_layers: 3, num_decoder_layers: 3 }, { num_layers: 3, num_decoder_layers: 5 }],
  ['encoder.block', { num_layers: 3, num_decoder_layers: 3 }, { num_layers: 5, num_decoder_layers: 3 }],
])('layers stacked at %s are counted where the config counts them', async (path, before, after) => {
  const others = ['language_model.model.layers', 'vision_tower.layers', 'decoder.block', 'encoder.block']
  const tensors = Object.assign({}, ...others.map((own) => layersAt(own, ALIKE))) as Record<string, TensorValues>
  const { codes, config } = await stacked(before, tensors, path)
  expect(codes).toEqual([])
  expect(config).toEqual({ dtype: 'float32', ...after })
})

const KINDS = [['attention'], ['mamba'], ['attention']]

test('a warning names a layer of another kind than its place has, where no list says the kinds', async () => {
  const { codes } = await stacked({ num_hidden_layers: 3 }, layersAt('model.layers', KINDS))
  expect(codes).toEqual(['layer-kinds-unsaid'])
})

test.each([
  ['a list says them', { num_hidden_layers: 3, layer_types: ['a', 'm', 'a'] }, KINDS],
  ['all are alike', { num_hidden_layers: 3 }, ALIKE],
])('there is none where %s', async (_, config, kinds) => {
  expect((await stacked(config, layersAt('model.layers', kinds))).codes).toEqual([])
})

test('numbers in a list stay as they are written', async () =>
  withBuildFixture(async (shop) => {
    mkdirSync(shop.at('m'))
    writeFileSync(shop.at('m/config.json'), '{"dtype": "float32", "num_hidden_layers": 2, "sparsity": [0.95, 0.0]}')
    await shop.model('m/model.safetensors', 0, layersAt('model.layers', [['mlp'], ['mlp']]))
    await shop.build({
      models: { m: 'm' },
      steps: { s: { op: 'model.stack', slices: [{ model: 'm', layers: [1, 2] }, 'm'] } },
      outputs: { o: { from: 's', path: 'out/' } },
    })
    expect(readFileSync(shop.at('out/config.json'), 'utf8')).toContain('"sparsity": [0.0,0.95,0.0]')
  }))

test('a model with embeddings for each layer is refused', async () => {
  const tensors = {
    ...layersAt('model.layers', ALIKE),
    'model.embed_tokens_per_layer.weight': tensor(1),
  }
  expect((await stacked({ num_hidden_layers: 3 }, tensors)).codes).toEqual(['by-layer'])
})
