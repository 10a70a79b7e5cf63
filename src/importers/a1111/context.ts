import type { DraftBuilder } from '../draft.js'
import type { Field } from '../importer.js'

/** The recipe of one merge, as the tool wrote it. */
export type Merge = Readonly<Record<string, unknown>>

/** What a merge is made with: the models by its hashes, and a way to tell what cannot be said. */
export interface MergeContext {
  readonly draft: DraftBuilder
  /** Where the merge stands, for messages. */
  readonly where: string
  /** The name of a model or of the step that makes it; undefined, once told, where there is none. */
  readonly model: (hash: unknown, key: string) => string | undefined
  /** The models that the metadata tells of, by hash. */
  readonly known: Readonly<Record<string, unknown>>
  readonly miss: (what: string, why: string) => undefined
}

/** Tensors that only the first model has stay. */
export const KEEP: Field = ['missing', 'keep']
/** A finite number, also as a text; undefined for anything else. */
export const numberOf = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}

/** A text; empty for anything else. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** What calculations with one model leave. */
export const SELF = ['**.*to_out*', '**.*proj_out*', '**.*norm*']

/** A number of which 0 stands for 1: the extensions leave what they would multiply by 0. */
export const orOne = (x: number): number => (x === 0 ? 1 : x)
