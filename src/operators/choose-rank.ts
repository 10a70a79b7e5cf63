import { amountMissing, amountNoShare, amountUnused } from '../base/catalogue/adapter-outputs.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Tensor } from '../graph/expression.js'
import { chosenRank, RANK_METHODS, type RankMethod } from '../kernels/solvers/low-rank.js'
import { valueOf } from './call-arguments.js'
import type { Call } from './operator.js'
import { choice, number } from './params.js'

const METHODS = {
  rank: 'the given rank',
  energy: 'the least rank that keeps this share of the sum of squares, such as 0.9',
  quantile: 'the least rank whose singular values make up this share of the sum of all',
  ratio: 'directions that are stronger than this share of the strongest',
  threshold: 'directions whose singular value exceeds this number',
} as const satisfies Readonly<Record<RankMethod | 'rank', string>>

/** The params by which a step chooses the ranks of modules. */
export const RANK_PARAMS = {
  method: choice(
    METHODS,
    'rank',
    'How the rank of each module is chosen. With all but `rank`, its `rank` is the greatest that it may have.',
  ),
  amount: number({ min: 0, description: 'The share of the `method`, from 0 to 1, or the number of `threshold`.' }),
} as const

/** What a document says of the methods. */
export const RANK_DETAILS =
  'With a `method` the ranks depend on the numbers: a build first measures the singular values of every module, and then plans what it writes. Modules of which nothing is kept are left out. A build of the same inputs measures nothing again.'

/** Some rows of a matrix that gets factors. */
export interface Candidate {
  readonly x: Tensor
  readonly shape: readonly number[]
  readonly first: number
  readonly rows: number
  /** The greatest rank that it may have. */
  readonly most: number
}

/** The rank of a module of a step; the greatest as long as its numbers are not measured. */
export type RankOf = (module: string, candidate: () => Candidate, most: number) => number

/** How a step chooses ranks, as its params say. */
export const rankChooser = (call: Call): Result<RankOf> => {
  const method = (valueOf(call, 'method') ?? 'rank') as RankMethod | 'rank'
  const amount = valueOf(call, 'amount') as number | undefined
  if (method === 'rank')
    return amount === undefined ? ok((_, __, most) => most) : failed(amountUnused(call.at('amount'), METHOD_NAMES))
  if (amount === undefined) return failed(amountMissing(call.at('method'), method))
  if (method !== 'threshold' && amount > 1) return failed(amountNoShare(call.at('amount'), method, amount))
  const { graph: g } = call
  return ok((module, candidate, limit) => {
    const { x, shape, first, rows, most } = candidate()
    const settings = [first, rows, most, RANK_METHODS.indexOf(method), amount]
    const rank = g.sum(g.solve(chosenRank, [{ x, shape }], settings, [1]))
    const found = call.find(module, { tensor: module, size: 1, scalars: { rank } })?.['rank']
    // What is not a number is told when it is to be written.
    return found === undefined || !Number.isFinite(found) ? limit : Math.min(limit, found)
  })
}

const METHOD_NAMES: readonly string[] = RANK_METHODS
