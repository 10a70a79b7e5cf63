// `npm run bench -- --methods`: every operator that merges or masks, beside its floor and the peer that has it too.
import { readTable } from './checkpoint.mjs'
import { measureOn } from './merges.mjs'
import { MERGEKIT, RANDOM, SD_MECHA } from './parity/cases.mjs'
import { mechaPeer, mergekitPeer } from './peers.mjs'
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

/** What no other tool that is measured here has. */
const OWN = [
  {
    here: '`merge.train_difference`',
    target: LINEAR,
    steps: merged('merge.train_difference', { a: 'a', b: 'b', c: 'base' }),
  },
  {
    here: '`merge.multiply_difference`',
    target: LINEAR,
    steps: merged('merge.multiply_difference', { a: 'a', b: 'b', c: 'base' }),
  },
  {
    here: '`merge.similarity_add_difference`',
    target: LINEAR,
    steps: merged('merge.similarity_add_difference', { a: 'a', b: 'b', c: 'base' }),
  },
  {
    here: '`merge.top_k_sum`, a solver',
    target: undefined,
    steps: merged('merge.top_k_sum', { a: 'a', b: 'b', width: 0.3 }),
  },
  {
    here: '`merge.dare`',
    target: LINEAR,
    steps: merged('merge.dare', { a: 'base', b: 'a', drop: 0.9, rescale: true, keep: 0 }),
  },
  {
    here: '`merge.model_stock`, `over: row`',
    target: LINEAR,
    steps: merged('merge.model_stock', { base: 'base', models: FINE_TUNES, over: 'row' }),
  },
  {
    here: '`merge.crossover`, a solver',
    steps: merged('merge.crossover', { a: 'a', b: 'b', tilt: 0.3 }),
    target: undefined,
  },
  {
    here: '`merge.fisher`',
    target: LINEAR,
    steps: merged('merge.fisher', {
      models: [
        { model: 'a', statistics: 'a_fisher' },
        { model: 'b', statistics: 'b_fisher' },
      ],
    }),
  },
  {
    here: '`merge.regmean` of the self-attentions’ q, k and v, a solver',
    target: undefined,
    steps: merged('merge.regmean', {
      models: [
        { model: 'a', statistics: 'a_gram' },
        { model: 'b', statistics: 'b_gram' },
      ],
    }),
  },
  {
    here: '`merge.rotate` of the self-attentions, a solver',
    target: undefined,
    steps: merged('merge.rotate', { a: 'a', b: 'b', layers: '**.attn1' }),
  },
  {
    here: '`merge.tsv` of the self-attentions, a solver',
    target: undefined,
    steps: merged('merge.tsv', { base: 'base', models: FINE_TUNES, layers: '**.attn1' }),
  },
  {
    here: '`merge.isotropic` of the self-attentions, a solver',
    target: undefined,
    steps: merged('merge.isotropic', { base: 'base', models: FINE_TUNES, layers: '**.attn1' }),
  },
  { here: '`merge.emr`', target: LINEAR, steps: merged('merge.emr', { base: 'base', models: FINE_TUNES }) },
  {
    here: '`merge.pcb`, `scope: tensor`',
    target: ORDERED,
    steps: merged('merge.pcb', { base: 'base', models: FINE_TUNES, scope: 'tensor' }),
  },
  {
    here: '`mask.magnitude`',
    target: ORDERED,
    steps: masked('mask.magnitude', { model: 'a', base: 'base', select: 'above', quantile: 0.8 }),
  },
  {
    here: '`mask.sign_agreement`',
    target: LINEAR,
    steps: masked('mask.sign_agreement', { models: ['a', 'b'], base: 'base' }),
  },
  { here: '`mask.tall`', target: LINEAR, steps: masked('mask.tall', { model: 'a', base: 'base', merged: 'b' }) },
]

/** Which methods of the other tools need order statistics, or ranks within rows. */
const isOrdered = (steps) => /"(density|gamma|epsilon)":|arcee_fusion/.test(JSON.stringify(steps))

const INPUTS = ['base', ...FINE_TUNES, 'a_fisher', 'b_fisher', 'a_gram', 'b_gram']
/** The inputs that steps read. */
const readsOf = (steps) => INPUTS.filter((name) => JSON.stringify(steps).includes(`"${name}"`))

const write = (steps) => (folder) =>
  JSON.stringify({
    smelt: 1,
    seed: 42,
    models: Object.fromEntries(readsOf(steps).map((name) => [name, `${folder}/${name}.safetensors`])),
    steps,
    outputs: { merged: { from: 'result', path: OUT, dtype: 'same' } },
  })

const methodOf = ({ name, here, steps, config, expression, ...rest }) => ({
  name: name ?? here.split('`')[1],
  title: here,
  reads: readsOf(steps),
  target: 'target' in rest ? rest.target : isOrdered(steps) ? ORDERED : LINEAR,
  write: write(steps),
  peers: () => [
    ...(config === undefined ? [] : [mergekitPeer(config)]),
    ...(expression === undefined ? [] : [mechaPeer(expression, readsOf(steps))]),
  ],
})

/** Random methods of the tools that are measured, each once. */
const DRAWN = RANDOM.filter(({ tool, name }) => tool !== 'MergeLM' && !name.includes(','))

/** Every method, as a merge that is measured. */
export const METHODS = [...MERGEKIT, ...DRAWN, ...SD_MECHA, ...OWN].map(methodOf)

/** The table of the models that methods are measured on. */
export const methodTable = (small) => readTable('sd15', { shrink: small }).filter(([name]) => PART.test(name))

/** Seconds after which a program has shown what a method takes. */
const PATIENCE = 60

/** Measures the methods; a row for every program of every method. */
export const measureMethods = ({ small, only, ...options }) =>
  measureOn(
    methodTable(small),
    METHODS.filter(({ name }) => only === undefined || only === name),
    { ...options, patience: PATIENCE },
  )
