import { closeSync, openSync, readFileSync, readSync, rmSync, mkdtempSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { readFully, writeFully, type PositionalIo } from '#src/safetensors/positional.js'
import { makeRandom } from '../safetensors/files.js'
import { cleanup, fault, times } from './machine.js'
import { makeScene } from './scene.js'
import { createTally } from './tally.js'
import { inWorkers, makeVariant } from './variant.js'

const failure = (code: string): Error => Object.assign(new Error(code), { code })

/** Calls that move at most `most` bytes each, and sometimes none because something came in between. */
const stingy = (random: () => number, most: number): PositionalIo => {
  const some = (length: number): number => {
    const chance = random()
    if (chance < 0.1) throw failure('EINTR')
    if (chance < 0.2) throw failure('EAGAIN')
    return Math.max(1, Math.floor(random() * Math.min(most, length)))
  }
  return {
    readSync: (fd, buffer, offset, length, position) => readSync(fd, buffer, offset, some(length), position),
    writeSync: (fd, buffer, offset, length, position) => writeSync(fd, buffer, offset, some(length), position),
  }
}

describe('F11: a system that moves a few bytes at a time, and is interrupted', () => {
  fault('gives every byte in the end', [], () => {
    const folder = mkdtempSync(join(tmpdir(), 'smelt-partial-'))
    cleanup.add(() => rmSync(folder, { recursive: true, force: true }))
    const tally = createTally('F11', 'reads and writes of a few bytes, EINTR, EAGAIN: seeds')
    const path = join(folder, 'file')
    for (let seed = 1; seed <= times(60, 1000); seed++) {
      const random = makeRandom(seed)
      const bytes = Uint8Array.from({ length: 1 + Math.floor(random() * 300) }, () => random() * 256)
      const position = Math.floor(random() * 100)
      writeFileSync(path, '')
      const fd = openSync(path, 'r+')
      const io = stingy(random, 1 + Math.floor(random() * 64))
      const back = new Uint8Array(bytes.length)
      const problems = [writeFully(fd, path, bytes, position, io), readFully(fd, path, back, position, io)]
      closeSync(fd)
      const same = Buffer.compare(back, bytes) === 0 && readFileSync(path).subarray(position).equals(bytes)
      tally.see('golden', !same || problems.some((p) => p !== undefined))
      expect([seed, same, ...problems]).toEqual([seed, true, undefined, undefined])
    }
    tally.end()
  })

  fault('changes no byte of a build', [], async () => {
    const scene = await makeScene({ tensors: 8, elements: 1 << 13 })
    const stage = scene.stage()
    const tally = createTally('F11', 'builds whose reads and writes move few bytes, EINTR, EAGAIN')
    for (let i = 0; i < times(1, 10); i++) {
      const main = makeVariant(
        inWorkers(`
const { readSync, writeSync } = fs
const few = (length, position) => {
  // Node reads its own modules by these calls too, and not by position.
  if (typeof position !== 'number' || position < 0) return length
  const chance = Math.random()
  if (chance < 0.05) throw Object.assign(new Error('made to fail'), { code: chance < 0.02 ? 'EAGAIN' : 'EINTR' })
  return Math.max(1, Math.floor(Math.random() * Math.min(${[300, 5000, 60_000][i % 3]}, length)))
}
fs.readSync = (fd, buffer, offset, length, position) => readSync(fd, buffer, offset, few(length, position), position)
fs.writeSync = (fd, buffer, offset, length, position) => writeSync(fd, buffer, offset, few(length, position), position)
`),
      )
      stage.reset('old')
      const ended = await stage.build({ main })
      tally.see('golden', stage.judge() !== 'new')
      expect([ended.code, stage.judge(), stage.leftovers()]).toEqual([0, 'new', []])
    }
    tally.end()
  })
})
