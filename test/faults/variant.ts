import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cleanup } from './machine.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** One place in a compiled file to spoil. */
export interface Spoiling {
  readonly file: string
  readonly find: RegExp
  readonly put: string
}

/**
 * Makes a copy of the compiled program with some protection taken out; gives its main file. A pattern that is not there
 * throws: nothing would be spoilt.
 */
export const makeVariant = (...spoilings: readonly Spoiling[]): string => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-variant-'))
  cleanup.add(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true })
  for (const name of ['node_modules', 'package.json', 'schema']) symlinkSync(join(ROOT, name), join(folder, name))
  for (const { file, find, put } of spoilings) {
    const path = join(folder, 'dist', file)
    const text = readFileSync(path, 'utf8')
    if (!find.test(text)) throw new Error(`${file} has nothing like ${find}: this variant has to follow the program`)
    writeFileSync(path, text.replace(find, put))
  }
  return join(folder, 'dist/cli/main.js')
}

/** Runs some code, which may use `fs`, in every worker before it begins. */
export const inWorkers = (code: string): Spoiling => ({
  file: 'run/worker.js',
  find: /^const kernels = /m,
  put: `const { default: fs } = await import('node:fs')\n${code}\nconst kernels = `,
})

/**
 * Lets every sync of a file, or of a folder, be told as done without being done; says on standard error how many were.
 */
const syncNothing = (what: 'file' | 'folder'): Spoiling => ({
  file: 'cli/main.js',
  find: /^#!.*\n/,
  put: `#!/usr/bin/env node
const { default: fs } = await import('node:fs')
const { syncBuiltinESMExports } = await import('node:module')
let skipped = 0
const skips = (fd) => fs.fstatSync(fd).isDirectory() === ${what === 'folder'} && ++skipped > 0
for (const name of ['fsync', 'fdatasync']) {
  const [later, now] = [fs[name], fs[name + 'Sync']]
  fs[name] = (fd, done) => (skips(fd) ? process.nextTick(done, null) : later(fd, done))
  fs[name + 'Sync'] = (fd) => (skips(fd) ? undefined : now(fd))
}
syncBuiltinESMExports()
process.on('exit', () => fs.writeSync(2, 'syncs left out: ' + skipped + '\\n'))
`,
})

/** Programs that lack one of the protections, by what they lack. */
export const VARIANTS = {
  'does not sync files': [syncNothing('file')],
  'does not sync folders': [syncNothing('folder')],
  'writes in place': [
    {
      file: 'safetensors/temporary.js',
      find: /export const temporaryName = \(name, runId\) => .*;/,
      put: 'export const temporaryName = (name) => name;',
    },
    { file: 'safetensors/output.js', find: /O_CREAT \| O_EXCL/, put: 'O_CREAT' },
  ],
} as const satisfies Record<string, readonly Spoiling[]>
