import { isAmbiguous, type AdapterNames, type AdapterTarget } from './names.js'

/** A tensor's name read as that of a whole tensor of the model. */
interface WholeName {
  readonly module: string
  /** What it is of the module; empty for a module that is one bare tensor. */
  readonly part: 'weight' | 'scale' | 'bias' | ''
}

/** A tensor that is replaced, and the target that it is of. */
export interface WholePlace {
  readonly tensor: string
  readonly target: AdapterTarget
}

/** What a tensor without a role is to a model. */
export type Meaning =
  /**
   * It replaces a tensor, or those of several layers. `base` is true for what is below factors, to which these are added.
   */
  | { readonly type: 'whole'; readonly places: readonly WholePlace[]; readonly base: boolean }
  /** Its name could mean several modules. */
  | { readonly type: 'ambiguous'; readonly module: string; readonly targets: readonly AdapterTarget[] }
  /** It belongs to a module of the model, and its ending says nothing. */
  | { readonly type: 'unknown'; readonly module: string; readonly ending: string }
  /** The model has nothing of that name. */
  | { readonly type: 'absent' }

/** Names that LyCORIS and kohya's trainer make of a path, whose whole tensors have endings of their own. */
const UNDERSCORED = /^(?:lora|lycoris|oft)_[^.]+(?:\.|$)/

/** True for a name that a trainer made of a path by replacing its dots. */
export const isUnderscored = (name: string): boolean => UNDERSCORED.test(name)

/**
 * What PEFT puts between a module and its tensors: the trained copy of it, by the name of the adapter or without, and
 * the module below its factors.
 */
const SAVED = /\.modules_to_save(?:\.[^.]+(?=\.))?/
const BASE = /\.base_layer(?=\.(?:weight|bias)$)/
const SET = /\.set_weight$/

/** True for names that tell an adapter, by what stands between a module and its whole tensors. */
export const isSavedWhole = (name: string): boolean => [SAVED, BASE, SET].some((pattern) => pattern.test(name))

/** Every way to read a name as that of a whole tensor, the likeliest first. */
const readings = (name: string): readonly WholeName[] => {
  if (SET.test(name)) return [{ module: name.replace(SET, ''), part: 'weight' }]
  if (UNDERSCORED.test(name)) return []
  const plain = new Set([name.replace(BASE, '').replace(SAVED, ''), name.replace('.modules_to_save', '')])
  return [...plain].flatMap((path): WholeName[] => {
    const match = /^(.+)[._](weight|scale|bias)$/.exec(path)
    return [
      ...(match === null ? [] : [{ module: match[1]!, part: match[2] as 'weight' | 'scale' | 'bias' }]),
      { module: path, part: '' },
    ]
  })
}

/** The module of a whole tensor, by its name alone. */
export const wholeModule = (name: string): string => readings(name)[0]?.module ?? name

/**
 * The tensor of a module that a part of it is. Norms are called `weight` by some and `scale` by others; a module that
 * has both has each.
 */
const partOf = (
  { weight, bias }: AdapterTarget,
  part: WholeName['part'],
  has: (tensor: string) => boolean,
): string | undefined => {
  if (part === 'bias' || weight === undefined) return part === 'bias' ? bias : undefined
  const named = weight.replace(/(?<=[._])(?:weight|scale)$/, part)
  return has(named) ? named : weight
}

/** True for a module that is a tensor without an ending. */
const isBare = ({ weight }: AdapterTarget): boolean => weight !== undefined && !/[._](?:weight|scale)$/.test(weight)

/** Tells what a tensor without a role is to a model with these names; `has` tells the model's tensors. */
export const meaningOf = (name: string, names: AdapterNames, has: (tensor: string) => boolean): Meaning => {
  for (const { module, part } of readings(name)) {
    const targets = names.get(module) ?? []
    const [target] = targets
    if (target === undefined || (part === '' && !isBare(target))) continue
    const places = targets.flatMap((own): readonly WholePlace[] => {
      const tensor = partOf(own, part, has)
      return tensor === undefined ? [] : [{ tensor, target: own }]
    })
    if (places.length < targets.length) return { type: 'absent' }
    return isAmbiguous(targets)
      ? { type: 'ambiguous', module, targets }
      : { type: 'whole', places, base: BASE.test(name) }
  }
  for (let end = name.lastIndexOf('.'); end > 0; end = name.lastIndexOf('.', end - 1)) {
    const module = name.slice(0, end)
    if (names.has(module)) return { type: 'unknown', module, ending: name.slice(end) }
  }
  return { type: 'absent' }
}
