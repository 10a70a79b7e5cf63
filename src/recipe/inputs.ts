import { inputInTwoPlaces, inputNowhere, notARepository, strayHubPath } from '../base/catalogue/hub.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { find, type Entry, type Value } from '../document/value.js'
import { isRepository, labelOf, referenceAt, staysInside, type HubReference } from '../hub/reference.js'
import type { Input, InputKind } from './recipe.js'

/** The block of a recipe that lists the inputs of each kind, in the order of {@link readInputs}. */
export const INPUT_BLOCKS: Readonly<Record<InputKind, string>> = { model: 'models', adapter: 'adapters' }

/** Every kind of input, in the same order. */
export const INPUT_KINDS = Object.keys(INPUT_BLOCKS) as readonly InputKind[]

/** The keys of an input that say where on a hub it is. */
export const HUB_KEYS: ReadonlySet<string> = new Set(['hub', 'revision', 'files'])

/** Every entry under a recipe's inputs, with its kind; a name may be there twice where it is a mistake. */
export const inputEntries = (root: Value): readonly (Entry & { readonly name: string; readonly kind: InputKind })[] =>
  INPUT_KINDS.flatMap((kind) => {
    const block = find(root, [INPUT_BLOCKS[kind]])
    return block?.type === 'map' ? [...block.entries].map(([name, entry]) => ({ ...entry, name, kind })) : []
  })

/** What is wrong with where inputs are said to be: nowhere, at two places, or on a hub under what is no name there. */
export const inputProblems = (root: Value): readonly Diagnostic[] =>
  inputEntries(root).flatMap(({ name, kind, value }): readonly Diagnostic[] => {
    if (value.type !== 'map') return []
    const [path, hub] = ['path', 'hub'].map((key) => value.entries.get(key))
    if (path === undefined && hub === undefined) return [inputNowhere(placeOf(value), name, kind)]
    if (path !== undefined && hub !== undefined) return [inputInTwoPlaces({ type: 'text', range: hub.key }, name, kind)]
    const repository = textOf(hub?.value)
    return [
      ...(repository === undefined || isRepository(repository)
        ? []
        : [notARepository(placeOf(hub!.value), repository, referenceAt(repository)?.repository)]),
      ...['revision', 'files'].flatMap((key) => {
        const inside = find(value, [key])
        const text = textOf(inside)
        return text === undefined || staysInside(text) ? [] : [strayHubPath(placeOf(inside!), key, text)]
      }),
    ]
  })

/** The inputs of a recipe by name. */
export const readInputs = (root: Value): ReadonlyMap<string, Input> =>
  new Map(inputEntries(root).map(({ name, kind, value }) => [name, readInput(name, kind, value)]))

const referenceOf = (value: Value): HubReference | undefined => {
  const repository = textOf(find(value, ['hub']))
  return repository === undefined
    ? undefined
    : { repository, revision: textOf(find(value, ['revision'])), files: textOf(find(value, ['files'])) }
}

const readInput = (name: string, kind: InputKind, value: Value): Input => {
  const hub = referenceOf(value)
  const path = value.type === 'string' ? value : (find(value, ['path']) ?? find(value, ['hub']) ?? value)
  const file = {
    name,
    path: hub === undefined ? (textOf(path) ?? '') : labelOf(hub),
    ...(hub === undefined ? {} : { hub }),
    sha256: textOf(find(value, ['sha256'])),
    at: placeOf(path),
  }
  switch (kind) {
    case 'model':
      return { ...file, kind }
    case 'adapter': {
      const alpha = find(value, ['alpha'])
      return { ...file, kind, alpha: alpha?.type === 'number' ? alpha.value : undefined }
    }
  }
}

const placeOf = ({ range }: Value): Place => ({ type: 'text', range })
const textOf = (value: Value | undefined): string | undefined => (value?.type === 'string' ? value.value : undefined)
