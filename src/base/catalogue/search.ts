import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

const option = (name: string) => ({ at: { type: 'option', name }, blame: 'usage' }) as const
const listed = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ')

/** A range of `--over` that cannot be read. */
export const overMalformed = (text: string, isEmpty: boolean): Diagnostic =>
  entry(
    'over-malformed',
    `\`--over ${text}\` ${isEmpty ? 'has no values: its end is not above its start' : 'is not a param and a range'}`,
    {
      ...option('--over'),
      help: 'write the lowest and the highest value, for example `--over keep=0:1`',
    },
  )

/** No param to search over. */
export const overMissing = (params: readonly string[]): Diagnostic =>
  entry('over-missing', 'no param to search over', {
    ...option('--over'),
    help:
      params.length === 0
        ? 'declare a param in the recipe, such as `params: { keep: 0.5 }`, then pass `--over keep=0:1`'
        : `pass a param and its range, for example \`--over ${params[0]!}=0:1\``,
  })

/** `--over` names a param that is no number. */
export const overNotNumber = (name: string): Diagnostic =>
  entry('over-not-number', `\`${name}\` is not a number, and only numbers can be searched`, {
    ...option('--over'),
    help: `search for each of its values by itself: \`--set ${name}=…\``,
  })

/** `--over` reaches beyond what a param may be. */
export const overBeyond = (text: string, expected: string): Diagnostic =>
  entry('over-beyond', `\`--over ${text}\` reaches beyond what the recipe allows: ${expected}`, {
    ...option('--over'),
    help: 'use a smaller range, or change `min` and `max` of the param',
  })

/** `--over` names a param twice, or one that `--set` fixes. */
export const overTwice = (name: string): Diagnostic =>
  entry('over-twice', `\`${name}\` is given twice`, {
    ...option('--over'),
    help: 'pass each param once, with `--over` or with `--set`',
  })

/** A score command without an output. */
export const scoreNeedsOutput = (outputs: readonly string[]): Diagnostic =>
  entry('score-without-output', 'the score command does not name the output to score', {
    ...option('--score'),
    help: `write ${outputs.length === 1 ? '`{output}`' : `\`{output:${outputs[0] ?? 'NAME'}}\``} where the path belongs, for example \`--score 'python score.py {output}'\``,
  })

/** `{output}` where there are several outputs. */
export const scoreNeedsName = (outputs: readonly string[]): Diagnostic =>
  entry('score-ambiguous', `\`{output}\` could be any of ${listed(outputs)}`, {
    ...option('--score'),
    help: `write \`{output:${outputs[0]!}}\``,
  })

/** A score command names an output that the recipe does not have. */
export const scoreUnknownOutput = (name: string, outputs: readonly string[]): Diagnostic =>
  entry('score-unknown-output', `the recipe has no output \`${name}\``, {
    ...option('--score'),
    help: `use one of ${listed(outputs)}`,
  })

/** What options of a search expect. */
export const SEARCH_NUMBERS = {
  trials: (most: number): string => `a whole number from 1 to ${most}`,
  minutes: 'a number of minutes above 0',
} as const

/** A number of an option that is out of range. */
export const searchNumberWrong = (name: string, text: string, expected: string): Diagnostic =>
  entry('search-number', `\`${name} ${text}\` is not ${expected}`, { ...option(name), help: `pass ${expected}` })

/** Both directions at once. */
export const bothGoals = (): Diagnostic =>
  entry('both-goals', '`--maximize` and `--minimize` exclude each other', {
    ...option('--minimize'),
    help: 'pass one of them; a search maximizes unless told otherwise',
  })

/** A recipe of several settings. */
export const searchOfSettings = (count: number): Diagnostic =>
  entry('search-of-settings', `the recipe makes ${count} settings; a trial of a search is one`, {
    help: 'remove `grid` from the recipe, or pass one value for each of its other params, as `--set NAME=VALUE`',
  })

/** An output that would not be written into the folder of its trial. */
export const searchOutside = (name: string, path: string): Diagnostic =>
  entry(
    'search-outside',
    `output \`${name}\` is written to ${path}, outside the recipe's folder, so trials would overwrite it`,
    {
      help: 'use a path below the folder of the recipe, such as `build/merged.safetensors`',
    },
  )

/** The journal of another search. */
export const journalOfOther = (path: string): Diagnostic =>
  entry('search-journal-other', 'this journal is of another search: the recipe or the options have changed', {
    at: { type: 'file', path },
    blame: 'usage',
    help: 'pass `--restart` to begin anew, or the options of the earlier search to resume it',
  })

/** A journal that cannot be read. */
export const journalUnread = (path: string, reason: string): Diagnostic =>
  entry('search-journal-unread', `cannot read the journal of the search: ${reason}`, {
    at: { type: 'file', path },
    help: 'pass `--restart` to begin anew',
  })

/** The score command failed in a trial. */
export const scoreFailed = (trial: number, ended: number | string, complaint: string): Diagnostic =>
  entry(
    'score-failed',
    `trial ${trial}: the score command ended with ${typeof ended === 'number' ? `exit code ${ended}` : ended}${complaint === '' ? '' : `: ${complaint}`}`,
    { severity: 'warning', ...option('--score'), blame: 'run', help: 'run the command by hand on one output' },
  )

/** The score command printed no number. */
export const scoreMissing = (trial: number): Diagnostic =>
  entry('score-missing', `trial ${trial}: the score command printed no number, or its last one is not finite`, {
    severity: 'warning',
    ...option('--score'),
    blame: 'run',
    help: 'print the score to standard output as the last number, outside of any path',
  })

/** Too many failures in a row. */
export const searchGivenUp = (failures: number): Diagnostic =>
  entry('search-given-up', `${failures} trials in a row failed, so the search stopped`, {
    blame: 'run',
    help: 'fix the problems above, then run the same command again: it resumes the search',
  })

/** No trial has a score. */
export const searchFoundNothing = (tried: number): Diagnostic =>
  entry('search-found-nothing', tried === 0 ? 'no trial was finished' : 'no trial has a score: all of them failed', {
    blame: 'run',
    help:
      tried === 0
        ? 'allow more trials or more time: `--trials 50`'
        : 'build one setting with `--set`, and run the score command on its output by hand',
  })

/** A picture in a form that there is not. */
export const pictureEnding = (path: string, endings: readonly string[]): Diagnostic =>
  entry('picture-ending', `cannot draw ${path}: unknown extension`, {
    ...option('--picture'),
    help: `end the path in ${endings.map((ending) => `.${ending}`).join(', ')}`,
  })

/** The recipe changed while its params were searched. */
export const recipeMoved = (path: string): Diagnostic =>
  entry('recipe-moved', 'the recipe changed during the search, so the best values were not written into it', {
    at: { type: 'file', path },
    help: 'write the values into `params` by hand',
  })

/** What a search says. */
export const searchWords = {
  trial: (number: number, values: string, score: string | undefined, best: string | undefined): string =>
    `trial ${number}  ${values}  ${score === undefined ? 'failed' : `score ${score}`}${best === undefined ? '' : `  best ${best}`}`,
  best: (score: string, trial: number, trials: number): string => `best score ${score}, in trial ${trial} of ${trials}`,
  output: (path: string): string => `its output is in ${path}`,
  resumed: (trials: number, path: string): string =>
    `resuming after ${trials} trial${trials === 1 ? '' : 's'} in ${path}`,
  wrote: (path: string): string => `wrote ${path}`,
  picture: {
    title: 'Search',
    best: 'best score',
    trial: 'trial',
    trials: 'trials',
    failed: 'failed',
    score: 'score',
    byTrial: 'Score by trial',
    byParam: (name: string): string => `Score by ${name}`,
    table: 'Trials',
  },
} as const
