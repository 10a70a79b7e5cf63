import type { Architecture } from '../../architectures/detect.js'
import { keepsInputsFirst } from '../../architectures/adapters/inputs-first.js'
import { kohyaMetadata } from '../../architectures/adapters/kohya-metadata.js'
import {
  alphaName,
  FACTOR_ENDINGS,
  spellModules,
  type NameFormat,
  type SpeltModule,
} from '../../architectures/adapters/spell.js'
import type { ScaledModule } from '../../architectures/adapters/write-peft-config.js'
import { taskOf } from '../../architectures/adapters/names.js'
import {
  differencesUnnamed,
  nothingExtracted,
  rankFraction,
  tensorsUnnamed,
} from '../../base/catalogue/adapter-tensors.js'
import { append } from '../../base/lists.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { elementsFrom, lowRankFactors } from '../../kernels/solvers/low-rank.js'
import type { Dtype } from '../../tensor/dtype.js'
import { sizeOf } from '../../tensor/info.js'
import { COMMON, named } from '../aliases.js'
import { labelOf, modelsOf, valueOf } from '../call-arguments.js'
import { defineOperator } from '../define.js'
import { rankChooser, RANK_DETAILS, RANK_PARAMS, type RankOf } from '../choose-rank.js'
import { makeAdapter, type MadeTensor } from '../made-adapter.js'
import { NAME_FORMATS } from '../name-formats.js'
import type { Call, Operator } from '../operator.js'
import { choice, flag, model, perLayer } from '../params.js'
import { swapHalves } from '../swap-halves.js'
import type { ModelValue, Slot, Value } from '../value.js'

const DEFAULT_RANK = 32

/** Programs look these up by index, and apply no factors to them. */
const LOOKED_UP = /(?:^|[._])(?:\w*embed(?:ding|dings|_tokens)|positional_embedding|wte|wpe)(?:\.weight)?$/

/** The operator as it is described; it builds the differences that are decomposed. */
const differences = defineOperator({
  id: 'adapter.extract',
  version: 2,
  summary: 'Makes a LoRA of the difference of two models.',
  aliases: [
    { name: 'extract_lora_from_models', from: 'kohya', settings: '`rank` is its `--dim`' },
    { name: 'extract_kohya_lora', from: 'sd-mecha' },
    { name: 'extract_lycoris_lora', from: 'sd-mecha', settings: 'its `mode` is `method`' },
    { name: 'extract_locon', from: 'LyCORIS', settings: 'its `--mode` is `method`' },
    { name: 'mergekit-extract-lora', from: 'mergekit', settings: '`names: peft`, `rank` is its `--max-rank`' },
    { name: 'LoraSave', from: 'ComfyUI', settings: '`rank`; with its `bias_diff`, `vectors: true`' },
    {
      name: 'make LoRA',
      from: 'supermerger',
      settings: '`rank` is its dimension; with its `alpha` and `beta` other than 1, `model.scale` the models first',
    },
    ...named(COMMON, ['extract lora', 'lora from checkpoint']),
  ],
  details: [
    'For every weight with rows and columns, factors `up·down` of the given rank come as close to `model − base` as any can (truncated singular value decomposition); the roots of the singular values are in both, so that they can be stored in half precision. Convolutions are decomposed as matrices of their filters (LoCon), and parts of fused tensors each by themselves, where the format has a name for each.',
    '',
    'With the names of kohya, the header has the metadata and the hashes that web UIs read (`ss_*`, `sshs_*`). The adapter is an output like a model (`dtype: f16` halves it), and `adapter.apply` takes it. Its `alpha` is the rank, so strength 1 adds the difference. Applied in the recipe that makes it, its factors are not rounded to a dtype of 16 bits first; from its file they are. A tensor with rank 0 is left out, and so is one that the format has no name for, such as those of a VAE; the plan counts them, and warns of others than a VAE’s. Embeddings have no factors, and are left out. With the names of PEFT, layers that store their inputs as rows (Conv1D of GPT-2, told by their biases) get the factors that PEFT has for them, and its config says `fan_in_fan_out`.',
    '',
    RANK_DETAILS,
    '',
    'The strongest directions are found by a randomised range finder in float64 whose random numbers are always the same: about `24·rows·columns·(rank + 10)` operations; where the rank is more than a fifth of what is possible, all directions are found first. The error is within 1 % of the least that is possible for the rank.',
  ].join('\n'),
  source:
    'Halko, Martinsson and Tropp 2011, “Finding Structure with Randomness”, arXiv 0909.4061; the extraction scripts of kohya, LyCORIS and mergekit',
  output: 'adapter',
  inputs: {
    model: model('The model whose difference is extracted.'),
    base: model('What it was trained from.'),
  },
  params: {
    rank: perLayer({
      default: DEFAULT_RANK,
      min: 0,
      description: 'The rank of each module, a whole number; 0 leaves the module out.',
    }),
    ...RANK_PARAMS,
    names: choice(NAME_FORMATS, 'kohya', 'How modules are named.'),
    vectors: flag(
      false,
      'Also takes the differences of biases and norms, which have no rank, as they are (`diff`, `diff_b`). Only with the names of kohya.',
    ),
  },
  merges: true,
  masksItself: true,
  space: 'delta',
  exact: true,
  draws: false,
  examples: [
    {
      title: 'a difference of rank 1, which the adapter adds to `base` again',
      inputs: {
        model: [
          [5, 1],
          [1, 9],
        ],
        base: [
          [1, 1],
          [1, 9],
        ],
      },
      params: { rank: 1 },
      expect: [5, 1, 1, 9],
    },
  ],
  build: (g, { model: x, base }, _, { mask }) => {
    const delta = g.sub(x, base)
    return mask === undefined ? delta : g.choose(mask, delta, 0)
  },
})

/** Tensors that no adapter is for, and whose loss goes without saying. */
const NEVER_NAMED = /^(?:first_stage_model|vae|model_ema)[._]/

/** Why tensors have no place in the adapter, as the plan counts them. */
const NAMELESS = 'no name'

/** What numbers of a difference are stored in: as the model's, unless that has too few digits or no use for them. */
const dtypeOf = (stored: Dtype): Dtype =>
  stored === 'F16' || stored === 'BF16' ? stored : stored.startsWith('F8') ? 'F16' : 'F32'

/** One module of the adapter: its tensors, and what is known of its factors where it has some. */
interface Module {
  readonly tensors: readonly MadeTensor[]
  readonly factors: ScaledModule | undefined
}

/** Factors of some rows of a difference. */
const factorsFor = (
  g: Graph,
  { name: tensor, shape, dtype: stored }: Slot,
  delta: () => Tensor,
  { module, rows, change }: SpeltModule,
  wanted: number,
  { format, choose, inputsFirst }: Pick<Extraction, 'format' | 'choose' | 'inputsFirst'>,
): Module | undefined => {
  const turned = (change === 'transposed') !== inputsFirst(tensor)
  const seen = turned ? shape.toReversed() : shape
  const [height, inner] = [rows?.count ?? seen[0]!, seen.slice(1)]
  const columns = sizeOf(inner)
  const dtype = dtypeOf(stored)
  const [first, most] = [rows?.first ?? 0, Math.min(wanted, height, columns)]
  const rank = choose(module, () => ({ x: delta(), shape, first, rows: turned ? shape[0]! : height, most }), most)
  if (rank === 0) return undefined
  const packed = (): Tensor =>
    g.solve(
      lowRankFactors,
      [{ x: delta(), shape }],
      [first, height, rank, ...(turned ? [1] : [])],
      [rank * (height + columns)],
    )
  const unpacked = (begin: number, own: readonly number[]): Tensor =>
    g.solve(elementsFrom, [{ x: packed(), shape: [rank * (height + columns)] }], [begin], own)
  const factor = (ending: string, own: readonly number[], tensorOf: () => Tensor): MadeTensor => ({
    slot: { name: module + ending, shape: own, dtype },
    tensor: tensorOf,
  })
  const [up, down] = FACTOR_ENDINGS[format]
  const kernel = inner.slice(1)
  const shapes = [
    [height, rank, ...kernel.map(() => 1)],
    [rank, ...inner],
  ] as const
  const upper = (): Tensor => {
    const x = unpacked(0, shapes[0])
    return change === 'halves-swapped' ? swapHalves(g, x, shapes[0]) : x
  }
  const tensors = [factor(up, shapes[0], upper), factor(down, shapes[1], () => unpacked(height * rank, shapes[1]))]
  const factors = { name: module, rank, scale: 1, inputsFirst: inputsFirst(tensor) }
  if (format !== 'kohya') return { tensors, factors }
  const alpha: MadeTensor = { slot: { name: alphaName(module), shape: [], dtype: 'F32' }, tensor: () => g.fill(rank) }
  return { tensors: [...tensors, alpha], factors }
}

/** The difference of a bias or a norm as it is. */
const vectorFor = (
  slot: Slot,
  delta: () => Tensor,
  spell: (tensor: string) => readonly SpeltModule[],
): Module | undefined => {
  const bias = /^(.+)\.bias$/.exec(slot.name)
  const [own] = bias === null ? spell(slot.name) : [...spell(`${bias[1]}.weight`), ...spell(slot.name)]
  if (own === undefined || own.rows !== undefined || own.change !== undefined) return undefined
  const name = own.module + (bias === null ? '.diff' : '.diff_b')
  return {
    tensors: [{ slot: { name, shape: slot.shape, dtype: dtypeOf(slot.dtype) }, tensor: delta }],
    factors: undefined,
  }
}

const metadataOf = (
  modules: readonly Module[],
  format: NameFormat,
  architecture: Architecture | undefined,
): ReadonlyMap<string, string> => {
  if (format !== 'kohya') return new Map()
  const ranks = new Set(modules.flatMap(({ factors }) => (factors === undefined ? [] : [factors.rank])))
  return kohyaMetadata({
    base: architecture?.id,
    modelspec: architecture?.modelspec,
    ranks,
    alphas: ranks,
    parents: [],
  })
}

/** What decides how a difference becomes modules. */
interface Extraction {
  readonly g: Graph
  readonly format: NameFormat
  readonly vectors: boolean
  readonly delta: ModelValue
  readonly spell: (tensor: string) => readonly SpeltModule[]
  readonly rankOf: (tensor: string) => number | undefined
  readonly choose: RankOf
  /** Tells weights whose factors the format has transposed. */
  readonly inputsFirst: (weight: string) => boolean
}

/** The modules of one tensor, or why it has none. */
const modulesOf = (extraction: Extraction, slot: Slot): readonly Module[] | string => {
  const { g, vectors, delta, spell, rankOf } = extraction
  const { name, shape } = slot
  const difference = (): Tensor => delta.tensor(name)
  if (shape.length < 2) {
    const own = vectors ? vectorFor(slot, difference, spell) : undefined
    return own === undefined ? (vectors ? NAMELESS : 'no rank') : [own]
  }
  if (LOOKED_UP.test(name)) return 'embeddings'
  const rank = Math.round(rankOf(name) ?? 0)
  if (rank === 0 || sizeOf(shape) === 0) return 'rank 0'
  const parts = spell(name)
  if (parts.length === 0) return NAMELESS
  const modules = parts.flatMap((part) => factorsFor(g, slot, difference, part, rank, extraction) ?? [])
  return modules.length === 0 ? 'rank 0' : modules
}

/** The difference of the models, and the tensors in which they are compared; of these the step is told by what it makes of them. */
const compare = (call: Call): Result<{ readonly delta: ModelValue; readonly compared: readonly string[] }> => {
  const compared: string[] = []
  const note: Call['note'] = (event) => (event.type === 'merged' ? void compared.push(event.tensor) : call.note(event))
  const built = differences.evaluate({ ...call, note })
  return built.type === 'failed' ? built : ok({ delta: built.value[0] as ModelValue, compared }, built.diagnostics)
}

const evaluate = (call: Call): Result<readonly Value[]> => {
  const { value: model, at } = modelsOf(call, 'model')[0]!
  const [format, vectors] = [(valueOf(call, 'names') ?? 'kohya') as NameFormat, valueOf(call, 'vectors') === true]
  if (vectors && format !== 'kohya') return failed(differencesUnnamed(call.at('vectors'), format))
  const given = call.params['rank']
  if (given?.type === 'value' && !Number.isInteger(given.value)) return failed(rankFraction(given.at, given.value))
  const ranks = given === undefined ? ok(() => DEFAULT_RANK) : call.numbers(given, model.tensors)
  if (ranks.type === 'failed') return ranks
  const choose = rankChooser(call)
  if (choose.type === 'failed') return choose
  const both = compare(call)
  if (both.type === 'failed') return both
  const architecture = call.architecture(model.tensors)
  const spell = spellModules(model.tensors, architecture, format)
  const extraction: Extraction = {
    g: call.graph,
    format,
    vectors,
    delta: both.value.delta,
    spell,
    rankOf: ranks.value,
    choose: choose.value,
    inputsFirst: format === 'peft' ? keepsInputsFirst(model.tensors) : () => false,
  }
  const [modules, nameless] = [[] as Module[], [] as string[]]
  for (const tensor of both.value.compared) {
    const own = modulesOf(extraction, model.tensors.get(tensor)!)
    if (typeof own !== 'string') append(modules, own)
    if (own === NAMELESS && !NEVER_NAMED.test(tensor)) nameless.push(tensor)
    call.note({ type: typeof own === 'string' ? `dropped (${own})` : 'merged', tensor })
  }
  if (modules.length === 0) return failed(nothingExtracted(at, model.label, format))
  const factors = modules.flatMap((m) => (m.factors === undefined ? [] : [m.factors]))
  const made = makeAdapter({
    label: labelOf(call),
    tensors: modules.flatMap((m) => m.tensors),
    alphas: new Map(format === 'kohya' ? factors.map(({ name, rank }) => [alphaName(name), rank]) : []),
    metadata: metadataOf(modules, format, architecture),
    modules: factors,
    peft: { base: modelsOf(call, 'base')[0]!.value.hub ?? null, task: taskOf(architecture) },
  })
  const warnings = nameless.length === 0 ? [] : [tensorsUnnamed(at, model.label, nameless, format)]
  return ok([made], [...ranks.diagnostics, ...both.diagnostics, ...warnings])
}

/** `model − base ≈ up·down`. */
export const extract: Operator = { ...differences, evaluate }
