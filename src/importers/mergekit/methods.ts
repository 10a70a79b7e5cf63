/** A parameter of a method: mergekit's name, its default, and what it is here. */
export interface Parameter {
  readonly key: string
  /** The key of smelt; the same unless given. */
  readonly as?: string
  /** Undefined where mergekit needs one. */
  readonly fallback?: number | boolean
  /** True for a parameter that smelt takes by layer. */
  readonly perLayer?: boolean
  /** What is written for a value; undefined for nothing. */
  readonly write?: (value: number | boolean) => string | number | boolean | undefined
  /** True where the value is said only if it is not this. */
  readonly unless?: number | boolean
}

/** How a method of mergekit is said in smelt. */
export interface Method {
  readonly op: string
  /** What the models are: those that differ from a base, a list, or two of which one is the base. */
  readonly shape: 'deltas' | 'list' | 'pair' | 'one'
  /** True where a base is needed; for lists, undefined where there is none. */
  readonly base?: 'needed' | 'optional'
  /** How many models besides the base; any number unless given. */
  readonly count?: number
  /** Parameters of each model. */
  readonly each: readonly Parameter[]
  /** Parameters of the step. */
  readonly all: readonly Parameter[]
  /** Keys that mean the same whatever the config says. */
  readonly fixed?: readonly (readonly [string, string])[]
  /** True where random numbers are drawn. */
  readonly draws?: boolean
  /** What mergekit does otherwise; of `equalSizes`, where a density is below 1. */
  readonly differs?: readonly ('equalSizes' | 'keepsOne' | 'zeroedTensors' | 'zeroVectors' | 'sampled' | 'stopsEarly')[]
}

const WEIGHT: Parameter = { key: 'weight', perLayer: true }
const DENSITY: Parameter = { key: 'density', fallback: 1, perLayer: true }
const GAMMA: Parameter = { key: 'gamma', fallback: 0.01, perLayer: true }
const EPSILON: Parameter = { key: 'epsilon', fallback: 0.15, perLayer: true }
const LAMBDA: Parameter = { key: 'lambda', fallback: 1, perLayer: true, unless: 1 }

const isTrue = (value: number | boolean): boolean => value === true || value === 1

const normalize = (fallback: boolean): Parameter => ({ key: 'normalize', fallback, write: isTrue })
const rescale = (fallback: boolean): Parameter => ({
  key: 'rescale',
  fallback,
  write: (value) => (isTrue(value) ? 'l1' : 'off'),
})
/** Said only where the config sets it, for methods that rescale nothing by themselves. */
const rescaleIfSet: Parameter = { ...rescale(false), write: (value) => (isTrue(value) ? 'l1' : undefined) }

const deltas = (op: string, each: readonly Parameter[], all: readonly Parameter[], draws = false): Method => ({
  op,
  shape: 'deltas',
  base: 'needed',
  each: [WEIGHT, ...each],
  all: [...all, LAMBDA],
  draws,
})

/** Methods of mergekit 0.1, with its defaults where smelt has others. */
export const METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['linear', { op: 'merge.linear', shape: 'list', each: [WEIGHT], all: [{ ...normalize(true), unless: true }] }],
  [
    'slerp',
    {
      op: 'merge.blend',
      shape: 'pair',
      base: 'needed',
      count: 1,
      each: [],
      all: [],
      fixed: [
        ['method', 'slerp'],
        ['vectors', 'slerp'],
      ],
      differs: ['zeroVectors'],
    },
  ],
  ['task_arithmetic', deltas('merge.task_arithmetic', [], [{ ...normalize(false), unless: false }])],
  [
    'ties',
    { ...deltas('merge.ties', [DENSITY], [normalize(true), rescaleIfSet]), differs: ['equalSizes', 'keepsOne'] },
  ],
  ['dare_ties', deltas('merge.dare_ties', [DENSITY], [normalize(false), rescale(true)], true)],
  ['dare_linear', deltas('merge.dare_linear', [DENSITY], [normalize(false), rescale(true)], true)],
  [
    'breadcrumbs',
    {
      ...deltas('merge.breadcrumbs', [DENSITY, GAMMA], [normalize(false), rescaleIfSet]),
      differs: ['equalSizes', 'zeroedTensors'],
    },
  ],
  [
    'breadcrumbs_ties',
    {
      ...deltas('merge.breadcrumbs_ties', [DENSITY, GAMMA], [normalize(false), rescaleIfSet]),
      differs: ['equalSizes', 'zeroedTensors'],
    },
  ],
  ['della', deltas('merge.della', [DENSITY, EPSILON], [normalize(true), rescale(true)], true)],
  ['della_linear', deltas('merge.della_linear', [DENSITY, EPSILON], [normalize(false), rescale(true)], true)],
  [
    'model_stock',
    {
      op: 'merge.model_stock',
      shape: 'deltas',
      base: 'needed',
      each: [],
      all: [{ key: 'filter_wise', as: 'over', fallback: false, write: (v) => (isTrue(v) ? 'row' : undefined) }],
      fixed: [['cancelling', 'base']],
    },
  ],
  [
    'nuslerp',
    {
      op: 'merge.nuslerp',
      shape: 'deltas',
      base: 'optional',
      count: 2,
      each: [WEIGHT],
      all: [],
      differs: ['zeroVectors'],
    },
  ],
  [
    'multislerp',
    {
      op: 'merge.slerp_many',
      shape: 'deltas',
      base: 'optional',
      each: [WEIGHT],
      all: [{ key: 'normalize_weights', as: 'normalize', fallback: true, write: isTrue, unless: true }],
    },
  ],
  [
    'karcher',
    {
      op: 'merge.karcher',
      shape: 'list',
      each: [],
      all: [{ key: 'max_iter', as: 'iterations', fallback: 10 }],
      differs: ['stopsEarly'],
    },
  ],
  [
    'nearswap',
    {
      op: 'merge.nearswap',
      shape: 'one',
      base: 'needed',
      count: 1,
      each: [],
      all: [{ key: 't', as: 'threshold', perLayer: true }],
    },
  ],
  [
    'arcee_fusion',
    { op: 'merge.arcee_fusion', shape: 'one', base: 'needed', count: 1, each: [], all: [], differs: ['sampled'] },
  ],
  [
    'sce',
    {
      op: 'merge.sce',
      shape: 'deltas',
      base: 'needed',
      each: [],
      all: [{ key: 'select_topk', as: 'density', fallback: 1, perLayer: true }],
    },
  ],
  ['ram', { op: 'merge.ram', shape: 'deltas', base: 'needed', each: [], all: [{ key: 'epsilon', fallback: 1e-5 }] }],
  [
    'ramplus_tl',
    {
      op: 'merge.ram',
      shape: 'deltas',
      base: 'needed',
      each: [],
      all: [
        { key: 'epsilon', fallback: 1e-5 },
        { key: 'r', as: 'rescale', fallback: 0.1 },
        { key: 'alpha', as: 'limit', fallback: 0.2 },
      ],
    },
  ],
  [
    'passthrough',
    {
      op: 'merge.passthrough',
      shape: 'one',
      count: 1,
      each: [{ key: 'scale', fallback: 1, perLayer: true, unless: 1 }],
      all: [],
    },
  ],
])

/** Parameters that change no number. */
export const WITHOUT_EFFECT = new Set(['int8_mask', 'tol', 'eps'])
