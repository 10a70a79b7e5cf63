import type { Example } from './definition.js'
import type { Rescale, Sparsify } from './family-params.js'

/**
 * How members of the family differ: what is dropped of each difference, whether signs are elected, and the defaults of
 * their papers.
 */
export interface Member {
  readonly id: string
  readonly summary: string
  readonly details: string
  readonly source: string
  readonly sparsify: Sparsify
  readonly consensus: boolean
  readonly normalize: boolean
  readonly rescale: Rescale
  readonly examples: readonly Example[]
}

const DARE = 'Yu et al. 2023, “Language Models are Super Mario” (DARE), arXiv 2311.03099'
const TIES = 'Yadav et al. 2023, “TIES-Merging”, arXiv 2306.01708'

const BREADCRUMBS = 'Davari and Belilovsky 2023, “Model Breadcrumbs”, arXiv 2312.06795'
const OUTLIERS =
  'Keeps `⌊density·n⌋` numbers of each difference: those below the `⌊gamma·n⌋` largest and above the rest, which are the smallest. Where `density + gamma` exceeds 1, fewer of the largest are dropped.'

/** The members of the family: one table, read by one builder. */
export const MEMBERS: readonly Member[] = [
  {
    id: 'merge.task_arithmetic',
    summary: 'Adds what several models learned beyond a common base.',
    details: 'The differences are added as they are: “task vectors”.',
    source: 'Ilharco et al. 2022, “Editing Models with Task Arithmetic”, arXiv 2212.04089',
    sparsify: 'none',
    consensus: false,
    normalize: false,
    rescale: 'off',
    examples: [
      {
        inputs: {
          base: [1, 1],
          models: [
            { model: [2, 1], weight: 1 },
            { model: [1, 3], weight: 0.5 },
          ],
        },
        expect: [2, 2],
      },
    ],
  },
  {
    id: 'merge.ties',
    summary: 'Adds the largest differences of several models where their signs agree.',
    details:
      'Trims every difference to the `density` share of its largest numbers (exactly `⌊density·n⌋`, unless `equal` says otherwise), elects a sign for each parameter, and averages what agrees.',
    source: TIES,
    sparsify: 'magnitude',
    consensus: true,
    normalize: true,
    rescale: 'off',
    examples: [
      {
        inputs: {
          base: [0, 0, 0, 0],
          models: [
            { model: [4, 1, -3, 2], density: 0.5 },
            { model: [2, 5, 6, 1], density: 0.5 },
          ],
        },
        expect: [4, 5, 6, 0],
      },
      {
        title: 'trimmed over the whole model',
        inputs: { base: [0, 0], models: [{ model: [4, 1], density: 0.5 }] },
        params: { scope: 'model' },
        expect: [4, 0],
      },
      {
        title: 'signs elected by number, and nothing added where as many go up as down',
        inputs: {
          base: [0, 0],
          models: [
            { model: [5, 2], density: 1 },
            { model: [-1, -1], density: 1 },
            { model: [-2, 0], density: 1 },
          ],
        },
        params: { elect: 'count', undecided: 'none' },
        expect: [-1.5, 0],
      },
      {
        title: 'all of equal numbers kept',
        inputs: { base: [0, 0, 0, 0], models: [{ model: [1, 3, -1, 0], density: 0.5 }] },
        params: { equal: 'all' },
        expect: [1, 3, -1, 0],
      },
    ],
  },
  {
    id: 'merge.dare_linear',
    summary: 'Adds random parts of several models’ differences, scaled up.',
    details:
      'Drops each number of a difference with probability `1 − density` and, with `rescale: density`, divides the rest by `density`, so that the expected sum stays.',
    source: DARE,
    sparsify: 'random',
    consensus: false,
    normalize: false,
    rescale: 'density',
    examples: [
      { inputs: { base: [1, 1], models: [{ model: [2, 3], density: 0.5, kept: [true, false] }] }, expect: [3, 1] },
      {
        title: 'averaged over the models that keep a parameter',
        inputs: {
          base: [0, 0, 0],
          models: [
            { model: [1, 2, 3], density: 0.5, kept: [true, true, false] },
            { model: [3, 4, 5], density: 0.5, kept: [true, false, false] },
          ],
        },
        params: { normalize: 'kept' },
        expect: [4, 4, 0],
      },
      {
        title: 'divided by a number of its own, as DAREx does',
        inputs: { base: [1, 1], models: [{ model: [2, 3], density: 0.5, q: 0.8, kept: [true, false] }] },
        params: { rescale: 'q' },
        expect: [2.25, 1],
      },
    ],
  },
  {
    id: 'merge.dare_ties',
    summary: 'Like `merge.dare_linear`, with an elected sign for each parameter.',
    details:
      'Drops at random as DARE does, then elects signs as TIES does. (`merge.dare` is the two-model operator of the ComfyUI node pack, with its rules.)',
    source: `${DARE}; ${TIES}`,
    sparsify: 'random',
    consensus: true,
    normalize: false,
    rescale: 'density',
    examples: [
      {
        inputs: {
          base: [0, 0, 0],
          models: [
            { model: [1, 1, 1], density: 0.5, kept: [true, true, false] },
            { model: [2, -3, 4], density: 1 },
          ],
        },
        expect: [4, -3, 4],
      },
    ],
  },
  {
    id: 'merge.breadcrumbs',
    summary: 'Adds what several models learned, without the largest and the smallest differences.',
    details: OUTLIERS,
    source: BREADCRUMBS,
    sparsify: 'outliers',
    consensus: false,
    normalize: false,
    rescale: 'off',
    examples: [
      {
        inputs: { base: [0, 0, 0, 0], models: [{ model: [9, 2, -3, 1], density: 0.5, gamma: 0.25 }] },
        expect: [0, 2, -3, 0],
      },
    ],
  },
  {
    id: 'merge.breadcrumbs_ties',
    summary: 'Like `merge.breadcrumbs`, with an elected sign for each parameter.',
    details: OUTLIERS,
    source: `${BREADCRUMBS}; ${TIES}`,
    sparsify: 'outliers',
    consensus: true,
    normalize: false,
    rescale: 'off',
    examples: [
      {
        inputs: {
          base: [0, 0, 0, 0],
          models: [
            { model: [9, 2, -3, 1], density: 0.5, gamma: 0.25 },
            { model: [1, 1, 1, 1], density: 1 },
          ],
        },
        expect: [1, 3, -3, 1],
      },
    ],
  },
]
