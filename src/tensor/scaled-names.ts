import type { TensorInfo } from './info.js'
import type { Scaled } from './quantised.js'

/** What a part of a scaled weight is called where it is written. */
export const partName = ({ renamed }: Scaled, { name }: Pick<TensorInfo, 'name'>): string => renamed?.get(name) ?? name

const stemOf = (name: string): string => name.slice(0, name.lastIndexOf('.') + 1)

/** A name that goes with a weight, behind its name or beside it, once the weight has another name. */
const along = (part: string, from: string, to: string): string =>
  part.startsWith(from)
    ? to + part.slice(from.length)
    : part.startsWith(stemOf(from))
      ? stemOf(to) + part.slice(stemOf(from).length)
      : part

/** A weight under another name, and its scale with it; markers get what `rename` gives them. */
export const renameScaled = (scaled: Scaled, name: string, rename: (name: string) => string): Scaled => {
  const { stored, scale, others, markers } = scaled
  const from = partName(scaled, stored)
  return {
    ...scaled,
    renamed: new Map([
      [stored.name, name],
      ...[scale, ...others].map((part) => [part.name, along(partName(scaled, part), from, name)] as const),
      ...markers.map((marker) => [marker.name, rename(partName(scaled, marker))] as const),
    ]),
  }
}
