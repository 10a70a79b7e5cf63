// How the bundle loads the scripts that `rolldown.config.mjs` puts the program into.
import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import nodeModule, { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { Script } from 'node:vm'
import zlib from 'node:zlib'

/** Scripts smaller than this are compiled as fast as they are found; Node.js loads them, which lets them import modules. */
const SMALL = 16_384

/** A checksum, of which two numbers tell texts and data apart. */
type Checksum = (data: Uint8Array) => number

interface Kept {
  read(name: string, source: Uint8Array): Buffer | undefined
  write(name: string, source: Uint8Array, data: Uint8Array): void
}

/**
 * The folder that this user's compiled scripts are kept in, which nobody else can write to, since what is in it runs;
 * undefined where there is no such folder.
 */
const openFolder = (): string | undefined => {
  const user = process.getuid?.()
  if (user === undefined || process.env['NODE_DISABLE_COMPILE_CACHE'] !== undefined) return undefined
  const folder = join(tmpdir(), `smelt-code-${user}`)
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch {
    // It is there already, or cannot be.
  }
  try {
    const found = lstatSync(folder)
    return found.isDirectory() && found.uid === user && (found.mode & 0o077) === 0 ? folder : undefined
  } catch {
    return undefined
  }
}

/** The checksums and lengths of a source and of what V8 made of it: V8 itself compares only the source's length. */
const headOf = (checksum: Checksum, source: Uint8Array, data: Uint8Array): Buffer =>
  Buffer.from(Uint32Array.of(checksum(source), source.length, checksum(data), data.length).buffer)

const HEAD = 16

/** Where each command keeps what it needs of the scripts. */
const openKept = (checksum: Checksum): Kept | undefined => {
  const folder = openFolder()
  if (folder === undefined) return undefined
  const place = checksum(Buffer.from(import.meta.url)).toString(36)
  const command = /^[a-z]+$/.exec(process.argv[2] ?? '')?.[0] ?? ''
  const pathOf = (name: string): string =>
    join(folder, [basename(name), command, place, process.version, process.arch].join('-'))
  return {
    read: (name, source) => {
      try {
        const file = readFileSync(pathOf(name))
        const data = file.subarray(HEAD)
        return file.subarray(0, HEAD).equals(headOf(checksum, source, data)) ? data : undefined
      } catch {
        return undefined
      }
    },
    write: (name, source, data) => {
      const path = pathOf(name)
      const temporary = `${path}.${process.pid}`
      try {
        writeFileSync(temporary, Buffer.concat([headOf(checksum, source, data), data]), { mode: 0o600 })
        renameSync(temporary, path)
      } catch {
        // The next command compiles again.
        rmSync(temporary, { force: true })
      }
    },
  }
}

/** Lets scripts be loaded with what V8 compiled of them for an earlier command; gives what keeps that of new ones. */
const loadKept = (kept: Kept): (() => void) => {
  const compiled: (() => void)[] = []
  const load = (module: NodeJS.Module, file: string): void => {
    const source = readFileSync(file)
    if (source.length < SMALL) return loaders['.js']!(module, file)
    const cachedData = kept.read(file, source)
    const script = new Script(
      `(function (exports, require, module, __filename, __dirname) { ${source.toString('latin1')}\n})`,
      { filename: file, ...(cachedData === undefined ? {} : { cachedData }) },
    )
    if (cachedData === undefined || script.cachedDataRejected === true)
      compiled.push(() => kept.write(file, source, script.createCachedData()))
    const run = script.runInThisContext() as (...args: readonly unknown[]) => void
    run(module.exports, createRequire(file), module, file, dirname(file))
  }
  // Node.js has no other way to say how files are loaded; the programs of packages do not end in `.cjs`.
  const { _extensions: loaders } = nodeModule as unknown as { readonly _extensions: Record<string, typeof load> }
  loaders['.cjs'] = load
  return () => {
    for (const keep of compiled) keep()
  }
}

/**
 * Lets scripts be loaded with what V8 compiled of them for an earlier command; gives what keeps that of new ones, to be
 * called when the command is over. Node.js 22 and later keep it themselves, and before 20.15 it lacks what this takes:
 * then this does nothing.
 */
export const keepScripts = (): (() => void) => {
  const nothing = (): void => undefined
  if ('enableCompileCache' in nodeModule) return nothing
  const { crc32 } = zlib as { readonly crc32?: Checksum }
  const kept = crc32 === undefined ? undefined : openKept(crc32)
  return kept === undefined ? nothing : loadKept(kept)
}
