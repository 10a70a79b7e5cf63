import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { CUDA_REASONS } from '../../base/catalogue/cuda.js'

const HEADER = 64
const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46, /* 64 bits */ 2, /* little-endian */ 1])
const [SHARED, X86_64] = [3, 62]

/**
 * What is wrong with a file as a shared library for Linux on x86-64; undefined where its header is sound and its tables
 * lie within it.
 */
export const whyNoLibrary = (path: string): string | undefined => {
  const file = openSync(path, 'r')
  try {
    const header = Buffer.alloc(HEADER)
    const { size } = fstatSync(file)
    if (readSync(file, header, 0, HEADER, 0) < HEADER || !header.subarray(0, MAGIC.length).equals(MAGIC))
      return CUDA_REASONS['no-elf']
    if (header.readUInt16LE(16) !== SHARED || header.readUInt16LE(18) !== X86_64) return CUDA_REASONS['other-machine']
    const end = (table: number, each: number, count: number): number =>
      Number(header.readBigUInt64LE(table)) + header.readUInt16LE(each) * header.readUInt16LE(count)
    return Math.max(end(32, 54, 56), end(40, 58, 60)) > size ? CUDA_REASONS['cut-short'] : undefined
  } finally {
    closeSync(file)
  }
}

const CHUNK = 1 << 22
/** A version takes no more bytes than this, its zeros included. */
const LONGEST = 24
const VERSION = /\0(\d{1,3}\.\d{1,3}\.\d{1,3})\0/

/**
 * The first text between zeros in a file that is three numbers with dots, as ONNX Runtime's libraries hold their
 * version; undefined where there is none.
 */
export const findVersion = (path: string): string | undefined => {
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(CHUNK)
    for (let at = 0; ;) {
      const length = readSync(file, buffer, 0, buffer.length, at)
      const found = VERSION.exec(buffer.toString('latin1', 0, length))
      if (found !== null) return found[1]
      // Each piece begins within the one before, so that no version is cut in two.
      if (length <= LONGEST) return undefined
      at += length - LONGEST
    }
  } finally {
    closeSync(file)
  }
}
