import { appendFileSync } from 'node:fs'

/** One line of the table of results: how often a fault was tried and what was seen. */
export interface Row {
  readonly fault: string
  readonly what: string
  readonly runs: number
  /** How often each outcome was seen. */
  readonly seen: Readonly<Record<string, number>>
  /** Tries that broke a promise. */
  readonly wrong: number
}

/** Where the full run collects the lines of its table; short runs keep none. */
const FILE = process.env['SMELT_FAULTS_TABLE']

/** Counts outcomes of one fault. */
export const createTally = (
  fault: string,
  what: string,
): { see(outcome: string, wrong?: boolean): void; end(note?: string): Row } => {
  const seen: Record<string, number> = {}
  let [runs, wrong] = [0, 0]
  return {
    see: (outcome, isWrong = false) => {
      seen[outcome] = (seen[outcome] ?? 0) + 1
      runs += 1
      if (isWrong) wrong += 1
    },
    end: (note) => {
      const row: Row = { fault, what: note === undefined ? what : `${what}; ${note}`, runs, seen, wrong }
      if (FILE !== undefined) appendFileSync(FILE, `${JSON.stringify(row)}\n`)
      return row
    },
  }
}

/** The table of results as Markdown. */
export const tableOf = (rows: readonly Row[]): string => {
  const order = (row: Row): number => Number(/\d+/.exec(row.fault)?.[0] ?? 0)
  const line = ({ fault, what, runs, seen, wrong }: Row): string => {
    const outcomes = Object.entries(seen)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')
    return `| ${fault} | ${what} | ${runs} | ${outcomes} | ${wrong} |`
  }
  return [
    '| fault | tried | times | seen | wrong |',
    '|---|---|---|---|---|',
    ...[...rows].sort((a, b) => order(a) - order(b)).map(line),
  ].join('\n')
}
