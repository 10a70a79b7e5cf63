import type { ConfigChange } from '../architectures/moe-layouts.js'
import { findVocabulary } from '../architectures/vocabulary.js'
import { modelConfigInvalid } from '../base/catalogue/model-folders.js'
import { specialIdsLost } from '../base/catalogue/vocabularies.js'
import type { Diagnostic, Place, Source } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import { find, type MapValue } from '../document/value.js'
import type { Dtype } from '../tensor/dtype.js'
import { sizeOf } from '../tensor/info.js'
import { changedKeys, parseConfig } from './config-change.js'
import { insert, remove, replace, sectionsOf, toScalar, type Edit } from './config-text.js'
import { layerEdits, type LayersOf, type Tensors } from './layer-config.js'
import { isHead } from './tied-heads.js'
import type { PlannedVocabulary } from './vocabulary.js'

/** What decides the config of an output. */
export interface ConfigOf extends LayersOf {
  /** True where tensors that the first model stores with scales are all written without. */
  readonly unscaled: boolean
  /** What the model says of its config. */
  readonly change?: ConfigChange | undefined
  /** The vocabulary that the written model has in place of the donor's. */
  readonly vocabulary?: Renumbering
}

/** What tells the ids of a vocabulary: whose tokenizer it is made of, and the new id of a model's. */
export type Renumbering = Pick<PlannedVocabulary, 'owner' | 'idOf'>

const DTYPES = ['dtype', 'torch_dtype'] as const
/** The names that PyTorch has for dtypes. */
const TORCH: ReadonlyMap<Dtype, string> = new Map([
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
])

/** PyTorch's name of the float dtype of most parameters; undefined where that has no plain one. */
const commonDtype = (tensors: Tensors): string | undefined => {
  const sizes = new Map<Dtype, number>()
  for (const { dtype, shape } of tensors.values()) sizes.set(dtype, (sizes.get(dtype) ?? 0) + sizeOf(shape))
  const [most] = [...sizes].sort(([, x], [, y]) => y - x)
  return most === undefined ? undefined : TORCH.get(most[0])
}

const dtypeEdits = (root: MapValue, written: Tensors): readonly Edit[] => {
  const dtype = commonDtype(written)
  if (dtype === undefined) return []
  const found = sectionsOf(root).flatMap((section) => DTYPES.flatMap((key) => section.entries.get(key)?.value ?? []))
  return found.length === 0
    ? [insert(root, 'torch_dtype', dtype)]
    : found.filter((value) => toScalar(value) !== dtype).map((value) => replace(value, dtype))
}

/** Says whether the output head is the embeddings, where the written model differs in that from the donor. */
const tieEdits = (root: MapValue, { donor, written }: ConfigOf): readonly Edit[] => {
  const [had, has] = [donor, written].map((tensors) => [...tensors.keys()].some(isHead))
  if (had === has) return []
  const found = sectionsOf(root).flatMap(({ entries }) => entries.get('tie_word_embeddings')?.value ?? [])
  return found.length === 0 ? [insert(root, 'tie_word_embeddings', !has)] : found.map((value) => replace(value, !has))
}

/** The number of tokens, where the written model has rows for more or fewer than the donor. */
const vocabularyEdits = (root: MapValue, { donor, written }: ConfigOf): readonly Edit[] => {
  const [had, has] = [donor, written].map((tensors) => findVocabulary(tensors)?.rows)
  if (had === has || has === undefined) return []
  return sectionsOf(root).flatMap(({ entries }) => {
    const value = entries.get('vocab_size')?.value
    return value === undefined ? [] : [replace(value, has)]
  })
}

const TOKEN_ID = /_token_(?:id|ids|index)$/

/** Ids of tokens that are others in the vocabulary, and the keys of those that it lacks. */
const tokenEdits = (
  root: MapValue,
  model: string,
  { owner, idOf }: Renumbering,
): { readonly edits: readonly Edit[]; readonly lost: readonly string[] } => {
  // Of the model whose tokenizer it is, no token gets another id.
  if (owner === model) return { edits: [], lost: [] }
  const [edits, lost]: [Edit[], Set<string>] = [[], new Set()]
  for (const { entries } of sectionsOf(root)) {
    for (const [key, { value }] of entries) {
      if (!TOKEN_ID.test(key)) continue
      for (const item of value.type === 'list' ? value.items : [value]) {
        if (item.type !== 'number' || item.value < 0) continue
        const id = idOf(model, item.value)
        if (id === undefined) lost.add(key)
        else if (id !== item.value) edits.push(replace(item, id))
      }
    }
  }
  return { edits, lost: [...lost] }
}

/** A JSON file of a model that is edited: its name, whose it is, and where the recipe says so. */
interface Edited {
  readonly file: string
  readonly model: string
  readonly at: Place
}

const editJson = (
  bytes: Uint8Array,
  { file, model, at }: Edited,
  edit: (root: MapValue, text: string) => { readonly edits: readonly Edit[]; readonly warnings: readonly Diagnostic[] },
): Result<Uint8Array> => {
  const text = Buffer.from(bytes).toString('utf8')
  const source: Source = { path: file, text }
  const read = readDocument(source)
  if (read.type === 'failed') return failed(modelConfigInvalid(at, model, read.diagnostics[0]!.message, file))
  const root = read.value
  if (root.type !== 'map' || !text.trimStart().startsWith('{'))
    return failed(modelConfigInvalid(at, model, 'not a JSON object', file))
  const { edits, warnings } = edit(root, text)
  const all = [...edits].sort((x, y) => y.start - x.start)
  const edited = all.reduce((t, { start, end, text: own }) => t.slice(0, start) + own + t.slice(end), text)
  return ok(all.length === 0 ? bytes : Buffer.from(edited), warnings)
}

const lostWarnings = ({ file, at }: Edited, lost: readonly string[]): readonly Diagnostic[] =>
  lost.length === 0 ? [] : [specialIdsLost(at, file, lost)]

/** Sets keys of a config: those that it has in their places, and the others in front. */
const changeEdits = (root: MapValue, change: ConfigChange | undefined, text: string): readonly Edit[] =>
  change === undefined
    ? []
    : Object.entries(changedKeys(parseConfig(Buffer.from(text)) ?? {}, change)).map(([key, value]) => {
        const found = root.entries.get(key)?.value
        return found === undefined ? insert(root, key, value) : replace(found, value)
      })

/**
 * The config.json of an output: the donor's text with the dtype, the number of layers and what else the tensors decide.
 * Everything else stays as it is written there.
 */
export const editConfig = (bytes: Uint8Array, of: ConfigOf): Result<Uint8Array> => {
  const edited: Edited = { file: 'config.json', model: of.model, at: of.at }
  return editJson(bytes, edited, (root, text) => {
    const layers = layerEdits(root, of, text)
    const tokens = of.vocabulary === undefined ? undefined : tokenEdits(root, of.model, of.vocabulary)
    return {
      edits: [
        ...layers.edits,
        ...changeEdits(root, of.change, text),
        ...dtypeEdits(root, of.written),
        ...tieEdits(root, of),
        ...vocabularyEdits(root, of),
        ...(tokens?.edits ?? []),
        ...(of.unscaled ? remove(root, 'quantization_config', text) : []),
      ],
      warnings: [...layers.warnings, ...lostWarnings(edited, tokens?.lost ?? [])],
    }
  })
}

/** A JSON file with another text at a path of keys that it has. */
export const replaceText = (
  bytes: Uint8Array,
  file: string,
  path: readonly string[],
  text: string,
  at: Place,
): Result<Uint8Array> =>
  editJson(bytes, { file, model: file, at }, (root) => {
    const value = find(root, path)
    return { edits: value === undefined ? [] : [replace(value, text)], warnings: [] }
  })

/** Another JSON file of a model, with the ids that its tokens have in a vocabulary. */
export const renumberTokens = (
  bytes: Uint8Array,
  file: string,
  model: string,
  vocabulary: Renumbering,
  at: Place,
): Result<Uint8Array> =>
  editJson(bytes, { file, model, at }, (root) => {
    const { edits, lost } = tokenEdits(root, model, vocabulary)
    return { edits, warnings: lostWarnings({ file, model, at }, lost) }
  })
