import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))

/** The rooms in the order data passes: a room imports only from those before it. */
const ROOMS = [
  'base',
  'document',
  'tensor',
  'safetensors',
  'graph',
  'kernels',
  'architectures',
  'operators',
  'recipe',
  'store',
  'plan',
  'run',
  'view',
  'cli',
]

interface SourceFile {
  readonly path: string
  readonly room: string
  readonly text: string
  readonly imports: readonly string[]
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)\s*import\s+'([^']+)'/g

const files: readonly SourceFile[] = (readdirSync(SRC, { recursive: true }) as string[])
  .filter((path) => /\.tsx?$/.test(path) && !path.startsWith('kernels/wasm/'))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8')
    return {
      path,
      room: path.includes('/') ? path.split('/')[0]! : 'index',
      text,
      imports: [...text.matchAll(IMPORT)].map((m) => (m[1] ?? m[2] ?? m[3])!),
    }
  })

const roomOf = (file: SourceFile, specifier: string): string =>
  relative(SRC, join(SRC, file.path, '..', specifier)).split('/')[0]!
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

test('every folder of the source is a room', () => {
  expect(new Set(files.map((f) => f.room).filter((r) => r !== 'index'))).toEqual(
    new Set(ROOMS.filter((r) => files.some((f) => f.room === r))),
  )
})

describe('a room imports only from the rooms before it', () => {
  test.each(files.filter((f) => f.room !== 'index').map((f) => [f.path, f] as const))('%s', (_path, file) => {
    const upward = file.imports.filter(
      (i) => i.startsWith('.') && ROOMS.indexOf(roomOf(file, i)) > ROOMS.indexOf(file.room),
    )
    expect(upward).toEqual([])
  })
})

test('no files import each other in a circle, types included', () => {
  const byPath = new Map(files.map((f) => [f.path, f]))
  const targetsOf = (file: SourceFile): readonly SourceFile[] =>
    file.imports
      .filter((i) => i.startsWith('.'))
      .flatMap((i) => {
        const path = relative(SRC, join(SRC, file.path, '..', i)).replace(/\.js$/, '')
        return byPath.get(`${path}.ts`) ?? byPath.get(`${path}.tsx`) ?? []
      })
  // Files that import nothing that is left are taken away until only circles, and what leads to them, are left.
  let left = new Set(files)
  for (;;) {
    const kept = new Set([...left].filter((f) => targetsOf(f).some((t) => left.has(t))))
    if (kept.size === left.size) break
    left = kept
  }
  expect([...left].map((f) => f.path)).toEqual([])
})

test('each package is known to one room', () => {
  const rooms = new Map<string, Set<string>>()
  for (const file of files) {
    for (const specifier of file.imports.filter((i) => !i.startsWith('.') && !i.startsWith('node:'))) {
      const name = packageOf(specifier)
      rooms.set(name, new Set([...(rooms.get(name) ?? []), file.room]))
    }
  }
  expect(rooms.size).toBeGreaterThan(5)
  expect(
    [...rooms].filter(([, owners]) => owners.size > 1).map(([name, owners]) => `${name}: ${[...owners].join(', ')}`),
  ).toEqual([])
})

test('no file is longer than 500 lines', () => {
  expect(files.filter((f) => f.text.split('\n').length > 501).map((f) => f.path)).toEqual([])
})

test('only the command line reads arguments and environment, writes to the terminal, or ends the process', () => {
  const touches = /\bprocess\.(argv|env|exit|exitCode|stdout|stderr|stdin|on|once|chdir|abort)\b/
  expect(files.filter((f) => f.room !== 'cli' && touches.test(f.text)).map((f) => f.path)).toEqual([])
})

test('the plan reads and writes no file', () => {
  expect(
    files.filter((f) => f.room === 'plan' && f.imports.some((i) => i.startsWith('node:fs'))).map((f) => f.path),
  ).toEqual([])
})

test('every user-facing sentence is in the catalogue: diagnostics are made nowhere else', () => {
  const makers = files.filter(
    (f) => !f.path.startsWith('base/catalogue/') && f.imports.some((i) => i.endsWith('catalogue/entry.js')),
  )
  expect(makers.map((f) => f.path)).toEqual([])
})

test('no list is spread into a call that takes it whole: a call takes no more arguments than the stack holds', () => {
  const spreads = /Math\.(max|min)\((?:[\w.]+, )?\.\.\.|\.(push|unshift|splice)\(\.\.\./
  expect(files.filter((f) => spreads.test(f.text)).map((f) => f.path)).toEqual([])
})
