import { execFileSync } from 'node:child_process'
import { symlinkSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openRegular, readRegular, readRegularSync } from '#src/safetensors/regular-file.js'
import { makeFolder, problemOf, put, valueOf } from './files.js'

const LIMITS = { wanted: 'a note', most: 10 }

describe('a regular file', () => {
  test('is read whole, also through a link and when it is empty', async () => {
    const folder = makeFolder()
    const path = put(folder, 'note', 'hello')
    symlinkSync(path, join(folder, 'link'))
    for (const name of ['note', 'link'])
      expect(valueOf(await readRegular(join(folder, name), LIMITS)).toString()).toBe('hello')
    expect(valueOf(await readRegular(put(folder, 'empty', ''), LIMITS)).length).toBe(0)
    expect(readRegularSync(path)).toBe('hello')
  })

  test('that is too large is refused by its size alone', async () => {
    const path = put(makeFolder(), 'note', '')
    truncateSync(path, 2 ** 40)
    expect(problemOf(await readRegular(path, LIMITS))).toMatchObject({
      code: 'file-oversized',
      help: 'check that it is a note',
    })
    truncateSync(path, 11)
    expect(problemOf(await readRegular(path, LIMITS)).message).toBe(`${path} has 11 bytes; a note has at most 10 bytes`)
    truncateSync(path, 10)
    expect(valueOf(await readRegular(path, LIMITS)).length).toBe(10)
  })

  test('that is not there is what the system says', async () => {
    const path = join(makeFolder(), 'none')
    await expect(readRegular(path, LIMITS)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(() => readRegularSync(path)).toThrow('ENOENT')
  })
})

test.runIf(process.platform !== 'win32')(
  'a FIFO, a folder and a device are named, never waited for, and never read',
  async () => {
    const folder = makeFolder()
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    const kinds = {
      [fifo]: 'is a FIFO (named pipe), not a note',
      [folder]: 'is a folder, not a note',
      '/dev/zero': 'is a device, not a note',
    }
    for (const [path, told] of Object.entries(kinds)) {
      expect(problemOf(await openRegular(path, 'a note')).message).toBe(`${path} ${told}`)
      expect(readRegularSync(path)).toBeUndefined()
    }
  },
)
