import { execFile } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { inFolder } from '../support/build-run.js'
import { makeEnvironment } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const MAIN = fileURLToPath(new URL('../../dist/bin/smelt.js', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the program under a limit of the shell's `ulimit`. */
const limited = (folder: string, limit: string, args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const environment = makeEnvironment()
    const child = execFile(
      'bash',
      ['-c', `ulimit ${limit} && exec "$@"`, 'limited', process.execPath, MAIN, ...args],
      { cwd: folder, env: environment.env },
      (_, stdout, stderr) => {
        environment.remove()
        resolve({ code: child.exitCode, stdout, stderr })
      },
    )
  })

const inShop = (work: (folder: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    for (const name of ['a', 'b'])
      writeSafetensors(join(folder, `${name}.safetensors`), { w: { dtype: 'F32', shape: [4], values: 1 } })
    writeFileSync(
      join(folder, 'recipe.yaml'),
      JSON.stringify({
        smelt: 1,
        models: { a: 'a.safetensors', b: 'b.safetensors' },
        steps: { s: { op: 'merge.blend', a: 'a', b: 'b' } },
        outputs: { o: { from: 's', path: 'o.safetensors' } },
      }),
    )
    await work(folder)
  })

const STACK = /^ {4}at /m

describe.runIf(process.platform === 'linux')('a process that may open few files', () => {
  test.each([20, 50, 115])('ends with a sentence, or does what it should: %d', (most) =>
    inShop(async (folder) => {
      const { code, stderr } = await limited(folder, `-n ${most}`, ['build', 'recipe.yaml', '--workers', '2'])
      expect(stderr).not.toMatch(STACK)
      if (code !== 0)
        expect([code, stderr]).toEqual([
          75,
          expect.stringMatching(/^error\[(too-many-open-files|file-busy)\]: [^]*\nhelp: /m),
        ])
      if (most < 50) expect(code).toBe(75)
      if (code !== 0) expect(readdirSync(folder).sort()).toEqual(['a.safetensors', 'b.safetensors', 'recipe.yaml'])
    }),
  )
})

describe.runIf(process.platform === 'linux')('a process with 2 GB of address space', () => {
  test.each([[['build', 'recipe.yaml']], [['diff', 'a.safetensors', 'b.safetensors']]])(
    'is told so, and what to do: %j',
    (args) =>
      inShop(async (folder) => {
        const { code, stderr } = await limited(folder, '-v 2000000', args)
        expect([code, stderr]).toEqual([
          3,
          expect.stringMatching(
            /error\[address-space-too-small\]: .* of address space, but this process has [\d.]+ GB of 2\.0 GB left\nhelp: raise the limit/,
          ),
        ])
        expect(stderr).not.toMatch(STACK)
        expect(readdirSync(folder).sort()).toEqual(['a.safetensors', 'b.safetensors', 'recipe.yaml'])
      }),
  )

  test('may plan and inspect', () =>
    inShop(async (folder) => {
      for (const args of [
        ['plan', 'recipe.yaml'],
        ['inspect', 'a.safetensors', '--stats'],
      ])
        expect((await limited(folder, '-v 2000000', args)).code).toBe(0)
    }))
})
