import { mkdtempSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tableOf, type Row } from './tally.js'

/** Collects the results of a full run and prints them as a table at its end. */
export const setup = (): (() => void) => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-faults-table-'))
  const file = join(folder, 'rows')
  process.env['SMELT_FAULTS_TABLE'] = file
  return () => {
    const rows = existsSync(file)
      ? readFileSync(file, 'utf8')
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as Row)
      : []
    process.stdout.write(`\n${tableOf(rows)}\n`)
    rmSync(folder, { recursive: true, force: true })
  }
}
