import { createReadStream } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import { basename } from 'node:path'
import * as zlib from 'node:zlib'
import { Parser, type ReadEntry } from 'tar'
import { openPromise } from 'yauzl'
import { CUDA_REASONS, leavesFolder } from '../../base/catalogue/cuda.js'
import { openRegular } from '../../safetensors/regular-file.js'

/** Bytes in pieces. */
type Pieces = AsyncIterable<Buffer>

/**
 * Where to put a file of an archive, by its name without folders and its bytes; undefined to leave it. Throws to refuse
 * the archive.
 */
export type Take = (name: string, bytes: number) => string | undefined

/** Hears how many bytes of a file have been written. */
export type UnpackedFile = (target: string, done: number, bytes: number) => void

/** Says why a file is not taken. */
export const refuse = (reason: string): Error => new Error(reason)

/**
 * Writes pieces to a new file and has the disk keep it. Exactly `bytes`, with the checksum where one is given;
 * otherwise the file is removed and it throws.
 */
export const writeWhole = async (
  pieces: Pieces,
  target: string,
  bytes: number,
  written: UnpackedFile,
  crc?: number,
): Promise<void> => {
  const file = await open(target, 'wx')
  try {
    let [done, sum] = [0, 0]
    for await (const piece of pieces) {
      done += piece.length
      if (done > bytes) throw refuse(CUDA_REASONS['too-long'])
      // Node.js has it from 20.15 on; the checks of the unpacked file remain.
      if (crc !== undefined && typeof zlib.crc32 === 'function') sum = zlib.crc32(piece, sum)
      await file.appendFile(piece)
      written(target, done, bytes)
    }
    if (done < bytes) throw refuse(CUDA_REASONS['cut-short'])
    if (crc !== undefined && typeof zlib.crc32 === 'function' && sum !== crc) throw refuse(CUDA_REASONS.checksum)
    await file.sync()
  } catch (error) {
    await file.close()
    await unlink(target)
    throw error
  }
  await file.close()
}

const leavesItsFolder = (path: string): boolean => path.startsWith('/') || path.split(/[/\\]/).includes('..')

const unpackZip = async (path: string, take: Take, written: UnpackedFile): Promise<void> => {
  const zip = await openPromise(path, { autoClose: false, lazyEntries: true })
  try {
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith('/')) continue
      const target = take(basename(entry.fileName), entry.uncompressedSize)
      if (target === undefined) continue
      await writeWhole(
        (await zip.openReadStreamPromise(entry)) as Pieces,
        target,
        entry.uncompressedSize,
        written,
        entry.crc32,
      )
    }
  } finally {
    zip.close()
  }
}

const unpackTar = (path: string, take: Take, written: UnpackedFile): Promise<void> =>
  new Promise((resolve, reject) => {
    const jobs: Promise<void>[] = []
    const file = createReadStream(path)
    const fail = (error: unknown): void => {
      file.destroy()
      // Every file that is being written ends before anyone cleans up.
      void Promise.allSettled(jobs).then(() => reject(error))
    }
    const targetOf = (entry: ReadEntry): string | undefined => {
      if (leavesItsFolder(entry.path)) throw refuse(leavesFolder(entry.path))
      return entry.type === 'File' || entry.type === 'OldFile' ? take(basename(entry.path), entry.size) : undefined
    }
    const parser = new Parser({
      strict: true,
      onReadEntry: (entry) => {
        try {
          const target = targetOf(entry)
          if (target === undefined) entry.resume()
          else jobs.push(writeWhole(entry as Pieces, target, entry.size, written))
        } catch (error) {
          fail(error)
        }
      },
    })
    parser.on('error', fail)
    parser.on('end', () => void Promise.all(jobs).then(() => resolve(), fail))
    file.on('error', fail)
    file.pipe(parser)
  })

/** What a file is, by its first bytes. */
const kindOf = async (path: string): Promise<'zip' | 'tar' | undefined> => {
  const opened = await openRegular(path, 'an archive')
  if (opened.type === 'failed') throw refuse(opened.diagnostics[0]!.message)
  const file = opened.value
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0)
    if (buffer.toString('latin1', 0, 4) === 'PK\u0003\u0004') return 'zip'
    if (buffer[0] === 0x1f && buffer[1] === 0x8b) return 'tar'
    return bytesRead === 512 && buffer.toString('latin1', 257, 262) === 'ustar' ? 'tar' : undefined
  } finally {
    await file.close()
  }
}

/**
 * Unpacks what `take` wants out of a wheel or any other zip, or a tarball, packed with gzip or not. No path of the
 * archive is ever used. Throws what is wrong with it.
 */
export const unpack = async (path: string, take: Take, written: UnpackedFile): Promise<void> => {
  const kind = await kindOf(path)
  if (kind === undefined) throw refuse(CUDA_REASONS['no-archive'])
  await (kind === 'zip' ? unpackZip : unpackTar)(path, take, written)
}
