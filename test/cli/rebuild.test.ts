import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder, smelt, type Finished } from '../support/smelt.js'
import { runHere, type Ran } from '../support/run-here.js'
import { writeHollow, writeSafetensors } from '../support/write-safetensors.js'

const RECIPE = `smelt: 1
name: small
params: { keep: 0.25 }
models: { a: a.safetensors, b: b.safetensors }
steps: { half: { op: merge.blend, a: a, b: b, keep: $keep } }
outputs: { merged: { from: half, path: merged.safetensors } }
`
interface Shop {
  readonly folder: ReturnType<typeof makeFolder>
  readonly store: string
  run(...args: readonly string[]): Promise<Ran>
}

/** A folder with two models and a recipe, and a store of its own that all commands of a test share. */
const inShop = async (work: (shop: Shop) => Promise<void>): Promise<void> => {
  const folder = makeFolder({ 'recipe.yaml': RECIPE })
  const store = mkdtempSync(join(tmpdir(), 'smelt-store-'))
  try {
    for (const [i, name] of ['a', 'b'].entries())
      writeSafetensors(join(folder.path, `${name}.safetensors`), {
        'x.weight': { dtype: 'F32', shape: [2, 2], values: [i, 4, 8, -4] },
        'x.bias': { dtype: 'F16', shape: [1], values: [1] },
      })
    await work({ folder, store, run: (...args) => runHere(folder.path, args, { SMELT_CACHE: store }) })
  } finally {
    folder.remove()
    rmSync(store, { recursive: true, force: true })
  }
}
const flip = (path: string): void => {
  const bytes = readFileSync(path)
  bytes[bytes.length - 1]! ^= 1
  writeFileSync(path, bytes)
}

describe('the commands around rebuilding', () => {
  test('build leaves alone what stands, verify agrees, and why says so', () =>
    inShop(async ({ run }) => {
      expect(await run('build', 'recipe.yaml', '--quiet')).toMatchObject({ code: 0, stdout: '', stderr: '' })
      const events = (await run('build', 'recipe.yaml', '--json')).stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { type: string }).type)
      expect(events).toEqual([
        'plan-made',
        'run-started',
        'output-kept',
        'lock-written',
        'run-finished',
        'command-ended',
      ])
      const verified = await run('verify', 'recipe.yaml')
      expect(verified).toMatchObject({ code: 0, stderr: '' })
      expect(verified.stdout).toMatch(
        /^same {2}input {3}a\.safetensors {7}18 B {2}2 tensors\nsame {2}input {3}b\.safetensors[^]*\nsame {2}output {2}merged\.safetensors[^]*\n3 files match the lock: read 54 B in /,
      )
      expect(await run('why', 'recipe.yaml')).toMatchObject({
        code: 0,
        stdout: 'half  merge.blend\n  reused from the last build\n',
        stderr: '',
      })
    }))

  test('why warns of a lock that cannot be read, and has nothing to compare with', () =>
    inShop(async ({ folder, run }) => {
      folder.write('recipe.lock.json', '{')
      const done = await run('why', 'recipe.yaml')
      expect(done).toMatchObject({ code: 0, stdout: 'half  merge.blend, for 1 output: merged\n  never built before\n' })
      expect(done.stderr).toContain('warning[lock-invalid]')
    }))

  test('why tells the number that is another, as text and as JSON, and refuses a step that is none', () =>
    inShop(async ({ run }) => {
      await run('build', 'recipe.yaml', '--quiet')
      expect((await run('why', 'recipe.yaml', 'half', '--set', 'keep=0.5')).stdout).toBe(
        'half  merge.blend, for 1 output: merged\n  `keep` of step `half` changed from 0.25 to 0.5\n',
      )
      const { stdout } = await run('why', 'recipe.yaml', '--set', 'keep=0.5', '--json')
      expect(JSON.parse(stdout)).toMatchObject({
        v: 1,
        type: 'reasons',
        steps: [
          {
            name: 'half',
            neededBy: ['merged'],
            reasons: [{ type: 'changed', by: 'half', changes: [{ fact: 'params.keep', was: 0.25, is: 0.5 }] }],
          },
        ],
      })
      const refused = await run('why', 'recipe.yaml', 'hal')
      expect(refused).toMatchObject({ code: 2, stdout: '' })
      expect(refused.stderr).toContain('error[no-such-step]: this recipe has no step `hal`\nhelp: did you mean `half`?')
    }))

  test('verify and a frozen build end with 4 where something is another', () =>
    inShop(async ({ run, folder }) => {
      expect((await run('build', 'recipe.yaml', '--frozen')).code).toBe(4)
      await run('build', 'recipe.yaml', '--quiet')
      expect((await run('build', 'recipe.yaml', '--frozen', '--quiet')).code).toBe(0)
      const frozen = await run('build', 'recipe.yaml', '--frozen', '--quiet', '--set', 'keep=0.5')
      expect(frozen.code).toBe(4)
      expect(frozen.stderr).toContain(
        'error[lock-differs]: the lock does not match: param `keep` changed from 0.25 to 0.5',
      )
      flip(join(folder.path, 'merged.safetensors'))
      const verified = await run('verify', 'recipe.yaml')
      expect(verified).toMatchObject({ code: 4, stdout: '' })
      expect(verified.stderr).toContain('error[not-as-locked]: merged.safetensors has content blake3:')
      // The altered file is made again, to the bytes of the lock.
      expect((await run('build', 'recipe.yaml', '--frozen', '--quiet')).code).toBe(0)
      expect((await run('verify', 'recipe.yaml')).code).toBe(0)
    }))

  test('--rehash reads inputs and outputs that nobody seems to have touched', () =>
    inShop(async ({ run }) => {
      await run('build', 'recipe.yaml', '--quiet')
      const { code, stdout } = await run('build', 'recipe.yaml', '--rehash', '--json')
      expect(code).toBe(0)
      expect(stdout).toContain('"type":"output-kept"')
    }))

  test('cache lists what was left, evicts, and is cleared', () =>
    inShop(async ({ run, store }) => {
      expect((await run('cache', 'ls')).stdout).toBe(`${store}: 0 B of 1.07 GB in 0 entries\n`)
      await run('build', 'recipe.yaml', '--quiet')
      // Inputs that were written a moment ago are not trusted yet, so one, both or none of them may be there.
      expect((await run('cache', 'ls')).stdout).toMatch(/ of 1\.07 GB in [1-3] entr[^]*digests of a file/)
      const listed = JSON.parse((await run('cache', 'ls', '--json')).stdout) as {
        readonly entries: readonly { readonly kind: string }[]
      }
      expect(listed.entries.map((e) => e.kind)).toContain('file')
      expect((await run('cache', 'gc')).stdout).toBe(`removed 0 B from ${store}\n`)
      expect((await run('cache', 'clear')).stdout).toMatch(/^removed [1-9][\d.]* k?B from /)
      expect((readdirSync(store, { recursive: true }) as string[]).filter((f) => f.endsWith('.json'))).toEqual([])
      const unknown = await run('cache', 'tidy')
      expect([unknown.code, unknown.stderr]).toEqual([
        2,
        expect.stringContaining('`tidy` is no `action`: ls, gc, clear'),
      ])
    }))

  test('a size of the cache that nobody can read is an error, and 0 keeps nothing', () =>
    inShop(async ({ folder, store }) => {
      const build = (size: string) =>
        runHere(folder.path, ['build', 'recipe.yaml', '--quiet'], { SMELT_CACHE: store, SMELT_CACHE_SIZE: size })
      const refused = await build('12')
      expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('SMELT_CACHE_SIZE')])
      expect((await build('0')).code).toBe(0)
      expect((readdirSync(store, { recursive: true }) as string[]).filter((f) => f.endsWith('.json'))).toEqual([])
    }))

  test('a second build of an output that is being built ends with 75 and names the first', () =>
    inShop(async ({ folder, store }) => {
      for (const name of ['a', 'b'])
        writeHollow(
          join(folder.path, `${name}.safetensors`),
          Object.fromEntries(
            Array.from({ length: 16 }, (_, i) => [`l.${i}`, { dtype: 'F16', shape: [2048, 4096] } as const]),
          ),
        )
      let second: Promise<Finished> | undefined
      let first: number | undefined
      const done = await smelt(folder.path, ['build', 'recipe.yaml', '--json'], {
        env: { SMELT_CACHE: store },
        watch: (child, stdout) => {
          if (second !== undefined || !stdout.includes('units-finished')) return
          first = child.pid
          child.kill('SIGSTOP')
          second = smelt(folder.path, ['build', 'recipe.yaml', '--quiet'], { env: { SMELT_CACHE: store } })
          void second.then(() => child.kill('SIGCONT'))
        },
      })
      const refused = await second!
      expect(refused.code).toBe(75)
      expect(refused.stderr).toContain(
        `error[output-claimed]: ${join(folder.path, 'merged.safetensors')} is being built by process ${first}`,
      )
      expect(done.code).toBe(0)
      expect(readdirSync(folder.path).filter((f) => f.startsWith('.'))).toEqual([])
    }))
})
