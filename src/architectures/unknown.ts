import { findResemblance, type Resemblance } from './detect.js'

/** What names and shapes show of a model whose architecture is not known. */
export interface Seen {
  readonly resemblance: Resemblance | undefined
  /** The first segments of its names, in their order; of very many, only some. */
  readonly beginnings: readonly string[]
}

const MOST = 20

/** Looks at a model of no known architecture, for messages that ask for one. */
export const lookAtUnknown = (tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>): Seen => ({
  resemblance: findResemblance(tensors),
  beginnings: [...new Set([...tensors.keys()].map((name) => name.split('.', 1)[0]!))].slice(0, MOST),
})
