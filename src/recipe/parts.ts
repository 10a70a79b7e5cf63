import * as say from '../base/catalogue/parts.js'
import type { Diagnostic, Place, Range, Source } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import type { JsonSchema } from '../document/schema.js'
import { validate } from '../document/validate.js'
import { find, type Entry, type MapValue, type Value } from '../document/value.js'
import { findOperator, operators } from '../operators/index.js'
import { linkNames } from './link.js'
import { readDeclarations, type Declarations } from './params.js'
import type { Scalar, Step } from './recipe.js'
import { partSchema, PARTS_SCHEMA, useSchema } from './part-schema.js'
import type { Scope, Use } from './scope.js'
import { readStep } from './step.js'
import { expandPresets, presetPaths } from './presets.js'
import { substitute } from './substitute.js'
import { partPath, type Parts } from './used-texts.js'

/** How often a recipe can use parts, the uses inside parts included. */
const MOST_USES = 1000

/** Made when there is a part: most recipes have none. */
let schemas: { readonly file: JsonSchema; readonly inline: JsonSchema } | undefined

const makeSchemas = () => {
  const file = partSchema(operators, { editor: false })
  return { file, inline: { ...file, required: ['steps', 'results'] } }
}

/** A part inside a document does not state the version of the language again. */
const schemaOf = (part: Value, inline: boolean): JsonSchema => {
  schemas ??= makeSchemas()
  return inline && find(part, ['smelt']) === undefined ? schemas.inline : schemas.file
}

/** The document that a path stands in, and the parts that led to it. */
interface Whereabouts {
  /** Relative to the recipe's folder, as in {@link Parts}; a name without a folder for the recipe itself. */
  readonly path: string
  readonly chain: readonly string[]
  readonly parts: Parts
  /** The parts that the document itself holds, by name. */
  readonly own: MapValue['entries']
  /** Counts the uses of the whole recipe. */
  readonly count: { uses: number }
}

/** The parts that a document holds under `parts`, by name. */
const ownParts = (document: Value): MapValue['entries'] => {
  const block = find(document, ['parts'])
  return block?.type === 'map' ? block.entries : new Map()
}

/** Where the recipe itself is. */
export const atRecipe = (recipe: Value, parts: Parts): Whereabouts => ({
  path: 'recipe',
  chain: [],
  parts,
  own: ownParts(recipe),
  count: { uses: 0 },
})

const place = (range: Range): Place => ({ type: 'text', range })

/** A file that a document uses, by the path it has there, and what the file has to be. */
interface UsedFile {
  readonly path: string
  readonly is: 'part' | 'presets'
}

/** The files of parts and presets that a document uses. */
export const usedFiles = (document: Value): readonly UsedFile[] => {
  const own = ownParts(document)
  return [document, ...[...own.values()].map(({ value }) => value)].flatMap((holder): UsedFile[] => {
    const steps = find(holder, ['steps'])
    const parts = [...(steps?.type === 'map' ? steps.entries.values() : [])].flatMap(({ value }): UsedFile[] => {
      const path = find(value, ['use'])
      return path?.type === 'string' && !own.has(path.value) ? [{ path: path.value, is: 'part' }] : []
    })
    return [...parts, ...presetPaths(holder).map((path): UsedFile => ({ path, is: 'presets' }))]
  })
}

/** The steps of a document that have an operator. */
export const readSteps = (root: Value): ReadonlyMap<string, Step> => {
  const steps = find(root, ['steps'])
  return new Map(
    [...(steps?.type === 'map' ? steps.entries : [])].flatMap(([name, { key, value }]) => {
      const op = find(value, ['op'])
      const operator = findOperator(op?.type === 'string' ? op.value : '')
      return operator === undefined || value.type !== 'map'
        ? []
        : [[name, readStep(name, key, value, operator)] as const]
    }),
  )
}

/** A document without the steps that use parts, which are read; what is wrong with them; and the steps that are. */
interface Opened {
  /** What the schema of the document is for. */
  readonly plain: Value
  readonly uses: ReadonlyMap<string, Use>
  readonly problems: readonly Diagnostic[]
}

/** Reads the parts that the steps of a document use; params are replaced already. */
export const openUses = (root: Value, where: Whereabouts): Opened => {
  const steps = find(root, ['steps'])
  const problems: Diagnostic[] = []
  const uses = new Map<string, Use>()
  if (root.type !== 'map') return { plain: root, uses, problems }
  const own = new Map<string, Entry>()
  for (const [name, entry] of steps?.type === 'map' ? steps.entries : []) {
    const { key, value } = entry
    if (value.type !== 'map' || !value.entries.has('use')) own.set(name, entry)
    else {
      const opened = openUse(name, key, value, where)
      append(problems, opened.diagnostics)
      uses.set(name, opened.type === 'ok' ? opened.value : { name, at: place(key), scope: undefined, args: new Map() })
    }
  }
  const block = root.entries.get('parts')
  if (block !== undefined) append(problems, validate(alone('parts', block.key, block.value), PARTS_SCHEMA).diagnostics)
  const plain = new Map(root.entries)
  plain.delete('parts')
  if (uses.size > 0 && steps?.type === 'map')
    plain.set('steps', { key: root.entries.get('steps')!.key, value: { ...steps, entries: own } })
  return { plain: { ...root, entries: plain }, uses, problems }
}

const documents = new WeakMap<Source, Result<Value>>()

/** A part that is used several times is read once. */
const documentOf = (source: Source): Result<Value> => {
  const document = documents.get(source) ?? readDocument(source)
  documents.set(source, document)
  return document
}

/** The document of a part, and where the uses inside it are. */
interface Found {
  readonly document: Value
  readonly where: Whereabouts
  readonly warnings: readonly Diagnostic[]
  /** It stands under `parts` of the document that uses it. */
  readonly inline: boolean
}

/** Finds a part by the name it has in the document, or by the path of its file. */
const findPart = (step: string, path: Value & { readonly type: 'string' }, where: Whereabouts): Result<Found> => {
  const inline = where.own.get(path.value)
  const known = inline === undefined ? partPath(path.value, where.path) : `${where.path}#${path.value}`
  const chain = [...where.chain, known]
  if (where.chain.includes(known)) return failed(say.partCycle(path.value, path.range))
  if (++where.count.uses > MOST_USES) return failed(say.tooManyUses(MOST_USES, path.range))
  if (inline !== undefined)
    return ok({ document: inline.value, where: { ...where, chain }, warnings: [], inline: true })
  const source = where.parts.get(known)
  if (source === undefined) return failed(say.partNotRead(path.value, path.range))
  // A file that is not there is a mistake of the step that names it.
  if (source.type === 'failed') return failed(...source.diagnostics.map((d) => ({ ...d, at: place(path.range) })))
  const document = documentOf(source.value)
  if (document.type === 'failed') return failed(...ledTo(document.diagnostics, step, path.range))
  if (find(document.value, ['results']) === undefined && find(document.value, ['outputs']) !== undefined)
    return failed(say.notAPart(path.value, path.range))
  return ok({
    document: document.value,
    where: { ...where, path: known, chain, own: ownParts(document.value) },
    warnings: document.diagnostics,
    inline: false,
  })
}

const openUse = (name: string, key: Range, step: MapValue, where: Whereabouts): Result<Use> => {
  const path = find(step, ['use'])!
  if (step.entries.has('op')) return failed(say.useAndOp(name, step.entries.get('use')!.key))
  if (path.type !== 'string' || path.value === '') return failed(say.usePath(name, path.range))
  const part = findPart(name, path, where)
  if (part.type === 'failed') return part
  const { document, warnings, inline } = part.value
  if (document.type !== 'map' || !document.entries.has('results') || !document.entries.has('steps'))
    return failed(...ledTo(validate(document, schemaOf(document, inline)).diagnostics, name, path.range))
  const { declarations, problems } = readDeclarations(document, true)
  const given = validate(alone(name, key, step), { type: 'object', properties: { [name]: useSchema(declarations) } })
  if (given.type === 'failed') return failed(...given.diagnostics)
  const scope = readPart(part.value, declarations, argumentsOf(declarations, step))
  const told = ledTo([...warnings, ...problems, ...scope.diagnostics], name, path.range)
  if (scope.type === 'failed' || told.some((d) => d.severity === 'error')) return failed(...told)
  const args = new Map(
    [...declarations.values()].flatMap((declared) => {
      const value = find(step, [declared.name])
      if (declared.expected.type !== 'name') return []
      const text = value?.type === 'string' ? value.value : String(declared.default)
      const at = place(value?.range ?? declared.key)
      return [[declared.name, { name: text, at, kind: declared.expected.kind }] as const]
    }),
  )
  return ok({ name, at: place(key), scope: scope.value, args }, told)
}

/** A map of one entry, so that problems of the value name it. */
const alone = (name: string, key: Range, value: Value): Value => ({
  type: 'map',
  entries: new Map([[name, { key, value }]]),
  range: value.range,
})

/** Problems of a part, with the place that led to it. */
const ledTo = (problems: readonly Diagnostic[], step: string, at: Range): readonly Diagnostic[] =>
  problems.map((d) => ({ ...d, related: [...d.related, { at: place(at), message: say.usedHere(step) }] }))

/** The values of a part's params: a name that is passed stands for itself inside. */
const argumentsOf = (declarations: Declarations, step: MapValue): ReadonlyMap<string, Scalar | undefined> =>
  new Map(
    [...declarations].map(([name, declared]) => {
      if (declared.expected.type === 'name') return [name, name]
      const value = find(step, [name])
      const given = value === undefined || value.type === 'map' || value.type === 'list' ? undefined : value.value
      return [name, given ?? declared.default]
    }),
  )

/** Reads and checks a part whose params have values. */
const readPart = (
  { document, where, inline }: Found,
  declarations: Declarations,
  values: ReadonlyMap<string, Scalar | undefined>,
): Result<Scope> => {
  const { value: whole, problems: unknown } = substitute(document, values)
  const { value: root, problems: presets, open } = expandPresets(whole, where.path, where.parts)
  const { plain, uses, problems } = openUses(root, where)
  const checked = validate(plain, schemaOf(document, inline)).diagnostics.filter(
    ({ at }) =>
      at?.type !== 'text' || !open.some(({ start, source }) => source === at.range.source && start === at.range.start),
  )
  const scope: Omit<Scope, 'results'> = { isRecipe: false, declarations, steps: readSteps(plain), uses }
  const results = new Map<string, string>()
  const block = find(root, ['results'])
  for (const [name, { value }] of block?.type === 'map' ? block.entries : [])
    if (value.type === 'string') results.set(name, value.value)
  const told = [...unknown, ...presets, ...problems, ...checked, ...linkNames(root, { ...scope, results })]
  return told.some((d) => d.severity === 'error') ? failed(...told) : ok({ ...scope, results }, told)
}
