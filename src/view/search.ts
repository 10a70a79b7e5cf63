import { searchWords } from '../base/catalogue/search.js'
import type { ReportDocument, Section } from '../operators/report-document.js'
import type { Found } from '../search/search.js'

const scoreText = (score: number): string => String(Number(score.toPrecision(6)))

const settingsOf = ({ dimensions, trials }: Found, index: number, before = ''): string =>
  dimensions.map(({ name }, i) => `${before}${name}=${trials[index]!.values[i]!}`).join(' ')

/** The best settings as options of `smelt build`. */
export const renderBestSettings = (found: Found, best: number): string => settingsOf(found, best, '--set ')

/** The last trial in a line: its values, its score, and the best score so far. */
export const renderTrial = (found: Found): string => {
  const { trials, best } = found
  const { score } = trials.at(-1)!
  return searchWords.trial(
    trials.length,
    settingsOf(found, trials.length - 1),
    score === null ? undefined : scoreText(score),
    best === undefined ? undefined : scoreText(trials[best]!.score!),
  )
}

/** The best score, the trial that has it, and where its outputs are. */
export const renderFound = ({ trials, output }: Found, best: number): string =>
  [
    searchWords.best(scoreText(trials[best]!.score!), best + 1, trials.length),
    ...(output === undefined ? [] : [searchWords.output(output)]),
  ].join('; ')

/** The trials of a search as a report: the score by trial and by each param, and all trials in a table. */
export const drawSearch = (recipe: string, { dimensions, trials, best }: Found): ReportDocument => {
  const words = searchWords.picture
  const curve = (title: string, axis: string, order: readonly number[], labelOf: (i: number) => string): Section => ({
    type: 'curve',
    title,
    axes: [axis, words.score],
    format: 'number',
    points: order.map((i) => ({ label: labelOf(i), value: trials[i]!.score })),
  })
  const all = trials.map((_, i) => i)
  return {
    title: words.title,
    subject: recipe,
    facts: [
      { label: words.trials, value: trials.length, format: 'count' },
      { label: words.failed, value: trials.filter(({ score }) => score === null).length, format: 'count' },
      ...(best === undefined ? [] : [{ label: words.best, value: trials[best]!.score!, format: 'number' as const }]),
    ],
    sections: [
      curve(words.byTrial, words.trial, all, (i) => String(i + 1)),
      ...dimensions.map(({ name }, d) =>
        curve(
          words.byParam(name),
          name,
          all.toSorted((x, y) => trials[x]!.values[d]! - trials[y]!.values[d]!),
          (i) => String(trials[i]!.values[d]!),
        ),
      ),
      {
        type: 'table',
        title: words.table,
        columns: [
          { label: words.trial, format: 'count' },
          ...dimensions.map(({ name }) => ({ label: name, format: 'text' as const })),
          { label: words.score, format: 'text' },
        ],
        rows: trials.map(({ values, score }, i) => ({
          cells: [i + 1, ...values.map(String), score === null ? words.failed : scoreText(score)],
        })),
      },
    ],
  }
}
