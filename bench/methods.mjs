// `npm run bench -- --methods`: every operator that merges or masks, beside its floor and the peer that has it too.
import { inputBytes, readTable } from './checkpoint.mjs'
import { measureOn } from './merges.mjs'
import { MERGEKIT, RANDOM, SD_MECHA } from './parity/cases.mjs'
import { OPERATIONS, readingsOf } from './costs.mjs'
import { formulaPeer, mechaPeer, mergekitPeer } from './peers.mjs'
import { OUT } from './recipes.mjs'

/** The input and middle blocks of SD1.5's U-Net: a third of a checkpoint, since there are many methods. */
const PART = /^model\.diffusion_model\.(time_embed|input_blocks|middle_block)\./

/** Of linear methods and those whose iterations happen in coefficients, and of those that need order statistics. */
const [LINEAR, ORDERED] = [3, 7]

const FINE_TUNES = ['a', 'b', 'c']
const merged = (op, rest) => ({ result: { op, ...rest } })
/** A mask is seen by what it lets through. */
const masked = (op, rest) => ({
  mask: { op, ...rest },
  result: { op: 'merge.blend', a: 'base', b: 'a', keep: 0, mask: 'mask' },
})

/** Its solver works on the self-attentions alone. */
const ATTENTION = { layers: '**.attn1' }
/** An expression of sd-mecha's functions for the self-attentions; other tensors stay those of `a`. */
const onAttention = (expression) => `${expression} if '.attn1.' in key and a.dim() == 2 else a`

/** What the other tools have in other words, or not at all; `formula` is one of `peers/formulas.py`. */
const OWN = [
  {
    here: '`merge.multiply_difference`',
    formula: 'multiply_difference',
    steps: merged('merge.multiply_difference', { a: 'a', b: 'b', c: 'base' }),
  },
  {
    here: '`merge.similarity_add_difference`',
    formula: 'similarity_add_difference',
    steps: merged('merge.similarity_add_difference', { a: 'a', b: 'b', c: 'base' }),
  },
  { here: '`merge.dare`', steps: merged('merge.dare', { a: 'base', b: 'a', drop: 0.9, rescale: true, keep: 0 }) },
  {
    here: '`merge.nuslerp`, `over: column`',
    steps: merged('merge.nuslerp', { base: 'base', models: ['a', 'b'], over: 'column' }),
  },
  {
    here: '`merge.fisher`',
    formula: 'fisher',
    steps: merged('merge.fisher', {
      models: [
        { model: 'a', statistics: 'a_fisher' },
        { model: 'b', statistics: 'b_fisher' },
      ],
    }),
  },
  {
    here: '`merge.regmean` of the self-attentions’ q, k and v',
    operations: OPERATIONS.regmean,
    formula: 'regmean',
    steps: merged('merge.regmean', {
      models: [
        { model: 'a', statistics: 'a_gram' },
        { model: 'b', statistics: 'b_gram' },
      ],
    }),
  },
  {
    here: '`merge.rotate` of the self-attentions',
    operations: OPERATIONS.rotate,
    expression: onAttention('m.rotate(a, b, 1.0, 0.0)'),
    steps: merged('merge.rotate', { a: 'a', b: 'b', ...ATTENTION }),
  },
  {
    here: '`merge.tsv` of the self-attentions',
    operations: OPERATIONS.tsv,
    formula: 'tsv',
    steps: merged('merge.tsv', { base: 'base', models: FINE_TUNES, ...ATTENTION }),
  },
  {
    here: '`merge.isotropic` of the self-attentions',
    operations: OPERATIONS.isotropic,
    formula: 'isotropic',
    steps: merged('merge.isotropic', { base: 'base', models: FINE_TUNES, ...ATTENTION }),
  },
  { here: '`merge.emr`', formula: 'emr', steps: merged('merge.emr', { base: 'base', models: FINE_TUNES }) },
  {
    here: '`merge.pcb`, `scope: tensor`',
    steps: merged('merge.pcb', { base: 'base', models: FINE_TUNES, scope: 'tensor' }),
  },
  {
    here: '`mask.magnitude`',
    steps: masked('mask.magnitude', { model: 'a', base: 'base', select: 'above', quantile: 0.8 }),
  },
  {
    here: '`mask.sign_agreement`',
    steps: masked('mask.sign_agreement', { models: ['a', 'b'], base: 'base' }),
  },
  { here: '`mask.tall`', formula: 'tall', steps: masked('mask.tall', { model: 'a', base: 'base', merged: 'b' }) },
]

/** What is measured in other rows: of rotations, other tools do only some tensors; low ranks are a row of the adapters. */
const ELSEWHERE = ['rotate', 'rotate, halfway', 'truncate_rank', 'truncate_kronecker']
/** Methods that take whole tensors at once, without a count of operations: they sort or transform. */
const WHOLE = ['crossover', 'top_k_tensor_sum']
const isWhole = ({ name, operations }) => operations !== undefined || WHOLE.includes(name)

/** Methods that need order statistics: thresholds or ranks. */
const isOrdered = (steps) =>
  Object.values(steps).some(({ op }) =>
    /^merge\.(ties|breadcrumbs|sce|della|arcee_fusion|pcb)|^mask\.magnitude/.test(op),
  )

const INPUTS = ['base', ...FINE_TUNES, 'a_fisher', 'b_fisher', 'a_gram', 'b_gram']
/** Every text that is a value somewhere. */
const textsIn = (value) => (typeof value === 'object' ? Object.values(value).flatMap(textsIn) : [value])
/** The inputs that steps read. */
const readsOf = (steps) => INPUTS.filter((name) => textsIn(steps).includes(name))

const placed = (names, folder) => Object.fromEntries(names.map((name) => [name, `${folder}/${name}.safetensors`]))

const write = (steps) => (folder) =>
  JSON.stringify({
    smelt: 1,
    seed: 42,
    models: placed(readsOf(steps), folder),
    steps,
    outputs: { merged: { from: 'result', path: OUT, dtype: 'same' } },
  })

const methodOf = ({ name, here, steps, config, expression, formula, operations }) => ({
  name: name ?? here.split('`')[1],
  title: here,
  reads: readsOf(steps),
  readings: readingsOf(steps),
  operations,
  target: isWhole({ name, operations }) ? undefined : isOrdered(steps) ? ORDERED : LINEAR,
  write: write(steps),
  peers: () => [
    ...(config === undefined ? [] : [mergekitPeer(config)]),
    // What another tool leaves out is copied, so that it writes as much.
    ...(expression === undefined ? [] : [mechaPeer(expression.replace(/ else None$/, ' else a'), readsOf(steps))]),
    ...(formula === undefined ? [] : [formulaPeer(formula)]),
  ],
})

const LORAS = ['lora', 'lora32']

/** LoRAs merged in the space that they share: what is written is a LoRA, too. */
const CORE_SPACE = {
  name: 'adapter.core_space',
  title: '`adapter.core_space` of LoRAs of ranks 16 and 32',
  reads: LORAS,
  readings: 1,
  bytes: (table) => inputBytes(table, 'lora'),
  write: (folder) =>
    JSON.stringify({
      smelt: 1,
      adapters: placed(LORAS, folder),
      steps: { result: { op: 'adapter.core_space', adapters: LORAS } },
      outputs: { merged: { from: 'result', path: OUT, dtype: 'same' } },
    }),
  peers: () => [],
}

/** Random methods of the tools that are measured, each once. */
const DRAWN = RANDOM.filter(({ tool, name }) => tool !== 'MergeLM' && !name.includes(','))

/** Every method, as a merge that is measured; first those that take seconds, then those that take minutes. */
export const METHODS = [
  ...[...MERGEKIT, ...DRAWN, ...SD_MECHA.filter(({ name }) => !ELSEWHERE.includes(name)), ...OWN].map(methodOf),
  CORE_SPACE,
].sort((one, other) => Number(isWhole(one)) - Number(isWhole(other)))

/** The table of the models that methods are measured on. */
export const methodTable = (small) => readTable('sd15', { shrink: small }).filter(([name]) => PART.test(name))

/** Seconds after which a program has shown what a method takes. */
const PATIENCE = 60

/** Measures the methods; a row for every program of every method. */
export const measureMethods = ({ small, only, ...options }) =>
  measureOn(
    methodTable(small),
    METHODS.filter(({ name }) => only === undefined || only.split(';').includes(name)),
    { ...options, patience: PATIENCE },
  )
