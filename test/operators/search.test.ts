import { expect, test } from 'vitest'
import { operators } from '#src/operators/index.js'
import { searchOperators } from '#src/operators/search.js'

const idsOf = (query: string): readonly string[] => searchOperators(query).map(({ operator }) => operator.id)

test.each([
  ['sum twice', 'merge.linear', ['sum Twice']],
  ['Weighted_Sum', 'merge.blend', ['Weighted sum', 'weighted_sum']],
  ['weigted sum', 'merge.blend', ['Weighted sum', 'weighted_sum']],
  ['mergekit ties', 'merge.ties', ['ties']],
  ['modelmerge simple', 'merge.blend', ['ModelMergeSimple']],
  ['lora', 'adapter.apply', ['lora']],
  ['position_ids', 'model.renumber', []],
  ['2306.01708', 'merge.ties', ['TIES-Merging']],
  ['average many models', 'merge.linear', []],
  ['super mario', 'merge.dare', []],
  ['quantile', 'mask.magnitude', []],
  ['random masks', 'mask.fill', ['random mask']],
])('a search for `%s` finds %s first, as %j', (query, id, names) => {
  const [first] = searchOperators(query)
  expect([first?.operator.id, first?.aliases.map(({ name }) => name).sort()]).toEqual([id, names])
})

test('every operator is found first by its id, and among the first ten by its summary', () => {
  for (const { id, summary } of operators) {
    expect(idsOf(id)[0]).toBe(id)
    expect(idsOf(summary).slice(0, 10)).toContain(id)
  }
})

test('every alias finds its operator', () => {
  for (const { id, aliases = [] } of operators)
    for (const { name } of aliases) expect([name, idsOf(name)]).toEqual([name, expect.arrayContaining([id])])
})

test('numbers are not guessed at, and words that say nothing find nothing', () => {
  for (const query of ['2306.01709', 'of the', '', '…']) expect([query, idsOf(query)]).toEqual([query, []])
})
