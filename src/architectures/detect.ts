import { below, under } from '../tensor/roots.js'
import { isUntrained } from './constants.js'
import { DITS } from './dit.js'
import { LEAVES, type Component, type Family, type Shell } from './family.js'
import { LLMS } from './llm.js'
import { COMPANIONS, PARTS } from './parts.js'
import { shellsOf } from './shells.js'
import { UNETS } from './unet.js'

/**
 * Where a tensor stands: in exactly one component and one block (`other` for what no table knows), and in any number of
 * groups.
 */
export interface Location {
  readonly component: Component
  readonly block: string
  /** Kinds of layer, of the diffusion or language model only; encoders and VAE have them only in files of their own. */
  readonly groups: readonly string[]
}

/** A model's architecture as its tensor names and shapes tell it. */
export interface Architecture {
  readonly id: string
  readonly title: string
  /** The architecture id of ModelSpec; absent where it has none or names and shapes do not decide it. */
  readonly modelspec?: string
  /** The dotted path that the network hangs under; empty when it hangs under none. */
  readonly root: string
  /** What the network itself is; encoders and VAE beside it are components of their own. */
  readonly component: Component
  /**
   * The dotted path of the diffusion model, empty when the file holds nothing else; absent for other kinds of model.
   */
  readonly diffusionPrefix?: string
  /**
   * The blocks that this model has, in order: encoders, the network's own in the order of its computation, `vae`,
   * `other`.
   */
  readonly blocks: readonly string[]
  /** The field's block-weight lists for it, each as the block of every position. */
  readonly mbw: readonly (readonly string[])[]
  /** Blocks that the lists have no number for, each with the block whose number it takes. */
  readonly followers: ReadonlyMap<string, string>
  /** How deep each numbered or middle block lies; blocks outside the stack (`time`, `io`, `te`, …) have no shell. */
  readonly shells: ReadonlyMap<string, Shell>
  readonly locate: (name: string) => Location
}

const FAMILIES: readonly Family[] = [...UNETS, ...DITS, ...LLMS, ...PARTS]

type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>

/**
 * The share of a network's tensors that must bear its names, and the share that a diffusion model has to have of a
 * file, what checkpoints hold beside it aside.
 */
const [OF_NETWORK, OF_FILE] = [0.9, 0.8]

/** What was found out already; most models of a recipe have the names and shapes of the one before. */
const detected = new WeakMap<Shapes, { readonly architecture: Architecture | undefined }>()
let latest: WeakRef<Shapes> | undefined

/**
 * Tells a model's architecture from names and shapes alone, or undefined when it is none that smelt knows: a few names
 * are not enough, most must fit. The tensors must not change afterwards: they are looked at once.
 */
export const detectArchitecture = (tensors: Shapes): Architecture | undefined => {
  const known = detected.get(tensors) ?? detectedAlike(tensors) ?? { architecture: detect(tensors) }
  detected.set(tensors, known)
  latest = new WeakRef(tensors)
  return known.architecture
}

/** What was found out of the model before, if this one has its names and shapes. */
const detectedAlike = (tensors: Shapes): ReturnType<typeof detected.get> => {
  const before = latest?.deref()
  return before !== undefined && haveSameShapes(before, tensors) ? detected.get(before) : undefined
}

/** True for the same names, in any order, with the same shapes. */
const haveSameShapes = (x: Shapes, y: Shapes): boolean => {
  if (x.size !== y.size) return false
  for (const [name, { shape }] of x) {
    const other = y.get(name)?.shape
    if (other?.length !== shape.length || !shape.every((dim, axis) => dim === other[axis])) return false
  }
  return true
}

const detect = (tensors: Shapes): Architecture | undefined => {
  for (const family of FAMILIES) {
    const root = family.roots.find(
      (candidate) => holds(family.when, candidate, tensors) && fits(family, countNames(family, candidate, tensors)),
    )
    if (root !== undefined) return describe(family, root, [...tensors.keys()])
  }
  return undefined
}

/** How near an unknown model is to an architecture: its title, and how many of the model's tensors bear names of it. */
export interface Resemblance {
  readonly title: string
  readonly fitting: number
  readonly tensors: number
  /** False where the tensors that tell the architecture are there, in other shapes. */
  readonly shaped: boolean
}

/**
 * The architecture most of whose names a model has, and all of its telling tensors, although too few of the others fit,
 * or the telling ones have other shapes; undefined for a model that resembles none.
 */
export const findResemblance = (tensors: Shapes): Resemblance | undefined => {
  const near = FAMILIES.flatMap((family) =>
    family.roots
      .filter((root) => hasNames(family.when, root, tensors))
      .map((root) => ({
        title: family.title,
        fitting: countNames(family, root, tensors).known,
        tensors: tensors.size,
        shaped: holds(family.when, root, tensors),
        telling: Object.keys(family.when).length,
      })),
  )
  near.sort((x, y) => y.fitting - x.fitting || Number(y.shaped) - Number(x.shaped) || y.telling - x.telling)
  if (near[0] === undefined) return undefined
  const { telling: _, ...nearest } = near[0]
  return nearest
}

const hasNames = (when: Family['when'], root: string, tensors: Shapes): boolean =>
  Object.entries(when).every(([path, dims]) => tensors.has(under(root, path)) === (dims !== false))

const holds = (when: Family['when'], root: string, tensors: Shapes): boolean =>
  Object.entries(when).every(([path, dims]) => {
    const shape = tensors.get(under(root, path))?.shape
    if (dims === false || shape === undefined) return dims === false && shape === undefined
    return dims.every((dim, axis) => dim === 0 || dim === shape[axis])
  })

/** Tensors that count, by where they are. */
interface Names {
  /** Below the root, under names that the network has. */
  readonly known: number
  readonly inside: number
  /** Neither below the root nor of a part that checkpoints have beside the network. */
  readonly unrecognised: number
}

const fits = ({ diffusion }: Family, { known, inside, unrecognised }: Names): boolean =>
  known >= OF_NETWORK * inside && known >= (diffusion ? OF_FILE : OF_NETWORK) * (inside + unrecognised)

const isNamed = (family: Family, path: string): boolean =>
  blockOf(family, path) !== undefined &&
  path.split('.').every((segment) => family.words.has(segment) || LEAVES.has(segment) || /^\d+$/.test(segment))

/**
 * What checkpoints hold beside the diffusion model, by the first segment of its names: encoders, VAE, networks for
 * other inputs, and what training leaves behind.
 */
export const BESIDE: ReadonlySet<string> = new Set([
  ...COMPANIONS.map(([prefix]) => prefix.split('.', 1)[0]!),
  'control_model',
  'depth_model',
  'embedder',
  'noise_augmentor',
  'loss',
  'optimizer_states',
  'callbacks',
])

const countNames = (family: Family, root: string, tensors: Shapes): Names => {
  let [known, inside, unrecognised] = [0, 0, 0]
  for (const name of tensors.keys()) {
    const path = below(root, name)
    const isBeside = family.diffusion && BESIDE.has(name.split('.', 1)[0]!)
    if (isUntrained(name) || (isBeside && (path === undefined || blockOf(family, path) === undefined))) continue
    if (path === undefined) unrecognised++
    else {
      inside++
      if (isNamed(family, path)) known++
    }
  }
  return { known, inside, unrecognised }
}

const describe = (family: Family, root: string, names: readonly string[]): Architecture => {
  const places = new Map<string, Location>()
  const locate = (name: string): Location => {
    const known = places.get(name) ?? locateIn(family, root, name)
    places.set(name, known)
    return known
  }
  const blocks = orderBlocks(family, new Set(names.map((name) => locate(name).block)))
  return {
    id: family.id,
    title: family.title,
    ...(family.modelspec === undefined ? {} : { modelspec: family.modelspec }),
    root,
    component: family.component,
    ...(family.diffusion ? { diffusionPrefix: root } : {}),
    blocks,
    mbw: family.mbw,
    followers: new Map(Object.entries(family.followers ?? {})),
    shells: shellsOf(blocks, family.shells),
    locate,
  }
}

const locateIn = (family: Family, root: string, name: string): Location => {
  const path = below(root, name)
  if (path !== undefined) {
    const block = blockOf(family, path)
    if (block !== undefined) return { component: family.component, block, groups: groupsOf(family, path) }
    if (root !== '') return { component: family.component, block: 'other', groups: [] }
  }
  const component = COMPANIONS.find(([prefix]) => name.startsWith(`${prefix}.`))?.[1] ?? 'other'
  return { component, block: companionBlock(family, component), groups: [] }
}

const companionBlock = (family: Family, component: Component): string => {
  if (component === 'vae' || component === 'other') return component
  return component === 't5' ? family.encoders.t5 : family.encoders.clip
}

/** The patterns of a family, taken apart once: every name of a model is compared with all of them. */
interface Patterns {
  readonly blocks: readonly { readonly wanted: readonly string[]; readonly block: string }[]
  readonly groups: readonly { readonly runs: readonly string[]; readonly group: string }[]
}

const patternsOf = new Map<Family, Patterns>(
  FAMILIES.map((family) => [
    family,
    {
      blocks: family.blocks.map(([pattern, block]) => ({ wanted: pattern === '' ? [] : pattern.split('.'), block })),
      groups: family.groups.map(([group, ...runs]) => ({ group, runs: runs.map((run) => `.${run}.`) })),
    },
  ]),
)

const NUMBER = /^(0|[1-9]\d*)$/

/** The number that stands where the pattern has `#`, empty where it has none; undefined where a path does not fit. */
const fitNumber = (wanted: readonly string[], segments: readonly string[]): string | undefined => {
  let number = ''
  for (let i = 0; i < wanted.length; i++) {
    const segment = segments[i]
    if (wanted[i] === '#' && segment !== undefined && NUMBER.test(segment)) number = segment
    else if (wanted[i] === '#' || segment !== wanted[i]) return undefined
  }
  return number
}

const blockOf = (family: Family, path: string): string | undefined => {
  const segments = path.split('.')
  for (const { wanted, block } of patternsOf.get(family)!.blocks) {
    const number = fitNumber(wanted, segments)
    if (number !== undefined) return block.replace('#', number)
  }
  return undefined
}

const groupsOf = (family: Family, path: string): readonly string[] => {
  const whole = `.${path}.`
  const found: string[] = []
  for (const { runs, group } of patternsOf.get(family)!.groups)
    if (runs.some((run) => whole.includes(run))) found.push(group)
  return found
}

const orderBlocks = (family: Family, present: ReadonlySet<string>): readonly string[] => {
  const stems = [
    family.encoders.clip,
    family.encoders.t5,
    ...family.blocks.map(([, block]) => block.replace('.#', '')),
    'vae',
    'other',
  ]
  const rank = (block: string): readonly [number, number] => {
    const [stem = '', number = '0'] = block.split('.')
    return [stems.indexOf(stem), Number(number)]
  }
  return [...present].sort((x, y) => rank(x)[0] - rank(y)[0] || rank(x)[1] - rank(y)[1])
}
