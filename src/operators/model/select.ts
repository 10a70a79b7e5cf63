import { ok } from '../../base/result.js'
import { labelOf, layersOf, modelsOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { layers, model } from '../params.js'

/** Keeps only some tensors of a model. */
export const select: Operator = {
  id: 'model.select',
  version: 1,
  summary: 'Keeps only some tensors of a model.',
  aliases: [
    {
      name: 'pick_component',
      from: 'sd-mecha',
      settings:
        '`layers: component:unet` for `diffuser`, `component:clip` for the text encoders, `component:vae` for `vae`',
    },
    { name: 'omit_component', from: 'sd-mecha', settings: '`layers: ["*", "!component:vae"]`' },
    { name: 'ModelSave', from: 'ComfyUI', settings: '`layers: component:diffusion`, and an output' },
    { name: 'CLIPSave', from: 'ComfyUI', settings: '`layers: component:clip`, and an output: one file' },
    { name: 'VAESave', from: 'ComfyUI', settings: '`layers: component:vae`, and an output' },
    {
      name: 'discard weights',
      from: 'AUTOMATIC1111 web UI',
      settings: '`layers: ["*", "!PATTERN"]`, with layer patterns in place of the regular expression',
    },
  ],
  details:
    'The result has the selected tensors and no others. With `model.combine` it takes the text encoder of one model and the VAE of another.',
  output: 'model',
  inputs: { model: model('The model.', 'any') },
  params: { layers: layers('The tensors to keep.') },
  merges: false,
  exact: true,
  draws: false,
  examples: [{ inputs: { model: [1, 2] }, params: { layers: '*' }, expect: [1, 2] }],
  evaluate: (call) => {
    const { tensors, space, tensor } = modelsOf(call, 'model')[0]!.value
    const selected = call.select(layersOf(call, 'layers'), tensors)
    if (selected.type === 'failed') return selected
    const kept = new Map([...tensors].filter(([name]) => selected.value.has(name)))
    return ok([{ kind: 'model', space, label: labelOf(call), tensors: kept, tensor }], selected.diagnostics)
  },
}
