import { a1111Lacks, a1111Says } from '../../base/catalogue/import-a1111.js'
import type { Yaml } from '../../document/write.js'
import type { Field } from '../importer.js'
import { oneMinus } from '../numbers.js'
import { patternBelow } from './blocks.js'
import { KEEP, numberOf, textOf, type Merge, type MergeContext } from './context.js'

/** Of an inpainting model, the first layer has other channels. */
const MISMATCH: Field = ['mismatch', 'keep']

/** A regular expression for the start of names, or for a part of them, as a layer pattern. */
const patternOf = (regex: string): string | undefined => {
  const [, anchor, body] = /^(\^?)((?:[\w-]|\\\.|\.)+)$/.exec(regex) ?? []
  if (body === undefined) return undefined
  const text = body.replaceAll('\\.', '.').replace(/\.$/, '')
  return anchor === '^' ? text : patternBelow([], text)
}

/** Steps behind a merge of the web UI: another VAE, and tensors that are left out. */
const finish = ({ draft, miss, where }: MergeContext, merge: Merge, from: string): string => {
  const [vae, discard] = [textOf(merge['bake_in_vae']), textOf(merge['discard_weights'])]
  let name = from
  if (vae !== '' && vae !== 'None') {
    const model = draft.model({ path: vae, folder: 'models/VAE', where })
    const parts = draft.step('vae', 'model.select', [
      ['model', model],
      ['layers', ['*', ...['loss', 'model_ema'].map((name): Yaml => ({ match: `!${name}`, optional: true }))]],
    ])
    const placed = draft.step('placed_vae', 'model.rename', [
      ['model', parts],
      ['add_root', 'first_stage_model'],
    ])
    name = draft.step('with_vae', 'model.combine', [
      ['models', [placed, name]],
      ['overlap', 'first'],
    ])
  }
  if (discard !== '') {
    const patterns = discard.split('|').map(patternOf)
    if (patterns.some((p) => p === undefined)) miss(`\`discard_weights: ${discard}\``, a1111Lacks.discard)
    else
      name = draft.step('pruned', 'model.select', [
        ['model', name],
        ['layers', ['*', ...patterns.map((p): Yaml => ({ match: `!${p!}`, optional: true }))]],
      ])
  }
  return name
}

/** A merge of the web UI's own tab. */
export const mergeWebui = (context: MergeContext, merge: Merge): string | undefined => {
  const { draft, model, miss, where } = context
  const method = textOf(merge['interp_method'])
  const a = model(merge['primary_model_hash'], 'primary_model_hash')
  if (a === undefined) return undefined
  if (method === 'No interpolation' || method === '') return finish(context, merge, a)
  const b = model(merge['secondary_model_hash'], 'secondary_model_hash')
  const multiplier = numberOf(merge['multiplier'])
  if (multiplier === undefined) return miss('`multiplier`', a1111Lacks.number('multiplier'))
  if (b === undefined) return undefined
  const odd = merge['is_inpainting'] === true || merge['is_instruct_pix2pix'] === true
  if (odd) draft.note(where, a1111Says.inpainting)
  const ends: readonly Field[] = odd ? [KEEP, MISMATCH] : [KEEP]
  if (method === 'Weighted sum')
    return finish(
      context,
      merge,
      draft.step('weighted_sum', 'merge.blend', [
        ['a', a],
        ['b', b],
        ['keep', oneMinus(multiplier), a1111Says.keepMultiplier],
        ...ends,
      ]),
    )
  if (method !== 'Add difference') return miss(`\`${method}\``, a1111Lacks.method)
  const c = model(merge['tertiary_model_hash'], 'tertiary_model_hash')
  if (c === undefined) return undefined
  return finish(
    context,
    merge,
    draft.step('add_difference', 'merge.add_difference', [
      ['a', a],
      ['b', b],
      ['c', c],
      ['strength', multiplier],
      ...ends,
    ]),
  )
}
