import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, test } from 'vitest'
import * as rules from './support/house-rules.js'
import { readSourceFile, type SourceFile } from './support/source-file.js'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))

const files: readonly SourceFile[] = (readdirSync(SRC, { recursive: true }) as string[])
  .filter((path) => /\.tsx?$/.test(path) && !path.startsWith('kernels/wasm/'))
  .map((path) => readSourceFile(path, readFileSync(join(SRC, path), 'utf8')))

/** Files as they are not: each by its path and text. */
const invent = (texts: Readonly<Record<string, string>>): readonly SourceFile[] =>
  Object.entries(texts).map(([path, text]) => readSourceFile(path, text))

/** The ways in which a file can name another. */
const WAYS: readonly (readonly [string, (specifier: string) => string])[] = [
  ['import', (s) => `import { x } from '${s}'`],
  ['import for its effects', (s) => `import '${s}'`],
  ['import type', (s) => `import type { X } from '${s}'`],
  ['import on several lines', (s) => `import {\n  x,\n  type Y,\n} from "${s}"`],
  ['export', (s) => `export { x } from '${s}'`],
  ['export *', (s) => `export * from '${s}'`],
  ['export type', (s) => `export type { X } from '${s}'`],
  ['import()', (s) => `export const load = async () => (await import('${s}')).x`],
  ['import() of a template', (s) => `export const load = () => import(\`${s}\`)`],
  ['a type of import()', (s) => `export type X = import('${s}').X`],
  ['import =', (s) => `import x = require('${s}')`],
  ['require', (s) => `declare const require: (x: string) => unknown\nexport const x = require('${s}')`],
  [
    'createRequire',
    (s) => `import { createRequire } from 'node:module'\nexport const x = createRequire(import.meta.url)('${s}')`,
  ],
  [
    'a function that createRequire made',
    (s) =>
      `import { createRequire } from 'node:module'\nconst load = createRequire(import.meta.url)\nexport const x = load('${s}')`,
  ],
]

/** The ways in which only a package can be named. */
const ASSETS: readonly (readonly [string, (specifier: string) => string])[] = [
  [
    'the resolve of createRequire',
    (s) =>
      `import { createRequire } from 'node:module'\nconst { resolve } = createRequire(import.meta.url)\nexport const x = resolve('${s}/font.ttf')`,
  ],
  [
    'a template in the resolve of createRequire',
    (s) =>
      `import { createRequire } from 'node:module'\nexport const x = (y: string) => createRequire(import.meta.url).resolve(\`${s}/\${y}\`)`,
  ],
  ['import.meta.resolve', (s) => `export const x = import.meta.resolve('${s}/font.ttf')`],
  [
    'a path through node_modules',
    (s) => `export const x = new URL('../../node_modules/${s}/font.ttf', import.meta.url)`,
  ],
  [
    'a template through node_modules',
    (s) => `export const at = (root: string) => \`\${root}/node_modules/${s}/x.node\``,
  ],
]

describe('rooms', () => {
  test('are all folders of the source', () => {
    expect(new Set(files.map((f) => f.room))).toEqual(new Set(['index', ...rules.ROOMS]))
  })

  test('import only from the rooms before them', () => {
    expect(rules.upwardImports(files)).toEqual([])
  })

  it.each(WAYS)('upward by %s is found', (_, write) => {
    expect(rules.upwardImports(invent({ 'run/a.ts': write('../view/b.js') }))).toEqual(['run/a.ts → ../view/b.js'])
  })

  test('that import the package itself are found', () => {
    expect(rules.upwardImports(invent({ 'cli/a.ts': "import '../library.js'" }))).toEqual(['cli/a.ts → ../library.js'])
  })

  test('may import from those before them, and the package from all', () => {
    const downward = invent({ 'view/a.ts': "import '../run/b.js'", 'library.ts': "import './cli/c.js'" })
    expect(rules.upwardImports(downward)).toEqual([])
  })
})

describe('files', () => {
  test('do not import each other in a circle', () => {
    expect(rules.circles(files)).toEqual([])
  })

  it.each(WAYS)('in a circle by %s are found, and not what leads to it', (_, write) => {
    const circle = invent({
      'run/a.ts': write('./b.js'),
      'run/b.tsx': "import { z } from '../base/c.js'",
      'base/c.ts': "import { x } from '../run/a.js'",
      'run/d.ts': "import './a.js'",
    })
    expect(rules.circles(circle)).toEqual(['run/a.ts', 'run/b.tsx', 'base/c.ts'])
  })

  test('that import themselves, and workers that start themselves, are found', () => {
    expect(rules.circles(invent({ 'run/a.ts': "import './a.js'" }))).toEqual(['run/a.ts'])
    const worker = "export const x = new URL('./b.js', import.meta.url)"
    expect(rules.circles(invent({ 'run/a.ts': worker, 'run/b.ts': "import './a.js'" }))).toHaveLength(2)
  })

  test('import nothing that these rules cannot follow', () => {
    expect(rules.unfollowed(files)).toEqual([])
  })

  test('that import by an alias, by the name of the package, by a value, or nothing that is there are found', () => {
    const odd = {
      'run/a.ts': "import '#src/base/b.js'",
      'run/b.ts': "import 'smelt'",
      'run/c.ts': 'export const load = (name: string) => import(name)',
      'run/d.ts': "import './gone.js'",
      'run/e.ts': 'export const load = (name: string) => import(`./${name}.js`)',
    }
    expect(rules.unfollowed(invent(odd))).toHaveLength(5)
  })

  test('have at most 400 lines', () => {
    expect(rules.longFiles(files, 400)).toEqual([])
  })

  test('of more lines are found', () => {
    const [fits, long] = ['\n'.repeat(399), '\n'.repeat(400)].map(
      (lines) => `export const x = 1${lines}export const y = 1\n`,
    )
    expect(rules.longFiles(invent({ 'run/a.ts': fits!, 'run/b.ts': long! }), 400)).toEqual(['run/b.ts'])
  })
})

describe('packages', () => {
  test('are each known to one room', () => {
    expect(rules.sharedPackages(files)).toEqual([])
  })

  test('are seen, every one that the package depends on', () => {
    const { dependencies } = JSON.parse(readFileSync(join(SRC, '../package.json'), 'utf8')) as { dependencies: object }
    expect([...rules.packageRooms(files).keys()].sort()).toEqual(Object.keys(dependencies).sort())
  })

  it.each([...WAYS, ...ASSETS])('known to a second room by %s are found', (_, write) => {
    const two = invent({ 'run/a.ts': "import '@scope/thing/part'", 'view/b.ts': write('@scope/thing') })
    expect(rules.sharedPackages(two)).toContain('@scope/thing: run, view')
    const plain = invent({ 'run/a.ts': write('thing'), 'view/b.ts': "import type { X } from 'thing/types'" })
    expect(rules.sharedPackages(plain)).toContain('thing: run, view')
  })

  test('known by JSX alone are found', () => {
    const jsx = invent({ 'cli/a.tsx': 'export const x = <b />', 'view/b.ts': "import 'react'" })
    expect(rules.sharedPackages(jsx)).toEqual(['react: cli, view'])
  })

  test('may be known to several files of a room', () => {
    expect(rules.sharedPackages(invent({ 'run/a.ts': "import 'x'", 'run/b.ts': "import 'x/y'" }))).toEqual([])
  })
})

describe('only the command line reads arguments and environment, writes to the terminal, or ends the process', () => {
  test('in the source', () => {
    expect(rules.touchesProcess(files)).toEqual([])
  })

  it.each([
    'export const x = process.argv[2]',
    'export const x = process?.env',
    'export const { env } = process',
    'export const leave = () => process\n  .exit(1)',
    "import { stdout } from 'node:process'\nexport const x = stdout",
    "export const x = globalThis.process['env']",
  ])('and is found where another room does: %s', (text) => {
    expect(rules.touchesProcess(invent({ 'run/a.ts': text }))).toHaveLength(1)
    expect(rules.touchesProcess(invent({ 'cli/a.ts': text }))).toEqual([])
  })

  test('and the rest of `process` is free', () => {
    expect(rules.touchesProcess(invent({ 'run/a.ts': 'export const x = process.platform // process.env' }))).toEqual([])
  })
})

describe('the plan reads and writes no file', () => {
  test('in the source', () => {
    expect(rules.touchesFiles(files, 'plan')).toEqual([])
  })

  it.each(["import { x } from 'node:fs/promises'", "import fs from 'fs'", "export const x = () => import('node:fs')"])(
    'and is found where it could: %s',
    (text) => {
      expect(rules.touchesFiles(invent({ 'plan/a.ts': text, 'run/b.ts': text }), 'plan')).toEqual(['plan/a.ts'])
    },
  )
})

describe('diagnostics', () => {
  test('are made by the catalogue alone', () => {
    expect(rules.makesDiagnostics(files)).toEqual([])
  })

  test('that are made elsewhere are found', () => {
    const text = "import { entry } from '../base/catalogue/entry.js'"
    expect(rules.makesDiagnostics(invent({ 'run/a.ts': text, 'base/catalogue/b.ts': text }))).toEqual(['run/a.ts'])
  })
})

describe('sentences that users read', () => {
  test('are in the catalogue', () => {
    expect(rules.sentences(files)).toEqual([])
  })

  it.each([
    "export const x = 'the file is gone'",
    'export const x = (path: string) => `${path} has been removed`',
    'export const x = (path: string) => `unchanged, but needed for ${path}`',
    'export const x = "Warning: check the disk and try again."',
    "export const x = { reason: 'never built before, it seems' }",
    "export const x = [\n  'nothing to compute: its tensors are copied',\n]",
  ])('and are found elsewhere: %s', (text) => {
    const both = invent({ 'run/a.ts': text, 'base/catalogue/a.ts': text, 'operators/merge/a.ts': text })
    expect(rules.sentences(both)).toHaveLength(1)
    expect(rules.sentences(both, [])).toHaveLength(2)
  })

  test('and are found between tags', () => {
    expect(rules.sentences(invent({ 'view/a.tsx': 'export const x = <b>the build is not done</b>' }))).toHaveLength(1)
  })

  it.each([
    '// the file is gone for good',
    "export const x = () => {\n  throw new Error('this cannot be so, ever')\n}",
    "export const x = 'down up mid block'.split(' ')",
    "export const x = 'peak memory'",
    'export const x = (done: number, all: number) => `${done} of ${all} tensors`',
    "export const x = 'display: flex; margin: 0 auto'",
  ])('and nothing else is taken for one: %s', (text) => {
    expect(rules.sentences(invent({ 'run/a.ts': text }))).toEqual([])
  })

  test.each(rules.DESCRIBERS)('may stand in %s, where some do', (path) => {
    const described = files.filter((f) => path.test(f.path))
    expect(rules.sentences(described, [])).not.toEqual([])
  })
})

describe('lists', () => {
  test('are not spread into a call that takes them whole', () => {
    expect(rules.spreadsLists(files)).toEqual([])
  })

  it.each(['x.push(...y)', 'Math.max(0, ...y)', 'x.list.splice(...y)'])('that are spread are found: %s', (text) => {
    expect(rules.spreadsLists(invent({ 'run/a.ts': text }))).toEqual(['run/a.ts'])
  })
})
