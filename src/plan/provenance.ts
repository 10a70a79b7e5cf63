import { readModelspec } from '../architectures/modelspec.js'
import type { Digest } from '../base/digest.js'
import { append } from '../base/lists.js'
import { stepOf } from '../recipe/scope.js'
import { partTexts, type InputKind, type Output, type Recipe, type Step } from '../recipe/recipe.js'
import { usesOf } from '../recipe/step.js'
import { foldHistory, toJsonObject, toSortedJson, type MergeHistory } from './merge-history.js'

/** An input that goes into an output. */
export interface ParentModel {
  /** Its name in the recipe. */
  readonly name: string
  readonly kind: InputKind
  /** Its path as the recipe writes it; only the last part is published. */
  readonly label: string
  /** Its content digest, or any other while it is not known: all are equally long. */
  readonly digest: Digest
  /** Only where the recipe pins it: whether there is one must be known before anything is read. */
  readonly sha256: string | undefined
  readonly metadata: ReadonlyMap<string, string>
}

/** An output and what it is made of. */
export interface ProvenanceOf {
  readonly recipe: Recipe
  readonly output: Output
  /** What its file holds: weights of a model, the difference of two, a mask, or an adapter. */
  readonly kind: 'weights' | 'delta' | 'mask' | 'adapter'
  /** What a step says of what it makes. */
  readonly told?: ReadonlyMap<string, string>
  /** The tensors it is written with. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>
  /** The digest of the build, or any other while it is not known. */
  readonly build: Digest
  /** Its {@link parentsOf}. */
  readonly parents: readonly ParentModel[]
}

/** A field of ModelSpec that says how a model is to be run, which merging does not change. */
const CARRIED = ['prediction_type', 'predict_key', 'timestep_range', 'encoder_layer', 'preprocessor']
const RESOLUTION = /^\d{1,6}x\d{1,6}$/
const LONGEST = 256
const HASHES = ['primary_model_hash', 'secondary_model_hash', 'tertiary_model_hash']

/**
 * Names of the inputs that a model, mask or step is made from, in the order its steps name them, each
 * once.
 */
export const usedFiles = (recipe: Recipe, from: string): readonly string[] => {
  const met = new Set<string>()
  const found: string[] = []
  // By hand, for steps may be nested deeper than the stack.
  const left = [from]
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    const own = recipe.inputs.has(name) ? name : stepOf(name)
    if (met.has(own)) continue
    met.add(own)
    const step = recipe.steps.get(own)
    if (step === undefined) found.push(own)
    else
      append(
        left,
        usesOf(step)
          .map((use) => use.name)
          .reverse(),
      )
  }
  return found
}

/**
 * The parents of a model, mask or step: the files of {@link usedFiles} with the metadata of their headers and their
 * content digests.
 */
export const parentsOf = (
  recipe: Recipe,
  from: string,
  header: (name: string) => Pick<ParentModel, 'metadata'>,
  digestOf: (name: string) => Digest,
): readonly ParentModel[] =>
  usedFiles(recipe, from).map((name) => {
    const { kind, path, sha256 } = recipe.inputs.get(name)!
    return {
      name,
      kind,
      label: path,
      digest: digestOf(name),
      sha256,
      metadata: header(name).metadata,
    }
  })

/**
 * The `__metadata__` of an output, keys sorted. Its length does not depend on the digests, so that a file can be laid
 * out before they
 * are known; nothing in it depends on time, place or machine. An output's own `metadata:` wins over all but `smelt.*`.
 */
export const provenance = (of: ProvenanceOf): Readonly<Record<string, string>> => {
  const { recipe, output, kind, told, build, parents } = of
  const history = foldHistory(kind === 'weights' ? parents.map(({ metadata }) => metadata) : [])
  const leftOut = { malformed: history.malformed, too_large: history.tooLarge }
  const entries: readonly (readonly [string, string])[] = [
    ['format', 'pt'],
    ...(kind === 'weights' ? [...modelspecOf(of), ...mergeOf(of, history)] : []),
    ...(told ?? []),
    ...(told?.has('ss_network_module') === true ? adapterTitle(of) : []),
    ...Object.entries(output.metadata).filter(([key]) => !key.startsWith('smelt.')),
    ...(leftOut.malformed + leftOut.too_large === 0
      ? []
      : [['smelt.history_left_out', toSortedJson(leftOut)] as const]),
    ['smelt.lock', build],
    ...(Object.keys(recipe.params).length === 0 ? [] : [['smelt.params', toSortedJson(recipe.params)] as const]),
    ...(recipe.parts.size === 0 ? [] : [['smelt.parts', toSortedJson(partTexts(recipe.parts))] as const]),
    ['smelt.recipe', recipe.source.text],
  ]
  return Object.fromEntries([...new Map(entries)].sort(([x], [y]) => (x < y ? -1 : 1)))
}

/** A text of somebody else's metadata: short, and without line breaks and other controls. */
const claimOf = (parent: ParentModel | undefined, key: string): string | undefined => {
  const text = parent?.metadata.get(`modelspec.${key}`)
  return text === undefined ||
    text === '' ||
    text.length > LONGEST ||
    /[\u0000-\u001f\u007f-\u009f\u{d800}-\u{dfff}]/u.test(text)
    ? undefined
    : text
}

const fileOf = ({ label, name }: ParentModel): string => label.split(/[\\/]/).findLast((part) => part !== '') ?? name

/**
 * Differs between the outputs of a recipe, and not between settings of its params: an output is the same whatever else
 * is built with it.
 */
const titleOf = ({ recipe, output }: ProvenanceOf): string => {
  const models = [...recipe.outputs.values()].filter(
    ({ from }) => (recipe.steps.get(stepOf(from.name))?.operator.output ?? 'model') !== 'report',
  )
  return models.length > 1 ? `${recipe.name} (${output.name})` : recipe.name
}

/** What a parent calls itself, or its file's name; without commas, which part the titles of a list. */
const parentTitle = (parent: ParentModel): string =>
  (
    claimOf(parent, 'title') ?? fileOf(parent).replace(/(\.(?:safetensors|ckpt|pt|pth|bin))?(\.index\.json)?$/, '')
  ).replaceAll(',', ' ')

const modelspecOf = (of: ProvenanceOf): readonly (readonly [string, string])[] => {
  const { parents, tensors } = of
  const first = parents.find(({ kind }) => kind === 'model')
  const facts = readModelspec(tensors, claimOf(first, 'architecture'))
  const resolution = claimOf(first, 'resolution')
  const fields = {
    title: titleOf(of),
    ...(parents.length > 1 ? { merged_from: parents.map(parentTitle).join(', ') } : {}),
    ...(facts === undefined
      ? {}
      : {
          sai_model_spec: '1.0.1',
          ...facts,
          ...(resolution !== undefined && RESOLUTION.test(resolution) ? { resolution } : {}),
          ...Object.fromEntries(
            CARRIED.flatMap((key) => {
              const claim = claimOf(first, key)
              return claim === undefined ? [] : [[key, claim]]
            }),
          ),
        }),
  }
  return Object.entries(fields).map(([key, text]) => [`modelspec.${key}`, text])
}

/** The title of an adapter whose header is one that web UIs read, and what it is merged of. */
const adapterTitle = (of: ProvenanceOf): readonly (readonly [string, string])[] => {
  const adapters = of.parents.filter(({ kind }) => kind === 'adapter')
  return [
    ['modelspec.title', titleOf(of)],
    ...(adapters.length > 1 ? [['modelspec.merged_from', adapters.map(parentTitle).join(', ')] as const] : []),
  ]
}

const hashOf = ({ sha256, digest }: ParentModel): string => sha256?.toLowerCase() ?? digest

/** A step's plain number of that name, also where it is the default. */
const numberOf = (step: Step | undefined, key: string): number | undefined => {
  const spec = step?.operator.params[key]
  if (spec?.type !== 'number') return undefined
  const given = step?.params[key]
  if (given === undefined) return spec.default
  return given.type === 'value' && typeof given.value === 'number' ? given.value : undefined
}

/** The other number of the field, which counts from the first model: `1 − keep`, or the strength of what is added. */
const multiplierOf = (step: Step | undefined): number | undefined => {
  const keep = numberOf(step, 'keep')
  // 1 − 0.9 is to read 0.1.
  return keep === undefined ? numberOf(step, 'strength') : Number((1 - keep).toPrecision(12))
}

/** The two entries that A1111 and its relatives read and write. */
const mergeOf = (of: ProvenanceOf, history: MergeHistory): readonly (readonly [string, string])[] => {
  const { recipe, output, parents } = of
  const step = recipe.steps.get(stepOf(output.from.name))
  const models = parents.filter(({ kind }) => kind === 'model')
  const merged = {
    type: 'smelt',
    ...Object.fromEntries(HASHES.flatMap((key, i) => (models[i] === undefined ? [] : [[key, hashOf(models[i])]]))),
    interp_method: step?.operator.id,
    multiplier: multiplierOf(step),
    save_as_half: output.dtype === 'same' || output.dtypeRules.length > 0 ? undefined : output.dtype === 'f16',
    custom_name: titleOf(of),
  }
  const own = parents.map((parent, i): readonly [string, string] => [
    hashOf(parent),
    toJsonObject([
      ['name', JSON.stringify(fileOf(parent))],
      ['legacy_hash', 'null'],
      ['sd_merge_recipe', history.recipes[i] ?? 'null'],
    ]),
  ])
  return [
    ['sd_merge_recipe', toSortedJson(merged)],
    ['sd_merge_models', toPaddedJson([...own, ...history.models])],
  ]
}

/**
 * A JSON object of entries, of which those with the same key collapse into the first. As many spaces follow as the
 * others would take
 * up in a header, so that which digests are equal does not change its length.
 */
const toPaddedJson = (entries: readonly (readonly [string, string])[]): string => {
  const kept = new Map<string, string>()
  let missing = 0
  for (const [key, json] of entries) {
    if (kept.has(key)) missing += Buffer.byteLength(JSON.stringify(`,${JSON.stringify(key)}:${json}`)) - 2
    else kept.set(key, json)
  }
  return toJsonObject([...kept]) + ' '.repeat(missing)
}
