import type { Place } from '../base/diagnostic.js'
import { find, type Entry, type Value } from '../document/value.js'
import type { Input, InputKind } from './recipe.js'

/** The block of a recipe that lists the inputs of each kind, in the order of {@link readInputs}. */
export const INPUT_BLOCKS: Readonly<Record<InputKind, string>> = { model: 'models', adapter: 'adapters' }

/** Every kind of input, in the same order. */
export const INPUT_KINDS = Object.keys(INPUT_BLOCKS) as readonly InputKind[]

/** Every entry under a recipe's inputs, with its kind; a name may be there twice where it is a mistake. */
export const inputEntries = (root: Value): readonly (Entry & { readonly name: string; readonly kind: InputKind })[] =>
  INPUT_KINDS.flatMap((kind) => {
    const block = find(root, [INPUT_BLOCKS[kind]])
    return block?.type === 'map' ? [...block.entries].map(([name, entry]) => ({ ...entry, name, kind })) : []
  })

/** The inputs of a recipe by name. */
export const readInputs = (root: Value): ReadonlyMap<string, Input> =>
  new Map(inputEntries(root).map(({ name, kind, value }) => [name, readInput(name, kind, value)]))

const readInput = (name: string, kind: InputKind, value: Value): Input => {
  const path = value.type === 'string' ? value : find(value, ['path'])!
  const at: Place = { type: 'text', range: path.range }
  const file = { name, path: textOf(path) ?? '', sha256: textOf(find(value, ['sha256'])), at }
  switch (kind) {
    case 'model':
      return { ...file, kind }
    case 'adapter': {
      const alpha = find(value, ['alpha'])
      return { ...file, kind, alpha: alpha?.type === 'number' ? alpha.value : undefined }
    }
  }
}

const textOf = (value: Value | undefined): string | undefined => (value?.type === 'string' ? value.value : undefined)
