import { below, DIFFUSION_ROOTS, findRoot, under } from '../../tensor/roots.js'
import type { Architecture } from '../detect.js'
import { prefixesOf, type Family, type Form } from './conventions.js'
import { encoderNames, findEncoder } from './encoder.js'
import { languageNames } from './language.js'
import { prefixed, type NameChange, type Part, type Prefixes, type Rows, type Spelling } from './spelling.js'
import { transformerNames } from './transformer.js'
import { processorName, unetNames } from './unet.js'

/** The target of a name in an adapter: a module of the model, or rows of a fused one. */
export interface AdapterTarget {
  readonly weight: string | undefined
  readonly bias: string | undefined
  readonly rows?: Rows
  /** Where the module's rows stand in the adapter's, if the name is that of several modules. */
  readonly part?: Part
  readonly change?: NameChange
  /** True in a text encoder. */
  readonly text: boolean
}

/**
 * Every name that an adapter for this model can use, with what it stands for: one target, or the parts that an adapter
 * has as one module. Other names of more than one target cannot be told apart ({@link isAmbiguous}).
 */
export type AdapterNames = ReadonlyMap<string, readonly AdapterTarget[]>

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>
type Module = Pick<AdapterTarget, 'weight' | 'bias'>

/** Modules by path, each with the weight and the bias that it has. A tensor that is neither is a module of its own. */
const modulesOf = (tensors: Tensors): ReadonlyMap<string, Module> => {
  const modules = new Map<string, { weight: string | undefined; bias: string | undefined }>()
  for (const name of tensors.keys()) {
    const match = /^(.+)[._](weight|scale|bias)$/.exec(name)
    const [path, part] =
      match === null ? ([name, 'weight'] as const) : ([match[1]!, match[2] === 'bias' ? 'bias' : 'weight'] as const)
    const module = modules.get(path) ?? { weight: undefined, bias: undefined }
    module[part] ??= name
    modules.set(path, module)
  }
  return modules
}

const LANGUAGE: Prefixes = { dotted: ['base_model.model.', ''], underscored: [] }
const EXACT: Prefixes = { dotted: [''], underscored: [] }
/** For unknown networks: the names that trainers give to any network, of whatever kind. */
const ANY = prefixesOf(['transformer', 'unet'], ['original', 'diffusers'])
const ANY_TEXT: Prefixes = { dotted: ['text_encoder.'], underscored: ['lora_te_', 'lora_te1_'] }

type Named = readonly [spelling: Spelling, prefixes: Prefixes, text?: boolean]

/** Architectures that are language models. */
export const LANGUAGE_MODELS: readonly string[] = ['llama', 'qwen2', 'gemma2']

/** What PEFT calls the task of a model; null where that is not known. */
export const taskOf = (architecture: Architecture | undefined): string | null =>
  LANGUAGE_MODELS.includes(architecture?.id ?? '') ? 'CAUSAL_LM' : null

/** Every root that trainers may write before a path of the diffusion model, wherever the file keeps it. */
const ANY_ROOT: Prefixes = { dotted: DIFFUSION_ROOTS.map((root) => under(root, '')), underscored: [] }

/** A module of a text encoder as every trainer spells it; undefined for other modules. */
const encoderSpellings = (
  path: string,
  { weight }: Module,
  tensors: Tensors,
  architecture: Architecture | undefined,
): readonly Named[] | undefined => {
  const found = findEncoder(path, architecture?.id)
  if (found === undefined) return undefined
  const rows = weight === undefined ? 0 : (tensors.get(weight)?.shape[0] ?? 0)
  return [
    [{ path }, EXACT, true],
    ...encoderNames(found.encoder.form, found.path, rows).map((s): Named => [s, found.encoder, true]),
  ]
}

/** A module of a diffusion model, below its root, in every form that trainers write. */
const diffusionSpellings = (
  tensors: Tensors,
  root: string,
  architecture: Architecture | undefined,
): ((path: string) => readonly Named[]) => {
  const inside = [...tensors.keys()].flatMap((name) => below(root, name) ?? [])
  const unet = unetNames(inside, architecture?.component === 'unet')
  const transformer = unet === undefined ? transformerNames(tensors, root, architecture?.id) : undefined
  const family: Family = unet !== undefined || inside.some((path) => UNET.test(path)) ? 'unet' : 'transformer'
  const behind = (form: Form): Prefixes => prefixesOf([family], [form])
  const form = unet?.form ?? transformer?.form
  // A network that has one form may have the names of either.
  const [own, other] =
    form === 'diffusers' ? [behind('diffusers'), behind('original')] : [behind('original'), behind('diffusers')]
  const [processors, xlabs, parts] = [behind('processor'), behind('xlabs'), behind('parts')]
  return (path) => {
    const inOther = unet?.other(path).map((name): Spelling => ({ path: name })) ?? transformer?.other(path) ?? []
    const diffusers = unet === undefined ? [] : form === 'original' ? inOther.map((s) => s.path) : [path]
    return [
      [{ path }, own],
      ...(form === undefined ? [[{ path }, other] as const] : []),
      [{ path }, ANY],
      [{ path }, ANY_ROOT],
      ...inOther.map((spelling): Named => [spelling, other]),
      ...diffusers.flatMap((name): Named[] => {
        const processor = processorName(name)
        return processor === undefined ? [] : [[{ path: processor }, processors]]
      }),
      ...(transformer?.parts(path) ?? []).map((spelling): Named => [spelling, parts]),
      ...(transformer?.xlabs(path) ?? []).map((spelling): Named => [spelling, xlabs]),
    ]
  }
}

/** What tells a U-Net of whatever kind. */
const UNET = /^(?:down|up|input|output)_blocks\.0\./

/** Modules of an unknown network are matched by their full names, and by their paths below the network's root. */
const unknownSpeller = (tensors: Tensors): ((path: string, module: Module) => readonly Named[]) => {
  const root = findRoot(tensors.keys())
  const diffusion = diffusionSpellings(tensors, root, undefined)
  const language = languageSpeller(tensors)
  return (path, module) => {
    const text = encoderSpellings(path, module, tensors, undefined)
    if (text !== undefined) return text
    const inside = below(root, path)
    return [
      [{ path }, ANY],
      [{ path }, ANY_TEXT, true],
      ...language(path),
      ...(inside === undefined ? [] : diffusion(inside)),
    ]
  }
}

/** Language models have the names of some version of transformers, behind that of PEFT. */
const languageSpeller = (tensors: Tensors): ((path: string) => readonly Named[]) => {
  const others = languageNames(new Set(modulesOf(tensors).keys()))
  return (path) => [path, ...others(path)].map((name): Named => [{ path: name }, LANGUAGE])
}

/** How the modules of a model are spelt, and behind which prefixes. */
const speller = (
  tensors: Tensors,
  architecture: Architecture | undefined,
): ((path: string, module: Module) => readonly Named[]) => {
  if (architecture === undefined) return unknownSpeller(tensors)
  if (LANGUAGE_MODELS.includes(architecture.id)) return languageSpeller(tensors)
  const root = architecture.diffusionPrefix
  const inside = root === undefined || root === '' ? '' : `${root}.`
  const diffusion = root === undefined ? undefined : diffusionSpellings(tensors, root, architecture)
  return (path, module) => {
    const text = encoderSpellings(path, module, tensors, architecture)
    if (text !== undefined) return text
    const { component } = architecture.locate(module.weight ?? module.bias!)
    const isDiffusion = component === 'unet' || component === 'transformer'
    return [[{ path }, EXACT], ...(diffusion !== undefined && isDiffusion ? diffusion(path.slice(inside.length)) : [])]
  }
}

const isSame = (x: AdapterTarget, y: AdapterTarget): boolean =>
  x.weight === y.weight && x.bias === y.bias && x.rows?.first === y.rows?.first && x.part?.first === y.part?.first

/** True for targets of a name that could mean any of them: not for the parts of one module, which it all means. */
export const isAmbiguous = (targets: readonly AdapterTarget[]): boolean =>
  targets.length > 1 && new Set(targets.flatMap(({ part }) => part?.first ?? [])).size < targets.length

/**
 * Generates every name that an adapter can have for a model's tensors. Names with dots replaced by underscores cannot
 * be parsed, so they are generated from the model and looked up. The tensors must not change afterwards: they are looked
 * at once.
 */
export const adapterNames = (tensors: Tensors, architecture: Architecture | undefined): AdapterNames => {
  const known = generated.get(tensors)
  if (known !== undefined && known.architecture === architecture) return known.names
  const names = generate(tensors, architecture)
  generated.set(tensors, { architecture, names })
  return names
}

/** What was generated for a model, which is asked for again for each of its adapters. */
const generated = new WeakMap<
  Tensors,
  { readonly architecture: Architecture | undefined; readonly names: AdapterNames }
>()

const generate = (tensors: Tensors, architecture: Architecture | undefined): AdapterNames => {
  const spell = speller(tensors, architecture)
  const names = new Map<string, AdapterTarget[]>()
  for (const [path, module] of modulesOf(tensors)) {
    for (const [{ path: spelt, rows, part, change }, prefixes, text = false] of spell(path, module)) {
      const target: AdapterTarget = {
        ...module,
        text,
        ...(rows === undefined ? {} : { rows }),
        ...(part === undefined ? {} : { part }),
        ...(change === undefined ? {} : { change }),
      }
      for (const name of prefixed(spelt, prefixes)) {
        const known = names.get(name)
        if (known === undefined) names.set(name, [target])
        else if (!known.some((other) => isSame(other, target))) known.push(target)
      }
    }
  }
  return names
}
