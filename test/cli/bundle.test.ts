import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import nodeModule from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import zlib from 'node:zlib'
import { rolldown, type InputOptions, type OutputOptions } from 'rolldown'
import { describe, expect, test } from 'vitest'
import { inFolder } from '../support/build-run.js'
import { makeEnvironment } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const BIN = join(ROOT, 'dist/bin')
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly files: readonly string[]
  readonly bin: { readonly smelt: string }
}

/** Runs the program of a folder, and gives what it said and the files that it, and its threads, loaded as modules. */
const run = (program: string, args: readonly string[], cwd: string) => {
  const trace = join(cwd, 'loaded.txt')
  const hooks = join(cwd, 'hooks.mjs')
  // What is required, and by whom, passes here; what is imported passes the hooks, which have a thread of their own.
  const preload = join(cwd, 'preload.cjs')
  writeFileSync(
    hooks,
    `import { appendFileSync } from 'node:fs'
export const load = (url, context, next) => (appendFileSync(${JSON.stringify(trace)}, url + '\\n'), next(url, context))`,
  )
  writeFileSync(
    preload,
    `const { appendFileSync } = require('node:fs')
const { Module, register } = require('node:module')
const load = Module._load
Module._load = (...args) => (appendFileSync(${JSON.stringify(trace)}, args[0] + '\\n'), load(...args))
register(${JSON.stringify(pathToFileURL(hooks))})`,
  )
  const environment = makeEnvironment()
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--require', preload, program, ...args], {
    cwd,
    encoding: 'utf8',
    env: environment.env,
  })
  environment.remove()
  const loaded = readFileSync(trace, 'utf8').split('\n')
  return { status, stdout, stderr, loaded }
}

const HEAVY = ['ajv', 'ink', 'koffi', 'onnxruntime-node', 'react', 'resvg', 'tar', 'vega', 'yauzl']

const isHeavy = (file: string): boolean =>
  HEAVY.some((name) => file === name || file.includes(`/${name}/`) || file.includes(`/${name}-js/`))

const writeProject = (folder: string): void => {
  for (const name of ['a', 'b'])
    writeSafetensors(join(folder, `${name}.safetensors`), { w: { dtype: 'F32', shape: [4], values: 1 } })
  writeFileSync(
    join(folder, 'recipe.yaml'),
    'smelt: 1\nmodels: {a: a.safetensors, b: b.safetensors}\nsteps: {s: {op: merge.blend, a: a, b: b}}\noutputs: {o: {from: s, path: o.safetensors}}\n',
  )
}

test('the bundle is what its configuration makes of the compiled files', async () => {
  const { default: bundles } = (await import(join(ROOT, 'rolldown.config.mjs'))) as {
    readonly default: readonly (InputOptions & { readonly output: OutputOptions })[]
  }
  const made = new Map<string, string>()
  for (const { output, ...input } of bundles) {
    const bundle = await rolldown(input)
    const generated = await bundle.generate(output)
    await bundle.close()
    for (const file of generated.output)
      made.set(file.fileName, file.type === 'chunk' ? file.code : String(file.source))
  }
  expect(readdirSync(BIN).sort()).toEqual([...made.keys()].sort())
  for (const [name, text] of made) expect([name, readFileSync(join(BIN, name), 'utf8') === text]).toEqual([name, true])
})

describe('what a command does not need is not loaded', () => {
  const main = join(BIN, 'smelt.js')

  test.each(['--help', '--version', 'build --help'])('%s', (line) =>
    inFolder(async (folder) => {
      const { status, loaded } = run(main, line.split(' '), folder)
      expect(status).toBe(0)
      expect(loaded.some((file) => file.endsWith('/dist/bin/smelt.js'))).toBe(true)
      expect(loaded.filter((file) => isHeavy(file) || /(?:\/engine\.cjs|child_process)$/.test(file))).toEqual([])
    }),
  )

  test.each(['check', 'plan'])('%s', (command) =>
    inFolder(async (folder) => {
      writeProject(folder)
      const { status, stderr, loaded } = run(main, [command, 'recipe.yaml'], folder)
      expect([status, stderr]).toEqual([0, ''])
      expect(loaded.filter(isHeavy)).toEqual([])
    }),
  )

  test.each([
    ['compiled', false],
    ['onnx', true],
  ])('a build with --engine %s: ONNX Runtime, and nothing for screens or mistakes', (engine, loads) =>
    inFolder(async (folder) => {
      writeProject(folder)
      const { status, loaded } = run(main, ['build', 'recipe.yaml', '--quiet', '--engine', engine], folder)
      expect(status).toBe(0)
      const heavy = loaded.filter(isHeavy)
      expect(heavy.some((file) => file.includes('onnxruntime-node'))).toBe(loads)
      expect(heavy.filter((file) => !file.includes('onnxruntime'))).toEqual([])
    }),
  )
})

/** The modules that a file of the bundle cannot be loaded without, itself included: packages by name. */
const staticImports = (file: string, found = new Set<string>()): ReadonlySet<string> => {
  if (found.has(file)) return found
  found.add(file)
  if (!file.startsWith('./')) return found
  for (const [, name] of readFileSync(join(BIN, file), 'utf8').matchAll(/^(?:import|export) [^'"]*['"]([^'"]+)['"]/gm))
    staticImports(name!, found)
  return found
}

test('no file of the bundle has a regular expression for which V8 loads all emoji as it reads the file', () => {
  for (const name of readdirSync(BIN))
    expect(readFileSync(join(BIN, name), 'utf8')).not.toMatch(/\/[^/\n]*\{RGI_Emoji\}[^/\n]*\/v/)
})

test('scripts have no characters of more than a byte, as which they are read', () => {
  for (const name of readdirSync(BIN).filter((file) => file.endsWith('.cjs')))
    expect(
      readFileSync(join(BIN, name)).every((byte) => byte < 0x80),
      name,
    ).toBe(true)
})

test('a worker starts without ONNX Runtime', () => {
  const needed = [...staticImports('./worker.js')]
  expect(needed).toContain('@napi-rs/blake-hash')
  expect(needed.filter(isHeavy)).toEqual([])
})

describe('what V8 compiled is kept for the next command', () => {
  const help = (folder: string, more: Readonly<Record<string, string>> = {}) => {
    const { env, remove } = makeEnvironment()
    const { NODE_COMPILE_CACHE: _, NODE_DISABLE_COMPILE_CACHE: __, ...rest } = env
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(BIN, 'smelt.js'), 'build', '--help'], {
      encoding: 'utf8',
      env: { ...rest, TMPDIR: folder, TMP: folder, TEMP: folder, ...more },
    })
    remove()
    expect([status, stderr]).toEqual([0, ''])
    return stdout
  }

  test.runIf('enableCompileCache' in nodeModule)('by Node.js where it can', () =>
    inFolder(async (folder) => {
      help(folder)
      expect(readdirSync(join(folder, 'node-compile-cache'), { recursive: true }).length).toBeGreaterThan(1)
    }),
  )

  describe.runIf(!('enableCompileCache' in nodeModule) && 'crc32' in zlib && process.getuid !== undefined)(
    'else',
    () => {
      const keptIn = (folder: string) => {
        const kept = join(folder, `smelt-code-${process.getuid!()}`)
        return existsSync(kept) ? readdirSync(kept).map((name) => join(kept, name)) : []
      }

      test('by smelt, for this user alone, and once', () =>
        inFolder(async (folder) => {
          const first = help(folder)
          const [file, ...others] = keptIn(folder)
          expect(others).toEqual([])
          expect(statSync(dirname(file!)).mode & 0o777).toBe(0o700)
          expect(statSync(file!).mode & 0o777).toBe(0o600)
          const { ino } = statSync(file!)
          expect(help(folder)).toBe(first)
          expect(statSync(file!).ino).toBe(ino)
        }))

      test.each([
        ['of another source', 0],
        ['damaged', 5000],
      ])('and again where it is %s', (_, place) =>
        inFolder(async (folder) => {
          const first = help(folder)
          const [file] = keptIn(folder)
          const whole = readFileSync(file!)
          const damaged = Buffer.from(whole)
          damaged[place]! ^= 1
          writeFileSync(file!, damaged)
          expect(help(folder)).toBe(first)
          expect(readFileSync(file!).subarray(0, 8).equals(whole.subarray(0, 8))).toBe(true)
          expect(readFileSync(file!).equals(damaged)).toBe(false)
        }),
      )

      test('never where others could write', () =>
        inFolder(async (folder) => {
          mkdirSync(join(folder, `smelt-code-${process.getuid!()}`))
          chmodSync(join(folder, `smelt-code-${process.getuid!()}`), 0o777)
          help(folder)
          expect(keptIn(folder)).toEqual([])
        }))

      test('nor by way of a link', () =>
        inFolder(async (folder) => {
          mkdirSync(join(folder, 'elsewhere'), { mode: 0o700 })
          symlinkSync('elsewhere', join(folder, `smelt-code-${process.getuid!()}`))
          help(folder)
          expect(readdirSync(join(folder, 'elsewhere'))).toEqual([])
        }))

      test('nor where that is turned off, or impossible', () =>
        inFolder(async (folder) => {
          help(folder, { NODE_DISABLE_COMPILE_CACHE: '1' })
          expect(keptIn(folder)).toEqual([])
          writeFileSync(join(folder, `smelt-code-${process.getuid!()}`), 'a file')
          help(folder)
          help(join(folder, 'nothing'))
        }))
    },
  )
})

test('the files that are packed work from another folder, by way of a link', () =>
  inFolder(async (folder) => {
    const [installed, work] = [join(folder, 'lib', 'smelt'), join(folder, 'work')]
    mkdirSync(installed, { recursive: true })
    mkdirSync(work)
    for (const name of ['package.json', ...MANIFEST.files])
      cpSync(join(ROOT, name), join(installed, name), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'lib', 'node_modules'))
    const link = join(folder, 'smelt')
    symlinkSync(join(installed, MANIFEST.bin.smelt), link)
    writeProject(work)
    expect(run(link, ['build', 'recipe.yaml', '--quiet'], work)).toMatchObject({ status: 0, stderr: '' })
    expect(existsSync(join(work, 'o.safetensors'))).toBe(true)
    expect(run(link, ['check', 'odd.yaml'], work).stderr).toContain('odd.yaml')
    writeFileSync(join(work, 'odd.yaml'), 'smelt: 1\nmodels: 3\n')
    expect(run(link, ['check', 'odd.yaml'], work).stderr).toContain('`models`')
    expect(run(link, ['init', '.', '--force'], work).status).toBe(0)
  }))
