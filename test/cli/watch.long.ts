import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { buildEventLine } from '#src/view/json.js'
import { ended, finished, half, locked, written } from '../view/dashboard/support.js'
import { inFolder } from '../support/build-run.js'
import { smelt } from '../support/smelt.js'

it('a replay takes as long as its speed says: a twentieth of nine seconds', () =>
  inFolder(async (folder) => {
    const events = [...half, ...[written, locked, finished, ended].map((event) => ({ event, at: 9000 }))]
    writeFileSync(join(folder, 'replayed.jsonl'), events.map(({ event, at }) => buildEventLine(event, at)).join(''))
    const began = performance.now()
    const done = await smelt(folder, ['watch', 'replayed.jsonl', '--speed', '20'])
    expect(done).toMatchObject({ code: 0, stderr: expect.stringContaining('done in 9.0 s') })
    expect(performance.now() - began).toBeGreaterThan(440)
  }))
