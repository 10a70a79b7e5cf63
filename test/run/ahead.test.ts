import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { inFolder } from '../support/build-run.js'

const PROGRAM = fileURLToPath(new URL('../../dist/bin/smelt.js', import.meta.url))

test('a build that is refused while its threads still load ends in peace', () =>
  inFolder(async (folder) => {
    writeFileSync(
      join(folder, 'recipe.yaml'),
      'smelt: 1\nmodels: { a: nowhere.safetensors }\noutputs: { o: { from: a, path: o.safetensors } }\n',
    )
    const once = () =>
      new Promise<{ readonly code: unknown; readonly err: string }>((resolve) => {
        execFile(process.execPath, [PROGRAM, 'build', 'recipe.yaml'], { cwd: folder }, (error, _out, err) =>
          resolve({ code: error?.code ?? 0, err }),
        )
      })
    for (let round = 0; round < 6; round++) {
      const { code, err } = await once()
      expect(code).toBe(1)
      expect(err).not.toContain('terminate')
    }
  }))
