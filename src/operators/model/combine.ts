import { combinedTwice, mixedSpaces } from '../../base/catalogue/operators.js'
import { failed, ok } from '../../base/result.js'
import { labelOf, modelsOf, valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { choice, models } from '../params.js'
import type { ModelValue } from '../value.js'

const OVERLAP = { error: 'stops the build, naming it', first: 'takes it from the model listed first' } as const

/** The tensors of several models in one. */
export const combine: Operator = {
  id: 'model.combine',
  version: 1,
  summary: 'Puts the tensors of several models into one.',
  aliases: [
    { name: 'fallback', from: 'sd-mecha', settings: '`models: [a, default]`, `overlap: first`' },
    {
      name: 'CheckpointSave',
      from: 'ComfyUI',
      settings: 'for a diffusion model, text encoder and VAE of different checkpoints, each by `model.select`',
    },
  ],
  details:
    'For parts that do not overlap: a diffusion model, a text encoder and a VAE, each taken with `model.select`. Nothing is computed.',
  output: 'model',
  inputs: { models: models('The parts.', {}, 2, 'any') },
  params: { overlap: choice(OVERLAP, 'error', 'What happens to a tensor that several models have.') },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'the first wins',
      inputs: {
        models: [
          [1, 2],
          [3, 4],
        ],
      },
      params: { overlap: 'first' },
      expect: [1, 2],
    },
  ],
  evaluate: (call) => {
    const parts = modelsOf(call, 'models')
    const { space } = parts[0]!.value
    const stranger = parts.find(({ value }) => value.space !== space)
    if (stranger !== undefined) return failed(mixedSpaces(stranger.at, stranger.value.label, parts[0]!.value.label))
    const owners = new Map<string, ModelValue>()
    for (const { value, at } of parts) {
      const twice = [...value.tensors.keys()].filter((name) => owners.has(name))
      if (twice.length > 0 && valueOf(call, 'overlap') !== 'first') {
        return failed(combinedTwice(at, twice, owners.get(twice[0]!)!.label, value.label))
      }
      for (const name of value.tensors.keys()) if (!owners.has(name)) owners.set(name, value)
    }
    const tensors = new Map([...owners].map(([name, owner]) => [name, owner.tensors.get(name)!]))
    return ok([
      { kind: 'model', space, label: labelOf(call), tensors, tensor: (name) => owners.get(name)!.tensor(name) },
    ])
  },
}
