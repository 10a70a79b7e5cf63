import { apply } from './adapter/apply.js'
import { convert } from './adapter/convert.js'
import { coreSpaceMerge } from './adapter/core-space.js'
import { extract } from './adapter/extract.js'
import { mergeAdapters, resize } from './adapter/merge.js'
import type { Operator } from './operator.js'
import { algebra } from './mask/algebra.js'
import { atLeast } from './mask/at-least.js'
import { compare } from './mask/compare.js'
import { edit } from './mask/edit.js'
import { emrMasks } from './mask/emr.js'
import { fill } from './mask/fill.js'
import { layers } from './mask/layers.js'
import { load } from './mask/load.js'
import { magnitude } from './mask/magnitude.js'
import { partition } from './mask/partition.js'
import { signAgreement } from './mask/sign-agreement.js'
import { tall } from './mask/tall.js'
import { addDifference } from './merge/add-difference.js'
import { arceeFusion } from './merge/arcee-fusion.js'
import { blend } from './merge/blend.js'
import { clamp } from './merge/clamp.js'
import { cosines } from './merge/cosine.js'
import { crossover } from './merge/crossover.js'
import { dare } from './merge/dare.js'
import { emr } from './merge/emr.js'
import { family } from './merge/family.js'
import { fisher } from './merge/fisher.js'
import { geometricMedian } from './merge/geometric-median.js'
import { karcher } from './merge/karcher.js'
import { linear } from './merge/linear.js'
import { modelStock } from './merge/model-stock.js'
import { nearswap } from './merge/nearswap.js'
import { nuslerp } from './merge/nuslerp.js'
import { passthrough } from './merge/passthrough.js'
import { pcb } from './merge/pcb.js'
import { perpendicular } from './merge/perpendicular.js'
import { ram } from './merge/ram.js'
import { regmean } from './merge/regmean.js'
import { rotate } from './merge/rotate.js'
import { sce } from './merge/sce.js'
import { isotropic, tsv } from './merge/singular-vectors.js'
import { slerpMany } from './merge/slerp-many.js'
import { tensorSum } from './merge/tensor-sum.js'
import { topKSum } from './merge/top-k-sum.js'
import { trainDifference } from './merge/train-difference.js'
import { multiplyDifference } from './merge/multiply-difference.js'
import { multiplyQuotient } from './merge/multiply-quotient.js'
import { similarityAddDifference } from './merge/similarity-add-difference.js'
import { add } from './model/add.js'
import { adjust } from './model/adjust.js'
import { cast } from './model/cast.js'
import { combine } from './model/combine.js'
import { moe } from './model/moe.js'
import { noise } from './model/noise.js'
import { normalize } from './model/normalize.js'
import { prune } from './model/prune.js'
import { rename } from './model/rename.js'
import { renumber } from './model/renumber.js'
import { scale } from './model/scale.js'
import { select } from './model/select.js'
import { stack } from './model/stack.js'
import { subtract } from './model/subtract.js'
import { truncateKronecker } from './model/truncate-kronecker.js'
import { truncateRank } from './model/truncate-rank.js'
import { adapter as reportAdapter } from './report/adapter.js'
import { diff } from './report/diff.js'
import { emrScales } from './report/emr.js'
import { mask as reportMask } from './report/mask.js'
import { model as reportModel } from './report/model.js'
import { weights as reportWeights } from './report/weights.js'
import { attention } from './weights/attention.js'
import { block } from './weights/block.js'
import { combine as combineWeights } from './weights/combine.js'
import { edit as editWeights } from './weights/edit.js'
import { gradient } from './weights/gradient.js'
import { mbw } from './weights/mbw.js'
import { rules } from './weights/rules.js'
import { shell } from './weights/shell.js'

/** Every operator, sorted by id. */
export const operators: readonly Operator[] = [
  apply,
  convert,
  coreSpaceMerge,
  extract,
  mergeAdapters,
  resize,
  ...algebra,
  atLeast,
  compare,
  edit,
  emrMasks,
  fill,
  layers,
  load,
  magnitude,
  partition,
  signAgreement,
  tall,
  addDifference,
  arceeFusion,
  blend,
  clamp,
  ...cosines,
  crossover,
  dare,
  emr,
  ...family,
  fisher,
  geometricMedian,
  isotropic,
  karcher,
  linear,
  modelStock,
  nearswap,
  nuslerp,
  passthrough,
  pcb,
  perpendicular,
  ram,
  regmean,
  rotate,
  sce,
  slerpMany,
  tensorSum,
  topKSum,
  trainDifference,
  tsv,
  multiplyDifference,
  multiplyQuotient,
  similarityAddDifference,
  add,
  adjust,
  cast,
  combine,
  moe,
  noise,
  normalize,
  prune,
  rename,
  renumber,
  scale,
  select,
  stack,
  subtract,
  truncateKronecker,
  truncateRank,
  reportAdapter,
  diff,
  emrScales,
  reportMask,
  reportModel,
  reportWeights,
  attention,
  block,
  combineWeights,
  editWeights,
  gradient,
  mbw,
  rules,
  shell,
].sort((x, y) => (x.id < y.id ? -1 : 1))

const byId = new Map(operators.map((operator) => [operator.id, operator]))

/** The operator of an id such as `merge.ties`; undefined when there is none. */
export const findOperator = (id: string): Operator | undefined => byId.get(id)
