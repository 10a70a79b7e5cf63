import type { Architecture } from '../architectures/detect.js'
import type { AdapterModule, Role } from '../architectures/adapters/modules.js'
import { adapterNames, type AdapterTarget } from '../architectures/adapters/names.js'
import type { ScaleOf } from '../architectures/adapters/scale.js'
import { alphaName, FACTOR_ENDINGS, spellModules, type NameFormat } from '../architectures/adapters/spell.js'
import type { Rows } from '../architectures/adapters/spelling.js'
import { alphaFor, type ScaledModule } from '../architectures/adapters/write-peft-config.js'
import { append } from '../base/lists.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { elementsFrom, stackedFactors } from '../kernels/solvers/low-rank.js'
import type { Dtype } from '../tensor/dtype.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { sliceOf, wholeOf } from '../tensor/view.js'
import type { MadeTensor } from './made-adapter.js'
import { DIFFERENCES, readAdapterTensor } from './plain-modules.js'
import { isOnlyRenamed, renameFactors } from './rename-factors.js'
import { swapHalves } from './swap-halves.js'
import type { AdapterValue } from './value.js'

/** An adapter that gets other names, and where these come from. */
export interface Renaming {
  readonly graph: Graph
  readonly adapter: AdapterValue
  readonly modules: readonly AdapterModule[]
  readonly scaleOf: ScaleOf
  /** The model that the adapter is for. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>
  readonly architecture: Architecture | undefined
  readonly format: NameFormat
}

/** An adapter by its new names, and those modules of the old that have none. */
export interface Renamed {
  readonly tensors: readonly MadeTensor[]
  readonly modules: readonly ScaledModule[]
  readonly unnamed: readonly string[]
  /** Those of them that have a name, in a format that holds no differences. */
  readonly differing: readonly string[]
}

/** A module with factors or differences, and the rows of the model's tensor that it changes. */
interface Source {
  readonly module: AdapterModule
  readonly rows: Rows
  readonly change: AdapterTarget['change']
}

/** Some rows of a source's factors, or all. */
interface Part extends Source {
  readonly up: TensorInfo
  readonly down: TensorInfo
  readonly scale: number
}

/** A module of the result before it is made. */
interface Piece {
  readonly module: string
  readonly rows: Rows
  readonly change: AdapterTarget['change']
}

/** The rows of a tensor as an adapter has it. */
const heightOf = (shape: readonly number[], change: AdapterTarget['change']): number =>
  (change === 'transposed' ? shape.at(-1) : shape[0]) ?? 1

const contains = (outer: Rows, inner: Rows): boolean =>
  outer.first <= inner.first && inner.first + inner.count <= outer.first + outer.count
const meets = (x: Rows, y: Rows): boolean => x.first < y.first + y.count && y.first < x.first + x.count

/** The sources of a piece: one that holds all of its rows, or all that have some; undefined where one sticks out. */
const sourcesOf = ({ rows }: Piece, sources: readonly Source[]): readonly Source[] | undefined => {
  const own = sources.filter((source) => meets(source.rows, rows))
  const [only, ...others] = own
  if (only !== undefined && others.length === 0 && contains(only.rows, rows)) return own
  return own.every((source) => contains(rows, source.rows)) ? own : undefined
}

/** Some rows of a factor as they are stored. */
const cut = (g: Graph, adapter: AdapterValue, info: TensorInfo, { first, count }: Rows): Tensor => {
  if (first === 0 && count === info.shape[0]) return readAdapterTensor(g, adapter, info)
  if (adapter.made === undefined) return g.read(sliceOf(wholeOf(info), 0, first, count))
  const width = sizeOf(info.shape.slice(1))
  const x = adapter.made.tensor(info.name)
  return g.solve(elementsFrom, [{ x, shape: info.shape }], [first * width], info.shape.with(0, count))
}

/** A dtype that holds the numbers of all. */
const widest = (dtypes: readonly Dtype[]): Dtype => (new Set(dtypes).size === 1 ? dtypes[0]! : 'F32')

const makeFactors = (
  { graph: g, adapter, format }: Renaming,
  piece: Piece,
  parts: readonly Part[],
): { readonly tensors: readonly MadeTensor[]; readonly module: ScaledModule } => {
  const [first] = parts as readonly [Part, ...Part[]]
  const [upEnd, downEnd] = FACTOR_ENDINGS[format]
  const rank = parts.reduce((n, { down }) => n + down.shape[0]!, 0)
  const alike = parts.every(({ scale }) => scale === first.scale)
  // Names of diffusers have no place for a scale.
  const folded = format === 'diffusers' || !alike
  const scale = folded ? 1 : first.scale
  const slot = (ending: string, shape: readonly number[], infos: readonly TensorInfo[]): MadeTensor['slot'] => ({
    name: piece.module + ending,
    shape,
    dtype: widest(infos.map(({ dtype }) => dtype)),
  })
  const shapes = [first.up.shape.with(0, piece.rows.count).with(1, rank), first.down.shape.with(0, rank)] as const
  const slots = [
    slot(
      upEnd,
      shapes[0],
      parts.map(({ up }) => up),
    ),
    slot(
      downEnd,
      shapes[1],
      parts.map(({ down }) => down),
    ),
  ] as const
  const alone = parts.length === 1 && contains(first.rows, piece.rows)
  const inside = { first: piece.rows.first - first.rows.first, count: piece.rows.count }
  const packed = (): Tensor =>
    g.solve(
      stackedFactors,
      parts.flatMap(({ up, down }) =>
        [up, down].map((info) => ({ x: readAdapterTensor(g, adapter, info), shape: info.shape })),
      ),
      [piece.rows.count, ...parts.flatMap((part) => [part.rows.first - piece.rows.first, folded ? part.scale : 1])],
      [sizeOf(shapes[0]) + sizeOf(shapes[1])],
    )
  const unpacked = (begin: number, shape: readonly number[]): Tensor =>
    g.solve(elementsFrom, [{ x: packed(), shape: [sizeOf(shapes[0]) + sizeOf(shapes[1])] }], [begin], shape)
  const ordered = (x: Tensor): Tensor => (first.change === piece.change ? x : swapHalves(g, x, shapes[0]))
  const scaled = (x: Tensor): Tensor => (folded && first.scale !== 1 ? g.mul(x, first.scale) : x)
  const tensors: readonly MadeTensor[] = alone
    ? [
        { slot: slots[0], tensor: () => scaled(ordered(cut(g, adapter, first.up, inside))) },
        { slot: slots[1], tensor: () => readAdapterTensor(g, adapter, first.down) },
      ]
    : [
        { slot: slots[0], tensor: () => unpacked(0, shapes[0]) },
        { slot: slots[1], tensor: () => unpacked(sizeOf(shapes[0]), shapes[1]) },
      ]
  const module = { name: piece.module, rank, scale }
  if (format !== 'kohya') return { tensors, module }
  const alpha: MadeTensor = {
    slot: { name: alphaName(piece.module), shape: [], dtype: 'F32' },
    tensor: () => g.fill(Math.fround(alphaFor(module))),
  }
  return { tensors: [...tensors, alpha], module }
}

/** Differences keep their names behind that of the module. */
const makeDifferences = (
  { graph: g, adapter }: Renaming,
  name: string,
  { tensors }: AdapterModule,
): readonly MadeTensor[] =>
  DIFFERENCES.flatMap((role: Role) => {
    const info = tensors.get(role)
    if (info === undefined) return []
    const slot = { name: name + (role === 'diff' ? '.diff' : '.diff_b'), shape: info.shape, dtype: info.dtype }
    return [{ slot, tensor: (): Tensor => readAdapterTensor(g, adapter, info) }]
  })

const differs = ({ module: { tensors } }: Source): boolean => DIFFERENCES.some((role) => tensors.has(role))

/** The modules of one tensor of the model by their new names; undefined where these cannot say what the old ones do. */
const renameSources = (
  renaming: Renaming,
  tensor: string,
  pieces: readonly Piece[],
  sources: readonly Source[],
): Result<{ readonly tensors: readonly MadeTensor[]; readonly modules: readonly ScaledModule[] } | undefined> => {
  if (pieces.length === 0) return ok(undefined)
  const groups = pieces
    .map((piece) => ({ piece, own: sourcesOf(piece, sources) }))
    .filter(({ own }) => own?.length !== 0)
  if (groups.some(({ own }) => own === undefined)) return ok(undefined)
  const [group, source] = [groups[0], sources[0]!]
  const isAlone = groups.length === 1 && sources.length === 1
  const exact = isAlone && contains(group!.piece.rows, source.rows) && contains(source.rows, group!.piece.rows)
  const changes = new Set([...pieces, ...sources].map(({ change }) => change))
  if (changes.size > 1) {
    const onlySwapped = exact && !changes.has('transposed') && !differs(source) && !isOnlyRenamed(source.module)
    if (!onlySwapped) return ok(undefined)
  }
  if (sources.some(differs) && (!exact || renaming.format !== 'kohya')) return ok(undefined)
  const only = sources.find(({ module }) => isOnlyRenamed(module))
  if (only !== undefined) {
    if (!exact || renaming.format !== 'kohya') return ok(undefined)
    const { module } = only
    const name = group!.piece.module
    const axes = renaming.tensors.get(tensor)!.shape.length
    const renamed = renameFactors(renaming.graph, name, module, renaming.scaleOf, axes)
    if (renamed.type === 'failed' || renamed.value === undefined) return renamed
    return ok({
      tensors: [...renamed.value.tensors, ...makeDifferences(renaming, name, module)],
      modules: renamed.value.modules,
    })
  }
  const [tensors, modules, problems] = [[] as MadeTensor[], [] as ScaledModule[], [] as Diagnostic[]]
  for (const { piece, own } of groups) {
    const parts = own!.flatMap((source): Part[] => {
      const [up, down] = [source.module.tensors.get('up'), source.module.tensors.get('down')]
      if (up === undefined || down === undefined) return []
      const scale = renaming.scaleOf(source.module, down.shape[0]!)
      append(problems, scale.diagnostics)
      return scale.type === 'failed' ? [] : [{ ...source, up, down, scale: scale.value }]
    })
    if (parts.length > 0) {
      const made = makeFactors(renaming, piece, parts)
      append(tensors, made.tensors)
      modules.push(made.module)
    }
    for (const { module } of own!) append(tensors, makeDifferences(renaming, piece.module, module))
  }
  return problems.length > 0 ? failed(problems[0]!) : ok({ tensors, modules })
}

/**
 * Gives the modules of an adapter the names of another format. What a format names by parts is cut into them, and parts
 * that it names as one are put together; the numbers of factors stay, except where a scale has to go into them.
 */
export const renameModules = (renaming: Renaming): Result<Renamed> => {
  const { modules, tensors: model, architecture, format } = renaming
  const names = adapterNames(model, architecture)
  const spell = spellModules(model, architecture, format)
  const byTensor = new Map<string, Source[]>()
  const [unnamed, differing] = [[] as string[], [] as string[]]
  for (const module of modules) {
    for (const target of names.get(module.name) ?? []) {
      const tensor = (target.weight ?? target.bias)!
      const { part, change } = target
      const rows =
        part === undefined
          ? (target.rows ?? { first: 0, count: heightOf(model.get(tensor)!.shape, change) })
          : { first: -part.first, count: part.of }
      const known = byTensor.get(tensor) ?? []
      known.push({ module, rows, change })
      byTensor.set(tensor, known)
    }
  }
  const [tensors, made] = [[] as MadeTensor[], [] as ScaledModule[]]
  for (const [tensor, sources] of byTensor) {
    const { shape } = model.get(tensor)!
    const pieces = spell(tensor).map(({ module, rows, change }) => ({
      module,
      rows: rows ?? { first: 0, count: heightOf(shape, change) },
      change,
    }))
    const renamed = renameSources(renaming, tensor, pieces, sources)
    if (renamed.type === 'failed') return renamed
    if (renamed.value === undefined) {
      append(
        unnamed,
        sources.map(({ module }) => module.name),
      )
      if (pieces.length > 0 && format !== 'kohya')
        append(
          differing,
          sources.filter(differs).map(({ module }) => module.name),
        )
    } else {
      append(tensors, renamed.value.tensors)
      append(made, renamed.value.modules)
    }
  }
  return ok({ tensors, modules: made, unnamed, differing })
}
