import { counterpartOf } from '../architectures/vocabulary.js'
import * as say from '../base/catalogue/vocabularies.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import type { ModelValue, Slot } from '../operators/value.js'
import { fibersOf } from '../tensor/block-grid.js'
import { isFloat } from '../tensor/dtype.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { toRowMap, type RowMap } from '../tensor/row-map.js'
import { chooseRows } from '../tensor/view.js'
import { isIdentity, type RowsOf } from '../tokenizers/align-rows.js'
import type { PlannedVocabulary, VocabularyModel } from './vocabulary.js'

/** The tensor of each model that has the rows of one tensor. */
type InfoOf = (model: string) => TensorInfo

/** A matrix, or a bias, with the rows of a vocabulary. */
const buildRows = (graph: Graph, vocabulary: PlannedVocabulary, model: string, infoOf: InfoOf): Tensor => {
  const { rows, size, alignments } = vocabulary
  const { own, others, means } = alignments.of.get(model)!
  /** The first `count` rows. */
  const build = (count: number): Tensor => {
    const cut = (map: RowMap): RowMap => (count === rows ? map : toRowMap(map.rows.slice(0, count)))
    const read = (of: RowsOf): Tensor => graph.read(chooseRows(infoOf(of.model), cut(of.map)))
    const sum = (parts: readonly Tensor[]): Tensor => parts.reduce((x, y) => graph.add(x, y))
    return sum([
      read({ model, map: own }),
      ...others.map(read),
      ...means.map((mean) => graph.div(sum(mean.parts.map(read)), mean.count)),
    ])
  }
  if (alignments.padFrom >= rows) return build(rows)
  // What pads is the mean of all rows of tokens.
  const [width, ...more] = infoOf(model).shape.slice(1)
  const shapeOf = (count: number): readonly number[] => (width === undefined ? [count] : [count, width, ...more])
  const totals = graph.sumBy(build(size), fibersOf(shapeOf(size)))
  const mean = graph.spread(graph.combine('div', totals, size), fibersOf(shapeOf(rows)))
  const row = graph.position(sizeOf(shapeOf(1)), rows)
  return graph.choose(graph.compare('greater-equal', row, alignments.padFrom), mean, build(rows))
}

/** What is wrong with the rows that a tensor of a model needs. */
const rowProblem = (
  vocabulary: PlannedVocabulary,
  own: VocabularyModel,
  slot: Slot,
  name: string,
): Diagnostic | undefined => {
  if (slot.scaled !== undefined || slot.opaque !== undefined || !isFloat(slot.dtype))
    return say.rowsPacked(own.at, own.name, name)
  const { others, means } = vocabulary.alignments.of.get(own.name)!
  const needed = new Set([...others, ...means.flatMap(({ parts }) => parts)].map(({ model }) => model))
  const width = slot.shape.slice(1).join(', ')
  for (const other of needed) {
    const { found, tensors } = vocabulary.models.get(other)!
    const info = tensors.get(counterpartOf(own.found, found, name) ?? '')
    if (info === undefined) return say.noCounterpart(own.at, name, own.name, other)
    if (!isFloat(info.dtype)) return say.rowsPacked(own.at, other, info.name)
    const theirs = info.shape.slice(1).join(', ')
    if (width !== theirs)
      return say.widthsDiffer(own.at, name, [
        [own.name, width],
        [other, theirs],
      ])
  }
  return undefined
}

/** A model of a recipe with its rows in the order of a vocabulary. */
export const alignModel = (
  graph: Graph,
  value: ModelValue,
  name: string,
  vocabulary: PlannedVocabulary,
): Result<ModelValue> => {
  const own = vocabulary.models.get(name)
  const { rows, alignments } = vocabulary
  if (own === undefined || (own.side.rows === rows && isIdentity(alignments.of.get(name)!, rows))) return ok(value)
  const changed = new Set(own.found.all.filter((tensor) => value.tensors.has(tensor)))
  for (const tensor of changed) {
    const problem = rowProblem(vocabulary, own, value.tensors.get(tensor)!, tensor)
    if (problem !== undefined) return failed(problem)
  }
  const infoFor =
    (tensor: string, from: VocabularyModel): InfoOf =>
    (model) => {
      const { found, tensors } = vocabulary.models.get(model)!
      return tensors.get(model === from.name ? tensor : counterpartOf(from.found, found, tensor)!)!
    }
  const tensors = new Map(
    [...value.tensors].map(([tensor, slot]): [string, Slot] => [
      tensor,
      changed.has(tensor) ? { name: tensor, shape: [rows, ...slot.shape.slice(1)], dtype: slot.dtype } : slot,
    ]),
  )
  return ok({
    ...value,
    tensors,
    tensor: (tensor) =>
      changed.has(tensor) ? buildRows(graph, vocabulary, name, infoFor(tensor, own)) : value.tensor(tensor),
    untied: (head) => {
      const holder = [...vocabulary.models.values()].find(({ found }) => found.head === head)
      if (own.found.head !== undefined || holder === undefined) return undefined
      // Rows of other models are those of their output layers.
      return buildRows(graph, vocabulary, name, infoFor(head, holder))
    },
  })
}
