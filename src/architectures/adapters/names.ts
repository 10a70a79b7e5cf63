import { below, DIFFUSION_ROOTS, findRoot, under } from '../../tensor/roots.js'
import type { Architecture } from '../detect.js'
import { encoderNames, findEncoder } from './encoder.js'
import { prefixed, type NameChange, type Prefixes, type Rows, type Spelling } from './spelling.js'
import { renamedByDiffusers } from './other-transformers.js'
import { transformerNames } from './transformer.js'
import { diffusersNames, originalNames, processorName } from './unet.js'
import { xlabsNames } from './xlabs.js'

/** The target of a name in an adapter: a module of the model, or rows of a fused one. */
export interface AdapterTarget {
  readonly weight: string | undefined
  readonly bias: string | undefined
  readonly rows?: Rows
  readonly change?: NameChange
  /** True in a text encoder. */
  readonly text: boolean
}

/**
 * Every name that an adapter for this model can use, with what it stands for; more than one target is a name that
 * cannot be told apart.
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

/** The names of the network's own code; trainers that keep them may still put diffusers' prefix before them. */
const ORIGINAL: Prefixes = {
  dotted: [...DIFFUSION_ROOTS.map((root) => under(root, '')), 'base_model.model.', 'unet.', 'transformer.'],
  underscored: ['lora_unet_', 'lycoris_', 'oft_unet_'],
}
const UNET: Prefixes = {
  dotted: ['unet.', 'unet.base_model.model.', 'base_model.model.', ''],
  underscored: ['lora_unet_', 'lycoris_', 'oft_unet_'],
}
const PROCESSOR: Prefixes = { dotted: ['unet.', ''], underscored: [] }
const XLABS: Prefixes = { dotted: ['', 'transformer.', 'diffusion_model.'], underscored: [] }
const TRANSFORMER: Prefixes = {
  dotted: ['transformer.', 'transformer.base_model.model.', 'base_model.model.', ''],
  underscored: ['lora_transformer_', 'lycoris_'],
}
const LANGUAGE: Prefixes = { dotted: ['base_model.model.', ''], underscored: [] }
const EXACT: Prefixes = { dotted: [''], underscored: [] }
/** For unknown networks: the names that trainers give to any network, of whatever kind. */
const ANY: Prefixes = {
  dotted: ['', 'base_model.model.', 'unet.', 'transformer.', 'diffusion_model.'],
  underscored: ['lora_unet_', 'lora_transformer_', 'lycoris_'],
}
const ANY_TEXT: Prefixes = { dotted: ['text_encoder.'], underscored: ['lora_te_', 'lora_te1_'] }

type Named = readonly [spelling: Spelling, prefixes: Prefixes, text?: boolean]

/** Architectures that are language models. */
export const LANGUAGE_MODELS: readonly string[] = ['llama', 'qwen2', 'gemma2']

/** What PEFT calls the task of a model; null where that is not known. */
export const taskOf = (architecture: Architecture | undefined): string | null =>
  LANGUAGE_MODELS.includes(architecture?.id ?? '') ? 'CAUSAL_LM' : null

/** Every root that trainers may write before a path of the diffusion model, wherever the file keeps it. */
const ANY_ROOT: Prefixes = { dotted: DIFFUSION_ROOTS.map((root) => under(root, '')), underscored: [] }

/** Modules of an unknown network are matched by their full names, and by their paths below the network's root. */
const unknownSpeller = (tensors: Tensors): ((path: string) => readonly Named[]) => {
  const root = findRoot(tensors.keys())
  const renamed = renamedByDiffusers(tensors, root)
  const original = originalNames(tensors)
  return (path) => {
    const inside = below(root, path)
    return [
      [{ path }, ANY],
      [{ path }, ANY_TEXT, true],
      ...[original?.(path)].flatMap((name) => (name === undefined ? [] : [[{ path: name }, ORIGINAL] as const])),
      ...(inside === undefined
        ? []
        : ([
            [{ path: inside }, ANY],
            [{ path: inside }, ANY_ROOT],
            ...(renamed?.(inside) ?? []).map((spelling): Named => [spelling, ANY]),
          ] as const)),
    ]
  }
}

/** How the modules of a model are spelt, and behind which prefixes. */
const speller = (
  tensors: Tensors,
  architecture: Architecture | undefined,
): ((path: string, module: Module) => readonly Named[]) => {
  if (architecture === undefined) return unknownSpeller(tensors)
  if (LANGUAGE_MODELS.includes(architecture.id)) return (path) => [[{ path }, LANGUAGE]]
  const root = architecture.diffusionPrefix
  const inside = root === undefined || root === '' ? '' : `${root}.`
  const rowsOf = (tensor: string): number => tensors.get(inside + tensor)?.shape[0] ?? 0
  const inTransformer = transformerNames(architecture.id, rowsOf)
  const diffusion = (path: string): readonly Named[] => [
    [{ path }, ORIGINAL],
    ...(inTransformer === undefined
      ? diffusersNames(path).flatMap((name): readonly Named[] => {
          const processor = processorName(name)
          return [
            [{ path: name }, UNET],
            ...(processor === undefined ? [] : [[{ path: processor }, PROCESSOR] as const]),
          ]
        })
      : inTransformer(path).map((spelling): Named => [spelling, TRANSFORMER])),
    ...xlabsNames(path, rowsOf('img_in.weight')).map((spelling): Named => [spelling, XLABS]),
  ]
  return (path, module) => {
    const found = findEncoder(path, architecture.id)
    if (found !== undefined) {
      const rows = module.weight === undefined ? 0 : (tensors.get(module.weight)?.shape[0] ?? 0)
      return [
        [{ path }, EXACT, true],
        ...encoderNames(found.encoder.form, found.path, rows).map((s): Named => [s, found.encoder, true]),
      ]
    }
    const { component } = architecture.locate(module.weight ?? module.bias!)
    const isDiffusion = root !== undefined && (component === 'unet' || component === 'transformer')
    return [[{ path }, EXACT], ...(isDiffusion ? diffusion(path.slice(inside.length)) : [])]
  }
}

const isSame = (x: AdapterTarget, y: AdapterTarget): boolean =>
  x.weight === y.weight && x.bias === y.bias && x.rows?.first === y.rows?.first

/**
 * Generates every name that an adapter can have for a model's tensors. Names with dots replaced by underscores cannot
 * be parsed, so they are generated from the model and looked up.
 */
export const adapterNames = (tensors: Tensors, architecture: Architecture | undefined): AdapterNames => {
  const spell = speller(tensors, architecture)
  const names = new Map<string, AdapterTarget[]>()
  for (const [path, module] of modulesOf(tensors)) {
    for (const [{ path: spelt, rows, change }, prefixes, text = false] of spell(path, module)) {
      const target: AdapterTarget = {
        ...module,
        text,
        ...(rows === undefined ? {} : { rows }),
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
