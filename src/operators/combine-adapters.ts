import { factorsOf } from '../architectures/adapters/factors.js'
import { guessArchitecture } from '../architectures/adapters/guess.js'
import { kohyaMetadata } from '../architectures/adapters/kohya-metadata.js'
import type { AdapterModule } from '../architectures/adapters/modules.js'
import { scalesOf } from '../architectures/adapters/scale.js'
import { alphaName } from '../architectures/adapters/spell.js'
import { peftFactsOf, type ScaledModule } from '../architectures/adapters/write-peft-config.js'
import {
  adapterNamesDiffer,
  differenceBesideFactors,
  differencesKept,
  factorsDiffer,
  nothingLeft,
} from '../base/catalogue/adapter-tensors.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { CORE_METHODS, coreSpace } from '../kernels/solvers/core-space.js'
import { elementsFrom, factorProduct, joinedFactors, lowRankFactors } from '../kernels/solvers/low-rank.js'
import { sizeOf } from '../tensor/info.js'
import { labelOf } from './call-arguments.js'
import type { RankOf } from './choose-rank.js'
import { makeAdapter, type MadeTensor } from './made-adapter.js'
import type { Call } from './operator.js'
import { DIFFERENCES, plainModules, readAdapterTensor } from './plain-modules.js'
import type { AdapterValue, Reference, Value } from './value.js'

/** How the factors of a module are combined. */
export interface Combination {
  /** The greatest rank of a module in the result. */
  readonly rank?: number | undefined
  readonly choose?: RankOf
  /** Merges factors in the space that they share, rather than adding them up. */
  readonly core?: {
    readonly method: (typeof CORE_METHODS)[number]
    readonly density: number
    readonly isotropic: boolean
  }
}

/** What one adapter has of a module, and what that counts. */
interface Part {
  readonly adapter: Reference<AdapterValue>
  readonly module: AdapterModule
  readonly strength: number
  /** `alpha / rank`; 1 where there are no factors. */
  readonly scale: number
}

const ROOTS: readonly (readonly [RegExp, string])[] = [
  [/^(?:lora|lycoris)_/, 'kohya'],
  [/^(?:unet|transformer|text_encoder(?:_[23])?)\./, 'diffusers'],
  [/^base_model\.model\./, 'peft'],
  [/^diffusion_model\./, 'network'],
]

/** By what rules a module is named: adapters of different rules cannot be told to mean one module. */
const namingOf = ({ name, tensors }: AdapterModule): readonly [root: string, ending: string, blocks: string] => {
  const up = tensors.get('up')?.name.slice(name.length) ?? ''
  const root = ROOTS.find(([pattern]) => pattern.test(name))?.[1] ?? 'its own name'
  const blocks = /(?:^|[._])(?:down_blocks|mid_block|up_blocks)[._]/.test(name)
    ? 'diffusers'
    : /(?:^|[._])(?:input_blocks|middle_block|output_blocks)[._]/.test(name)
      ? 'original'
      : ''
  return [root, up.replace(/^\.lora_B.*$/, '.lora_B'), blocks]
}

/** A module that is named by other rules than one before it; where a rule does not show, it does not count. */
const namedOtherwise = (parts: readonly Part[]): Diagnostic | undefined => {
  const met: (Part | undefined)[] = []
  for (const part of parts) {
    for (const [i, rule] of namingOf(part.module).entries()) {
      if (rule === '') continue
      const before = (met[i] ??= part)
      if (namingOf(before.module)[i] !== rule)
        return adapterNamesDiffer(part.adapter.at, part.adapter.value.label, part.module.name, before.module.name)
    }
  }
  return undefined
}

/** The parts of all adapters, by module in the order in which they are met. */
const collectParts = (
  adapters: readonly Reference<AdapterValue>[],
  strengths: readonly number[],
): Result<ReadonlyMap<string, readonly Part[]>> => {
  const parts = new Map<string, Part[]>()
  const problems: Diagnostic[] = []
  for (const [i, adapter] of adapters.entries()) {
    const { label, file, alpha } = adapter.value
    const modules = plainModules(adapter)
    append(problems, modules.diagnostics)
    const scaleOf = scalesOf({ label, file, alpha, at: adapter.at })
    for (const module of modules.type === 'failed' || problems.length > 0 ? [] : modules.value) {
      const rank = module.tensors.get('down')?.shape[0]
      const scale = rank === undefined ? ok(1) : scaleOf(module, rank)
      if (scale.type === 'failed') append(problems, scale.diagnostics)
      else {
        const own = { adapter, module, strength: strengths[i]!, scale: scale.value }
        const known = parts.get(module.name)
        if (known === undefined) parts.set(module.name, [own])
        else known.push(own)
      }
    }
  }
  return problems.length > 0 ? failed(problems[0]!) : ok(parts)
}

/** Parts that are of different sizes, or spelt in different ways, or that no file can hold together. */
const mismatch = (name: string, parts: readonly Part[]): Diagnostic | undefined => {
  const whole = parts.find(({ module }) => module.tensors.has('diff'))
  const factored = parts.find(({ module }) => module.tensors.has('down'))
  if (whole !== undefined && factored !== undefined)
    return differenceBesideFactors(whole.adapter.at, name, whole.adapter.value.label, factored.adapter.value.label)
  const sides = parts.flatMap(({ adapter, module: { tensors } }) => {
    const [up, down] = [tensors.get('up'), tensors.get('down')]
    return up === undefined || down === undefined ? [] : [{ adapter, shape: [up.shape[0]!, ...down.shape.slice(1)] }]
  })
  const other = sides.find(({ shape }) => sizeOf(shape) !== sizeOf(sides[0]!.shape) || shape[0] !== sides[0]!.shape[0])
  if (other !== undefined)
    return factorsDiffer(other.adapter.at, other.adapter.value.label, name, [sides[0]!.shape, other.shape])
  for (const role of DIFFERENCES) {
    const own = parts.flatMap(({ adapter, module }) => {
      const info = module.tensors.get(role)
      return info === undefined ? [] : [{ adapter, info }]
    })
    const odd = own.find(({ info }) => info.shape.join() !== own[0]!.info.shape.join())
    if (odd !== undefined)
      return factorsDiffer(odd.adapter.at, odd.adapter.value.label, name, [own[0]!.info.shape, odd.info.shape])
  }
  return undefined
}

/** The factors of a module's parts together, of all their ranks or of one that is less. */
const combineFactors = (
  g: Graph,
  parts: readonly Part[],
  { rank: wanted, choose = (_, __, most) => most, core }: Combination,
): readonly MadeTensor[] => {
  const own = parts.filter(({ module }) => factorsOf(module).length > 0)
  const [first] = own
  if (first === undefined) return []
  const [up, down] = [first.module.tensors.get('up')!, first.module.tensors.get('down')!]
  const [rows, inner] = [up.shape[0]!, down.shape.slice(1)]
  const columns = sizeOf(inner)
  const total = own.reduce((n, { module }) => n + module.tensors.get('down')!.shape[0]!, 0)
  const most = Math.min(wanted ?? total, total, ...(wanted === undefined ? [] : [rows, columns]))
  const packedShape = (r: number): readonly number[] => [r * (rows + columns)]
  const joined = (): Tensor =>
    g.solve(
      core === undefined ? joinedFactors : coreSpace,
      own.flatMap(({ adapter, module }) =>
        (['up', 'down'] as const).map((role) => {
          const info = module.tensors.get(role)!
          return { x: readAdapterTensor(g, adapter.value, info), shape: info.shape }
        }),
      ),
      core === undefined
        ? [rows, ...own.map(({ strength, scale }) => strength * scale)]
        : [
            rows,
            CORE_METHODS.indexOf(core.method),
            core.density,
            Number(core.isotropic),
            ...own.flatMap(({ strength, scale }) => [scale, strength]),
          ],
      packedShape(total),
    )
  const cut = (packed: Tensor, r: number, begin: number, shape: readonly number[]): Tensor =>
    g.solve(elementsFrom, [{ x: packed, shape: packedShape(r) }], [begin], shape)
  const multiplied = (): Tensor =>
    g.solve(
      factorProduct,
      [
        { x: cut(joined(), total, 0, [rows, total]), shape: [rows, total] },
        { x: cut(joined(), total, rows * total, [total, columns]), shape: [total, columns] },
      ],
      [0],
      [rows, columns],
    )
  const name = first.module.name
  const rank = choose(name, () => ({ x: multiplied(), shape: [rows, columns], first: 0, rows, most }), most)
  if (rank === 0) return []
  const packed = (): Tensor =>
    rank === total
      ? joined()
      : g.solve(lowRankFactors, [{ x: multiplied(), shape: [rows, columns] }], [0, rows, rank], packedShape(rank))
  const shapes = [
    [rows, rank, ...up.shape.slice(2)],
    [rank, ...inner],
  ] as const
  return [
    { slot: { name: up.name, shape: shapes[0], dtype: up.dtype }, tensor: () => cut(packed(), rank, 0, shapes[0]) },
    {
      slot: { name: down.name, shape: shapes[1], dtype: down.dtype },
      tensor: () => cut(packed(), rank, rows * rank, shapes[1]),
    },
  ]
}

/** The sums of stored differences. */
const sumDifferences = (g: Graph, parts: readonly Part[]): readonly MadeTensor[] =>
  DIFFERENCES.flatMap((role) => {
    const own = parts.filter(({ module }) => module.tensors.has(role))
    const [first] = own
    if (first === undefined) return []
    const { name, shape, dtype } = first.module.tensors.get(role)!
    const sum = (): Tensor =>
      own
        .map(({ adapter, module, strength }) =>
          g.mul(readAdapterTensor(g, adapter.value, module.tensors.get(role)!), strength),
        )
        .reduce((x, y) => g.add(x, y))
    return [{ slot: { name, shape, dtype }, tensor: sum }]
  })

/** True for a module with a difference of a weight, rather than of a bias or a norm. */
const isWholeDifference = ({ tensors }: AdapterModule): boolean => {
  const [rows = 1, ...inner] = tensors.get('diff')?.shape ?? []
  return rows > 1 && sizeOf(inner) > 1
}

/** The adapters of a step in one, each times its strength; with a rank, the best approximation of that rank. */
export const combineAdapters = (
  call: Call,
  adapters: readonly Reference<AdapterValue>[],
  strengths: readonly number[],
  combination: Combination,
): Result<readonly Value[]> => {
  const { graph: g } = call
  const collected = collectParts(adapters, strengths)
  if (collected.type === 'failed') return collected
  const [tensors, alphas, modules] = [[] as MadeTensor[], new Map<string, number>(), [] as ScaledModule[]]
  const foreign = namedOtherwise([...collected.value.values()].flat())
  if (foreign !== undefined) return failed(foreign)
  const stated = [...collected.value.values()].flat().some(({ module }) => module.tensors.has('alpha'))
  for (const [name, parts] of collected.value) {
    const problem = mismatch(name, parts)
    if (problem !== undefined) return failed(problem)
    const factors = combineFactors(g, parts, combination)
    append(tensors, [...factors, ...sumDifferences(g, parts)])
    const [, down] = factors
    if (down === undefined) continue
    const own = down.slot.shape[0]!
    modules.push({ name, rank: own, scale: 1 })
    // Programs take an adapter that states some alphas only for one that was put together wrongly.
    if (!stated) continue
    alphas.set(alphaName(name), own)
    tensors.push({ slot: { name: alphaName(name), shape: [], dtype: 'F32' }, tensor: () => g.fill(own) })
  }
  if (tensors.length === 0) return failed(nothingLeft(adapters[0]!.at, adapters[0]!.value.label))
  for (const { slot } of tensors) call.note({ type: 'merged', tensor: slot.name })
  const files = adapters.map(({ value }) => value.file)
  const metadata = alphas.size === 0 ? new Map<string, string>() : metadataOf(files, alphas)
  const peft = peftFactsOf(files.map(({ config }) => config))
  const whole = [...collected.value.values()].flat().filter(({ module }) => isWholeDifference(module))
  const kept =
    combination.rank === undefined || whole.length === 0
      ? []
      : [
          differencesKept(
            whole[0]!.adapter.at,
            whole[0]!.adapter.value.label,
            whole.map(({ module }) => module.name),
          ),
        ]
  return ok([makeAdapter({ label: labelOf(call), tensors, alphas, metadata, modules, peft })], kept)
}

const metadataOf = (
  files: readonly AdapterValue['file'][],
  alphas: ReadonlyMap<string, number>,
): ReadonlyMap<string, string> => {
  const ranks = new Set(alphas.values())
  const bases = new Set(files.map(({ tensors }) => guessArchitecture(tensors)?.ids[0]))
  const base = bases.size === 1 ? [...bases][0] : undefined
  return kohyaMetadata({ base, ranks, alphas: ranks, parents: files.map(({ metadata }) => metadata) })
}
