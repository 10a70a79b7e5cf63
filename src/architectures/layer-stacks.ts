import type { Architecture } from './detect.js'

/** A run of numbered layers of a model, such as `model.layers.0`, `model.layers.1`, …. */
export interface LayerStack {
  /** What their names have before the number: `model.layers`. */
  readonly path: string
  /** Of each layer by its number, the full name of each tensor by what follows the number: `mlp.up_proj.weight`. */
  readonly layers: ReadonlyMap<number, ReadonlyMap<string, string>>
}

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>

const NUMBER = /^(0|[1-9]\d{0,8})$/

/** A name at the first number in it that stands alone between dots; undefined where there is none. */
const splitAtNumber = (name: string): readonly [path: string, number: number, below: string] | undefined => {
  const segments = name.split('.')
  const at = segments.findIndex((segment, i) => i > 0 && NUMBER.test(segment))
  return at < 0 || at === segments.length - 1
    ? undefined
    : [segments.slice(0, at).join('.'), Number(segments[at]), segments.slice(at + 1).join('.')]
}

/** A name whose number follows `path`; undefined for any other. */
const splitAtPath = (name: string, path: string): ReturnType<typeof splitAtNumber> => {
  if (!name.startsWith(`${path}.`)) return undefined
  const [number = '', ...below] = name.slice(path.length + 1).split('.')
  return NUMBER.test(number) && below.length > 0 ? [path, Number(number), below.join('.')] : undefined
}

/**
 * The runs of numbered layers that a model has, in the order of its names: those at `path` if it is given, else those
 * that the architecture calls blocks, else, where it is unknown, those at the first number of each name.
 */
export const findLayerStacks = (
  tensors: Tensors,
  architecture: Architecture | undefined,
  path: string | undefined,
): readonly LayerStack[] => {
  const stacks = new Map<string, Map<number, Map<string, string>>>()
  for (const name of tensors.keys()) {
    if (path === undefined && architecture !== undefined) {
      const { component, block } = architecture.locate(name)
      if (component !== architecture.component || !/\.\d+$/.test(block)) continue
    }
    const split = path === undefined ? splitAtNumber(name) : splitAtPath(name, path)
    if (split === undefined) continue
    const [above, number, below] = split
    const layers = stacks.get(above) ?? new Map<number, Map<string, string>>()
    const layer = layers.get(number) ?? new Map<string, string>()
    stacks.set(above, layers.set(number, layer.set(below, name)))
  }
  return [...stacks].map(([above, layers]) => ({ path: above, layers }))
}
