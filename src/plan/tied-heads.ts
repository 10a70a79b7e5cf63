import { headUntied } from '../base/catalogue/reach.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { Call, Operator } from '../operators/operator.js'
import type { ModelValue, Reference, Slot } from '../operators/value.js'
import type { LayerContext } from './context.js'

/** Output layers of language models, each with the embeddings that stand for it in a file that lacks it. */
const TIED: readonly (readonly [head: string, embeddings: readonly string[]])[] = [
  [
    'lm_head.weight',
    [
      'model.embed_tokens.weight',
      'model.language_model.embed_tokens.weight',
      'model.decoder.embed_tokens.weight',
      'transformer.wte.weight',
    ],
  ],
  ['language_model.lm_head.weight', ['language_model.model.embed_tokens.weight']],
  ['embed_out.weight', ['gpt_neox.embed_in.weight']],
]

/** True for the name of an output layer that some models have apart from their embeddings. */
export const isHead = (name: string): boolean => TIED.some(([head]) => head === name)

/** Gives tied models of a step the output layer that other models of it have apart. */
export interface HeadCompleter {
  /** Says that some tensors are a whole model, so that what they lack is lacking on purpose. */
  whole(tensors: ModelValue['tensors']): void
  /** Says that a step made some tensors from a model: a whole one if the names are those of a whole model. */
  derive(tensors: ModelValue['tensors'], from: ModelValue['tensors']): void
  complete(call: Call, operator: Operator): { readonly call: Call; readonly warnings: readonly Diagnostic[] }
}

const isModel = (r: Reference): r is Reference<ModelValue> => r.value.kind === 'model'

/** A new completer; the tensors of a completed model are one map for all steps, since architectures are known by it. */
export const createHeadCompleter = (layers: LayerContext): HeadCompleter => {
  const wholes = new WeakSet<ModelValue['tensors']>()
  const completed = new WeakMap<ModelValue['tensors'], ReadonlyMap<string, Slot>>()

  const withHead = (value: ModelValue, head: string, embedding: string): ModelValue => {
    const tensors =
      completed.get(value.tensors) ?? new Map(value.tensors).set(head, { ...value.tensors.get(embedding)!, name: head })
    completed.set(value.tensors, tensors)
    wholes.add(tensors)
    layers.inherit(tensors, value.tensors)
    return {
      ...value,
      tensors,
      tensor: (name) => (name === head ? (value.untied?.(head) ?? value.tensor(embedding)) : value.tensor(name)),
    }
  }

  return {
    whole: (tensors) => void wholes.add(tensors),
    derive: (tensors, from) => {
      if (
        tensors !== from &&
        wholes.has(from) &&
        tensors.size === from.size &&
        [...tensors.keys()].every((name) => from.has(name))
      )
        wholes.add(tensors)
    },
    complete: (call, { inputs, merges }) => {
      const keys = Object.keys(inputs).filter((key) => {
        const input = inputs[key]!
        return input.type === 'model' && !('aside' in input)
      })
      const lists = keys.map((key) => [call.inputs[key] ?? []].flat() as readonly Reference[])
      const models = lists.flat().filter(isModel)
      const pair =
        merges || keys.length > 1 ? TIED.find(([head]) => models.some((m) => m.value.tensors.has(head))) : undefined
      if (pair === undefined) return { call, warnings: [] }
      const [head, embeddings] = pair
      const tie = (r: Reference): Reference => {
        if (!isModel(r) || r.value.tensors.has(head) || !wholes.has(r.value.tensors)) return r
        const embedding = embeddings.find((name) => r.value.tensors.has(name))
        return embedding === undefined ? r : { ...r, value: withHead(r.value, head, embedding) }
      }
      const [first, apart] = [models[0]!, models.find((m) => m.value.tensors.has(head))!]
      const untied = merges && tie(first) !== first
      return {
        call: {
          ...call,
          inputs: {
            ...call.inputs,
            ...Object.fromEntries(
              // An input that the recipe leaves out has no key.
              keys.flatMap((key) => {
                const input = call.inputs[key]
                return input === undefined ? [] : [[key, 'value' in input ? tie(input) : input.map(tie)]]
              }),
            ),
          },
        },
        warnings: untied ? [headUntied(apart.at, head, first.value.label, apart.value.label)] : [],
      }
    },
  }
}
