import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readChecksummed, writeChecksummed } from '#src/store/checksummed.js'
import { inFolder } from '../support/build-run.js'

const TEXT = '{"path":"/models/é.safetensors","n":[1,2,3]}\nand a second line'

describe('a sealed entry', () => {
  test('gives back what was written, marks it as used, and leaves no temporary', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'deep', 'er', 'entry.json')
      writeChecksummed(path, TEXT)
      expect(readChecksummed(path, 1_000_000_000_000)).toBe(TEXT)
      expect(statSync(path).mtimeMs).toBe(1_000_000_000_000)
      writeChecksummed(path, '')
      expect(readChecksummed(path, 0)).toBe('')
      expect(readdirSync(join(folder, 'deep', 'er'))).toEqual(['entry.json'])
    }))

  test('that is not there is undefined, and stays so', () =>
    inFolder(async (folder) => {
      expect(readChecksummed(join(folder, 'none'), 0)).toBeUndefined()
      expect(readdirSync(folder)).toEqual([])
    }))

  test('of which any bit flipped is dropped', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'entry')
      writeChecksummed(path, TEXT)
      const whole = readFileSync(path)
      for (let at = 0; at < whole.length; at++) {
        const bytes = Buffer.from(whole)
        bytes[at]! ^= 1 << (at % 8)
        writeFileSync(path, bytes)
        expect(readChecksummed(path, 0), `byte ${at}`).toBeUndefined()
        expect(existsSync(path), `byte ${at}`).toBe(false)
      }
    }))

  test('that was torn anywhere, or has something behind it, is dropped', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'entry')
      writeChecksummed(path, TEXT)
      const whole = readFileSync(path)
      for (let length = 0; length < whole.length; length++) {
        writeFileSync(path, whole.subarray(0, length))
        expect(readChecksummed(path, 0), `${length} bytes`).toBeUndefined()
        expect(existsSync(path), `${length} bytes`).toBe(false)
      }
      for (const more of ['\n', '\u0000', ' ', TEXT]) {
        writeFileSync(path, Buffer.concat([whole, Buffer.from(more)]))
        expect(readChecksummed(path, 0)).toBeUndefined()
      }
      writeFileSync(path, Buffer.alloc(whole.length))
      expect(readChecksummed(path, 0)).toBeUndefined()
    }))

  test('that cannot be written throws, and leaves the old one and no temporary', () =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'file'), 'no folder')
      expect(() => writeChecksummed(join(folder, 'file', 'entry'), TEXT)).toThrow(/ENOTDIR|EEXIST/)
      mkdirSync(join(folder, 'taken', 'full'), { recursive: true })
      expect(() => writeChecksummed(join(folder, 'taken'), TEXT)).toThrow(/EISDIR|ENOTEMPTY/)
      expect(readdirSync(folder).sort()).toEqual(['file', 'taken'])
    }))
})
