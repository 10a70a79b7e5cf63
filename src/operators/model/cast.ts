import { COMMON, named } from '../aliases.js'
import { castsNothing } from '../../base/catalogue/model-operators.js'
import { failed, ok, type Result } from '../../base/result.js'
import { isFloat, OUTPUT_DTYPES, SCALED_DTYPE, type OutputDtype } from '../../tensor/dtype.js'
import { isRescalable } from '../../tensor/quantised.js'
import { labelOf, modelsOf, textsOf } from '../call-arguments.js'
import type { Call, Operator } from '../operator.js'
import { dtypes, model } from '../params.js'
import type { Cast, ModelValue, Slot, Value } from '../value.js'

/** What a step asks of each tensor: later rules win, and the default leaves constants alone. */
const castsOf = (call: Call, tensors: ModelValue['tensors']): Result<(name: string) => Cast | undefined> => {
  const { default: fallback, entries } = textsOf(call, 'dtype')
  const chosen = new Map<string, Cast>()
  for (const { pattern, text, at } of entries) {
    const selected = call.select({ type: 'layers', patterns: [pattern], at: pattern.at }, tensors)
    if (selected.type === 'failed') return selected
    for (const name of selected.value) chosen.set(name, { dtype: text as OutputDtype, at })
  }
  const general = fallback === undefined ? undefined : { dtype: fallback as OutputDtype, at: call.at('dtype') }
  return ok((name) => chosen.get(name) ?? (call.isConstant(name, tensors) ? undefined : general))
}

/** True where a tensor can be written as is asked: floats that are not packed, and new scales where there are old ones. */
const allows = ({ dtype: own, opaque, scaled }: Slot, { dtype }: Cast): boolean =>
  dtype === SCALED_DTYPE ? isRescalable(scaled) : opaque === undefined && isFloat(own)

/** True where a tensor is written like that anyway. */
const isAlready = ({ dtype: own, scaled }: Slot, dtype: Exclude<OutputDtype, 'same'>): boolean =>
  dtype === SCALED_DTYPE ? scaled !== undefined : scaled === undefined && own === OUTPUT_DTYPES[dtype]

const evaluate = (call: Call): Result<readonly Value[]> => {
  const { tensors, space, tensor, label } = modelsOf(call, 'model')[0]!.value
  const casts = castsOf(call, tensors)
  if (casts.type === 'failed') return casts
  const vain = new Map<OutputDtype, boolean>()
  const castSlot = (slot: Slot): Slot => {
    const cast = casts.value(slot.name)
    if (cast === undefined || cast.dtype === 'same') return slot
    const { dtype } = cast
    const allowed = allows(slot, cast)
    vain.set(dtype, vain.get(dtype) !== false && !allowed)
    if (!allowed) return slot
    call.note({ type: isAlready(slot, dtype) ? 'kept' : `cast to ${dtype}`, tensor: slot.name })
    return { ...slot, cast, ...(dtype === SCALED_DTYPE ? {} : { dtype: OUTPUT_DTYPES[dtype] }) }
  }
  const slots = new Map([...tensors].map(([name, slot]) => [name, castSlot(slot)] as const))
  const idle = [...vain].filter(([, nothing]) => nothing)
  if (idle.length > 0) return failed(...idle.map(([dtype]) => castsNothing(call.at('dtype'), label, dtype)))
  return ok([{ kind: 'model', space, label: labelOf(call), tensors: slots, tensor }], casts.diagnostics)
}

/** Chooses the dtypes that a model is written in. */
export const cast: Operator = {
  id: 'model.cast',
  aliases: [
    { name: 'cast', from: 'sd-mecha' },
    { name: 'save as float16', from: 'AUTOMATIC1111 web UI', settings: '`dtype: f16`' },
    { name: 'out_dtype', from: 'mergekit', settings: '`dtype` of the output, or this step' },
    ...named(COMMON, ['convert']),
    { name: 'half', from: COMMON, settings: '`dtype: f16`' },
    { name: 'fp16, bf16', from: 'sd-webui-model-converter', settings: '`dtype: f16`, `dtype: bf16`' },
  ],
  version: 1,
  summary: 'Chooses the dtypes that a model is written in, by layer.',
  details: [
    'The dtype goes with the tensor through the steps that follow, wherever this model is the first of a step, until it is written. Numbers are not rounded before: arithmetic stays float32, and is rounded once, to nearest even. So the step can stand before a merge or after it, and with `model.combine` each part brings the dtypes of its own.',
    '',
    'An output without `dtype`, or with `dtype: same`, writes what the step says. An output with another `dtype` decides for itself, and a warning counts the tensors where the two differ.',
    '',
    '`dtype: f16` casts all floating-point numbers but the constants of an architecture (`alphas_cumprod`, `logit_scale`, …); a rule that selects a constant casts it too. In rules, later ones win, and `same` leaves tensors as they are: `dtype: { default: f16, "group:norm": f32, "component:vae": same }`. Integers and packed weights keep their dtypes.',
    '',
    '`f8_e4m3` and `f8_e5m2` are plain 8-bit numbers, in which most small weights are lost. `f8_e4m3_scaled` gives tensors that are stored in F8_E4M3 with scales new scales in the same layout, and leaves all others as they are: see [quantised.md](quantised.md).',
  ].join('\n'),
  output: 'model',
  inputs: { model: model('The model.', 'any') },
  params: { dtype: dtypes('One dtype, or dtypes by layer: later rules win.') },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'norms stay in float32',
      inputs: { model: { 'attn.weight': [0.1, 3], 'norm.weight': [0.1, 3] } },
      params: { dtype: { default: 'f16', '**.norm': 'f32' } },
      expect: { 'attn.weight': [0.0999755859375, 3], 'norm.weight': [0.1, 3] },
      dtypes: { 'attn.weight': 'F16' },
    },
  ],
  evaluate,
}
