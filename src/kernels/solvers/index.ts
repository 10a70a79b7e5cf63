import type { Solver } from '../../graph/expression.js'
import { blockRotation } from './block-rotation.js'
import { coreSpace } from './core-space.js'
import { redistribution } from './redistribution.js'
import { regmean } from './regmean.js'
import { expertProducts, stackedExperts } from './expert-products.js'
import { importance } from './importance.js'
import { inputRotation } from './input-rotation.js'
import { crossover } from './crossover.js'
import { kroneckerApproximation } from './kronecker.js'
import { promptGates } from './prompt-gates.js'
import {
  channelProduct,
  chosenRank,
  elementsFrom,
  factorProduct,
  joinedFactors,
  lowRankApproximation,
  lowRankFactors,
  lowRankProduct,
  stackedFactors,
} from './low-rank.js'
import { joinedRows, padding } from './padding.js'
import { ranks } from './ranks.js'
import { rotation } from './rotation.js'
import { isotropic, taskSingularVectors } from './subspaces.js'

/** Every solver, each once. */
const SOLVERS: readonly Solver[] = [
  blockRotation,
  channelProduct,
  chosenRank,
  coreSpace,
  crossover,
  elementsFrom,
  expertProducts,
  factorProduct,
  importance,
  inputRotation,
  isotropic,
  joinedFactors,
  kroneckerApproximation,
  joinedRows,
  lowRankApproximation,
  lowRankFactors,
  lowRankProduct,
  padding,
  promptGates,
  ranks,
  redistribution,
  regmean,
  rotation,
  stackedExperts,
  stackedFactors,
  taskSingularVectors,
]

/** The solver of a name, for workers. */
export const findSolver = (name: string): Solver => {
  const found = SOLVERS.find((s) => s.name === name)
  if (found === undefined) throw new Error(`no solver is called ${name}`)
  return found
}
