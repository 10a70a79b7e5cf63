import type { BigIntStats } from 'node:fs'
import { readdir, readlink, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, extname, resolve, sep } from 'node:path'
import { backslashInPath, fileMissing, folderMissing, linkDangling } from '../base/catalogue/io.js'
import * as problems from '../base/catalogue/safetensors.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok } from '../base/result.js'
import type { Result } from '../base/result.js'
import { nearest } from '../base/suggest.js'
import { headerLength, parseHeader, PREFIX } from './header.js'
import type { Header } from './header.js'
import { errorCode, ioProblem } from './io-problem.js'
import { HEAD, recogniseOther } from './recognise.js'
import { openRegular } from './regular-file.js'

/** What tells whether a file is still the one whose header was read. */
export interface FileIdentity {
  readonly size: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly ino: bigint
  readonly dev: bigint
}

/** The identity of a file from what the system tells of it. */
export const identityOf = ({ size, mtimeNs, ctimeNs, ino, dev }: BigIntStats): FileIdentity => ({
  size: Number(size),
  mtimeNs,
  ctimeNs,
  ino,
  dev,
})

/** The identity of something of that many bytes that is no file on this machine: no file has it. */
export const noFile = (size: number): FileIdentity => ({ size, mtimeNs: 0n, ctimeNs: 0n, ino: 0n, dev: 0n })

/** True when two identities are of one file that nobody has written to in between. */
export const isSameFile = (x: FileIdentity, y: FileIdentity): boolean =>
  x.size === y.size && x.mtimeNs === y.mtimeNs && x.ctimeNs === y.ctimeNs && x.ino === y.ino && x.dev === y.dev

/**
 * One safetensors file that keeps every rule of the format: `headerBytes + bytes` is its length, tensors lie in the
 * order of their bytes.
 */
export interface SafetensorsFile extends Header {
  /** Absolute. */
  readonly path: string
  /** Bytes in front of the data: the header with its length and padding. */
  readonly headerBytes: number
  /** Bytes of all tensors. */
  readonly bytes: number
  readonly identity: FileIdentity
}

/** BOOL bytes that are looked at when a file is opened; values beyond are copied unseen. */
const BOOL_BYTES = 1 << 20

/**
 * Reads and judges the header of one safetensors file; whatever else the file turns out to be is named in the problem.
 */
export const readHeader = async (path: string): Promise<Result<SafetensorsFile>> => {
  try {
    const opened = await openRegular(path, 'a safetensors file')
    if (opened.type === 'failed') return opened
    try {
      return await readOpen(path, opened.value)
    } finally {
      await opened.value.close()
    }
  } catch (error) {
    return failed(await openingProblem(error, path))
  }
}

/**
 * Why a path that should be read could not be: the nearest names of its folder if nothing is there, those with a
 * `wanted` ending first, or what the system said.
 */
export const openingProblem = async (error: unknown, path: string, wanted = MODEL): Promise<Diagnostic> => {
  if (!['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return ioProblem(error, path, 'read')
  if (sep === '/' && path.includes('\\')) {
    const meant = path.replaceAll('\\', '/')
    const from = path.lastIndexOf('/', path.indexOf('\\')) + 1
    return backslashInPath(
      path,
      meant.slice(from),
      await stat(meant).then(
        () => true,
        () => false,
      ),
    )
  }
  const target = await readlink(path).catch(() => undefined)
  if (target !== undefined) return linkDangling(path, target)
  const names = await readdir(dirname(path)).catch(() => undefined)
  if (names === undefined) return folderMissing(path, dirname(path))
  const stem = stemOf(basename(path))
  const same = names.filter((name) => stemOf(name) === stem && wanted.test(name))
  const near = nearest(stem, new Set(names.map(stemOf)))
  const alike = names.filter((name) => near.includes(stemOf(name)) && extname(name) === extname(path))
  return fileMissing(
    path,
    [...new Set(same.length > 0 ? same : [...alike, ...nearest(basename(path), names)])].slice(
      0,
      alike.length > 0 ? Math.min(alike.length, 3) : 3,
    ),
  )
}

/** Endings of models; one is often asked for by another than it has, or by none. */
const MODEL = /\.(?:safetensors|sft|ckpt|pt|pth|bin|(?:safetensors|bin)\.index\.json)$/i
const stemOf = (name: string): string =>
  name.replace(/(?:\.(?:safetensors|sft|index\.json|ckpt|pt|pth|bin|gguf|ya?ml))+$/i, '').toLowerCase()

const readOpen = async (path: string, handle: FileHandle): Promise<Result<SafetensorsFile>> => {
  const identity = identityOf(await handle.stat({ bigint: true }))
  const absolute = resolve(path)
  const refuse = async (problem: {
    readonly type: 'failed'
    readonly diagnostics: readonly Diagnostic[]
  }): Promise<Result<never>> => {
    const other = recogniseOther(absolute, await readSome(handle, HEAD, 0))
    return other === undefined ? problem : failed(other)
  }
  const length = headerLength(absolute, await readSome(handle, PREFIX, 0), identity.size)
  if (length.type === 'failed') return refuse(length)
  const header = parseHeader(absolute, await readSome(handle, length.value, PREFIX), identity.size)
  if (header.type === 'failed') return refuse(header)
  const headerBytes = PREFIX + length.value
  const { tensors, metadata } = header.value
  const odd = await findOddBooleans(handle, header.value)
  return ok({ path: absolute, tensors, metadata, headerBytes, bytes: identity.size - headerBytes, identity }, [
    ...header.diagnostics,
    ...odd.map((name) => problems.boolNotBoolean(absolute, name)),
  ])
}

/** Up to `length` bytes from a position; fewer only where the file ends. */
const readSome = async (handle: FileHandle, length: number, position: number): Promise<Buffer> => {
  const buffer = Buffer.allocUnsafeSlow(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}

/** The first BOOL tensor that holds a byte other than 0 and 1, within the first {@link BOOL_BYTES} of such tensors. */
const findOddBooleans = async (handle: FileHandle, header: Header): Promise<string[]> => {
  let left = BOOL_BYTES
  for (const { name, dtype, begin, end } of header.tensors.values()) {
    if (dtype !== 'BOOL' || left === 0) continue
    const bytes = await readSome(handle, Math.min(left, end - begin), begin)
    if (bytes.some((byte) => byte > 1)) return [name]
    left -= bytes.length
  }
  return []
}
