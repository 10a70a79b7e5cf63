import { isObject } from '../../base/is-object.js'
import { WEB_HASHES } from '../../safetensors/web-hashes.js'
import { modelspecFacts } from '../modelspec.js'

/** What kohya's scripts call a network that an adapter is for, and their module that trains and applies adapters of it. */
interface BaseNames {
  readonly version: string
  readonly network: string
  /** ModelSpec's id, where the network has but one. */
  readonly modelspec?: string
}

const BASES: Readonly<Record<string, BaseNames>> = {
  sd1: { version: 'sd_v1', network: 'networks.lora', modelspec: 'stable-diffusion-v1' },
  sd2: { version: 'sd_v2', network: 'networks.lora' },
  sdxl: { version: 'sdxl_base_v1-0', network: 'networks.lora', modelspec: 'stable-diffusion-xl-v1-base' },
  sd3: { version: 'sd3', network: 'networks.lora_sd3' },
  flux: { version: 'flux1', network: 'networks.lora_flux' },
}

/** The header of an adapter: its metadata. */
type Metadata = ReadonlyMap<string, string>

/** What a kohya-format header says; `ranks` and `alphas` of all modules. */
export interface KohyaFacts {
  /** The id of the network that the adapter is for, where it is known, and what ModelSpec calls the model. */
  readonly base: string | undefined
  readonly modelspec?: string | undefined
  readonly ranks: ReadonlySet<number>
  readonly alphas: ReadonlySet<number>
  /** True where it holds what LyCORIS applies, and kohya's own networks do not. */
  readonly lycoris?: boolean
  /** The headers of what it is made of. */
  readonly parents: readonly Metadata[]
}

const TAGS = 'ss_tag_frequency'
const DIMENSIONS = ['ss_network_dim', 'ss_network_alpha']
/** What says how the model is run that the adapter is for. */
const MODELSPEC =
  /^modelspec\.(?:sai_model_spec|architecture|implementation|resolution|prediction_type|timestep_range|encoder_layer)$/

type Folders = Readonly<Record<string, Readonly<Record<string, number>>>>

const foldersOf = (text: string | undefined): Folders | undefined => {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    const sound =
      isObject(value) &&
      Object.values(value).every(
        (tags) => isObject(tags) && Object.values(tags).every((n) => typeof n === 'number' && Number.isFinite(n)),
      )
    return sound ? (value as Folders) : undefined
  } catch {
    return undefined
  }
}

/** The tags of all parents, counts of one tag in one folder added up; none where no parent has any that can be read. */
const sumTags = (parents: readonly Metadata[]): string | undefined => {
  const sums = new Map<string, Map<string, number>>()
  for (const [folder, tags] of parents.flatMap((p) => Object.entries(foldersOf(p.get(TAGS)) ?? {}))) {
    const own = sums.get(folder) ?? new Map<string, number>()
    for (const [tag, count] of Object.entries(tags)) own.set(tag, (own.get(tag) ?? 0) + count)
    sums.set(folder, own)
  }
  if (sums.size === 0) return undefined
  return JSON.stringify(Object.fromEntries([...sums].map(([folder, tags]) => [folder, Object.fromEntries(tags)])))
}

/** What the trainer said of all parents alike; of a single one everything, text for text. */
const carried = (parents: readonly Metadata[]): readonly (readonly [string, string])[] => {
  const [first = new Map<string, string>(), ...others] = parents
  const alike = [...first].filter(
    ([key, text]) =>
      (key.startsWith('ss_') || MODELSPEC.test(key)) &&
      !DIMENSIONS.includes(key) &&
      others.every((other) => other.get(key) === text),
  )
  const tags = others.length === 0 ? undefined : sumTags(parents)
  return [
    ...alike.filter(([key]) => tags === undefined || key !== TAGS),
    ...(tags === undefined ? [] : [[TAGS, tags] as const]),
  ]
}

const single = (numbers: ReadonlySet<number>): string => (numbers.size === 1 ? String([...numbers][0]) : 'Dynamic')

/**
 * The metadata that kohya's scripts write and web UIs read: what its parents were trained as and on, ranks and alphas,
 * the network, and places for the hashes.
 */
export const kohyaMetadata = ({ base, modelspec, ranks, alphas, parents, lycoris }: KohyaFacts): Metadata => {
  const known = base === undefined ? undefined : BASES[base]
  const facts = modelspecFacts(modelspec ?? known?.modelspec ?? '')
  return new Map([
    ['ss_network_module', lycoris === true ? 'lycoris.kohya' : (known?.network ?? 'networks.lora')],
    ...(known === undefined
      ? []
      : ([
          ['ss_base_model_version', known.version],
          ['ss_v2', base === 'sd2' ? 'True' : 'False'],
        ] as const)),
    ...(facts === undefined
      ? []
      : ([
          ['modelspec.sai_model_spec', '1.0.1'],
          ['modelspec.architecture', `${facts.architecture}/lora`],
          ['modelspec.implementation', facts.implementation],
          ['modelspec.resolution', facts.resolution],
        ] as const)),
    ...carried(parents),
    ['ss_network_dim', single(ranks)],
    ['ss_network_alpha', single(alphas)],
    ...WEB_HASHES,
  ])
}
