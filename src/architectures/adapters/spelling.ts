/** Rows of a tensor: a part of a fused one. */
export interface Rows {
  readonly first: number
  readonly count: number
}

/** Where the rows of a module stand among those that a name of several modules stands for: the first, of so many. */
export interface Part {
  readonly first: number
  readonly of: number
}

/**
 * What has to be done to a delta before it is added: diffusers stores some tensors with their halves or axes changed.
 */
export type NameChange = 'halves-swapped' | 'transposed'

/** One way to write a module's path. */
export interface Spelling {
  readonly path: string
  readonly rows?: Rows
  /** Given where the name is that of several modules, which an adapter has as one. */
  readonly part?: Part
  readonly change?: NameChange
}

/** Where a spelling's path goes: behind prefixes that leave its dots, and behind others that make them underscores. */
export interface Prefixes {
  readonly dotted: readonly string[]
  readonly underscored: readonly string[]
}

/** Every name that prefixes make of a path. */
export const prefixed = (path: string, { dotted, underscored }: Prefixes): readonly string[] => [
  ...dotted.map((prefix) => prefix + path),
  ...underscored.map((prefix) => prefix + path.replaceAll('.', '_')),
]
