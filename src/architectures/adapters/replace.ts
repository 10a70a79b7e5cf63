import { otherVocabulary, unknownRole, wholeShape } from '../../base/catalogue/adapter-tensors.js'
import { ambiguousName, factorDtype } from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { isFloat } from '../../tensor/dtype.js'
import type { TensorInfo } from '../../tensor/info.js'
import { wholeOf } from '../../tensor/view.js'
import { isConstant } from '../constants.js'
import { isShape, isWholeTarget, layOut, placedNumbers, type Laid } from './laid.js'
import type { AdapterNames } from './names.js'
import type { Patched, Sourced } from './overlap.js'
import type { PatchContext } from './patch-context.js'
import { meaningOf, wholeModule, type WholePlace } from './whole.js'

/** Tensors with a row for each token. */
const BY_TOKEN =
  /(?:^|\.)(?:embed_tokens|lm_head|embed_in|embed_out|wte|token_embedding|word_embeddings|tok_embeddings|shared)(?:\.|$)/

/**
 * Patches of tensors without a role: each replaces a tensor of the model, with which it agrees in shape, or is told.
 */
export const replaceWhole = (tensors: readonly TensorInfo[], names: AdapterNames, making: PatchContext): Patched => {
  const patches: (readonly [string, Sourced])[] = []
  const unmatched: string[] = []
  const problems: Diagnostic[] = []
  const unknown = new Map<string, { readonly module: string; readonly tensors: string[] }>()
  for (const info of tensors) {
    const meaning = meaningOf(info.name, names, (tensor) => making.tensors.has(tensor))
    // Constants are copied from the model, whatever else is done to it; some programs save them with the biases.
    if (meaning.type === 'whole' && meaning.places.some(({ tensor }) => isConstant(tensor, info))) continue
    if (meaning.type === 'absent') unmatched.push(info.name)
    else if (meaning.type === 'ambiguous')
      problems.push(
        ambiguousName(
          making.at,
          making.adapter,
          meaning.module,
          meaning.targets.map((t) => (t.weight ?? t.bias)!),
        ),
      )
    else if (meaning.type === 'unknown') {
      const alike = unknown.get(meaning.ending) ?? { module: meaning.module, tensors: [] }
      alike.tensors.push(info.name)
      unknown.set(meaning.ending, alike)
    } else {
      for (const place of meaning.places) {
        const laid = layOf(place, making)
        const problem = problemOf(info, place, laid, making)
        if (problem !== undefined) {
          problems.push(problem)
          continue
        }
        const { text, rows } = place.target
        const of = isWholeTarget(place.target) ? wholeOf(info) : placedNumbers(info, laid)
        patches.push([
          place.tensor,
          {
            module: wholeModule(info.name),
            patch: { text, rows, change: { type: 'replace', of } },
            ...(meaning.base ? { base: true } : {}),
          },
        ])
      }
    }
  }
  for (const [ending, { module, tensors: alike }] of unknown)
    problems.push(unknownRole(making.at, making.adapter, alike, module, ending))
  return { patches, unmatched, problems }
}

const layOf = ({ tensor, target }: WholePlace, { tensors }: PatchContext): Laid => {
  const { shape } = tensors.get(tensor)!
  return layOut(tensor, shape, target, target.change === 'transposed' && shape.length > 1)
}

/** Why a tensor cannot take the place of another, or of a part of it; undefined where it can. */
const problemOf = (
  info: TensorInfo,
  { tensor, target }: WholePlace,
  laid: Laid,
  { adapter, model, at, tensors, architectureMismatch }: PatchContext,
): Diagnostic | undefined => {
  const { shape, dtype } = tensors.get(tensor)!
  if (!isFloat(info.dtype)) return factorDtype(at, info.name, adapter, info.dtype)
  if (!isFloat(dtype)) return factorDtype(at, tensor, model, dtype)
  if (!isWholeTarget(target))
    return isShape(info.shape, laid.shape)
      ? undefined
      : wholeShape(at, adapter, info.name, info.shape, tensor, laid.shape, architectureMismatch)
  if (shape.join() === info.shape.join()) return undefined
  const sameWidth = info.shape.slice(1).join() === shape.slice(1).join()
  return sameWidth && BY_TOKEN.test(tensor)
    ? otherVocabulary(at, adapter, info.name, info.shape[0] ?? 1, tensor, shape[0] ?? 1)
    : wholeShape(at, adapter, info.name, info.shape, tensor, shape, architectureMismatch)
}
