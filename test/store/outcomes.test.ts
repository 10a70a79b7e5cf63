import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openOutcomes, type StoredOutcome } from '#src/store/outcomes.js'
import { inFolder } from '../support/build-run.js'

const number = (value: number): StoredOutcome => ({ type: 'number', value })
const ODD: ReadonlyMap<string, StoredOutcome> = new Map([
  ...[0, -0, 1.5, -1e-320, 0.1, Infinity, -Infinity, NaN, 2 ** 60 + 1].map((x, i) => [`n${i}`, number(x)] as const),
  ['all', { type: 'top', bits: 0x3f800000, cut: 'all' }],
  ['none', { type: 'top', bits: 0x7f800000, cut: 'none' }],
  ['here', { type: 'top', bits: 0, cut: { at: 3 } }],
  ['there', { type: 'top', bits: 5, cut: { tensor: 'a "b"\nc', at: 2 ** 40 } }],
])
const LIMIT = 1 << 20

describe('outcomes', () => {
  test('are found by later builds as they were, odd numbers and names too', () =>
    inFolder(async (folder) => {
      openOutcomes(folder, LIMIT).keep(ODD)
      const again = openOutcomes(folder, LIMIT)
      for (const [name, outcome] of ODD) expect(again.find(name), name).toEqual(outcome)
      expect(again.find('other')).toBeUndefined()
    }))

  test('may be the first that a store keeps', () =>
    inFolder(async (folder) => {
      openOutcomes(join(folder, 'new', 'v1'), LIMIT).keep(ODD)
      expect(openOutcomes(join(folder, 'new', 'v1'), LIMIT).find('all')).toEqual(ODD.get('all'))
    }))

  test('are written once, however often they are kept', () =>
    inFolder(async (folder) => {
      const outcomes = openOutcomes(folder, LIMIT)
      outcomes.keep(ODD)
      const size = statSync(join(folder, 'outcomes.young')).size
      outcomes.keep(ODD)
      openOutcomes(folder, LIMIT).keep(ODD)
      expect(statSync(join(folder, 'outcomes.young')).size).toBe(size)
    }))

  test('whose line was torn or altered are as if they had never been, and those after it stand', () =>
    inFolder(async (folder) => {
      openOutcomes(folder, LIMIT).keep(
        new Map([
          ['first', number(1)],
          ['second', number(2)],
        ]),
      )
      const path = join(folder, 'outcomes.young')
      const whole = readFileSync(path, 'utf8')
      // The process died while it wrote; the next one appends.
      writeFileSync(path, whole.slice(0, -9))
      openOutcomes(folder, LIMIT).keep(new Map([['third', number(3)]]))
      const torn = openOutcomes(folder, LIMIT)
      expect(['first', 'second', 'third'].map((name) => torn.find(name))).toEqual([number(1), undefined, number(3)])
      for (let at = 0; at < whole.length; at++) {
        const bytes = Buffer.from(whole)
        bytes[at]! ^= 2
        writeFileSync(path, bytes)
        const found = openOutcomes(folder, LIMIT)
        for (const [name, value] of [
          ['first', 1],
          ['second', 2],
        ] as const)
          expect([undefined, value], `byte ${at}`).toContain((found.find(name) as { value: number } | undefined)?.value)
      }
    }))

  test('forget what was not used for a whole log’s length, and nothing that was', () =>
    inFolder(async (folder) => {
      const store = (i: number): void => {
        const outcomes = openOutcomes(folder, 1000)
        if (i > 0) expect(outcomes.find('used'), `round ${i}`).toEqual(number(7))
        outcomes.keep(
          new Map([
            ['used', number(7)],
            [`once ${i}`, number(i)],
          ]),
        )
      }
      for (let i = 0; i < 60; i++) store(i)
      const last = openOutcomes(folder, 1000)
      expect(last.find('once 0')).toBeUndefined()
      expect(last.find('once 59')).toEqual(number(59))
      expect(readdirSync(folder).sort()).toEqual(['outcomes.old', 'outcomes.young'])
      for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).size).toBeLessThan(1300)
    }))

  test('are kept by processes that rotate the logs at the same time, without a word', () =>
    inFolder(async (folder) => {
      const program = `
      const { openOutcomes } = await import(process.argv[1])
      for (let i = 0; i < 400; i++) openOutcomes(process.argv[2], 1).keep(new Map([[process.pid + ' ' + i, { type: 'number', value: i }]]))
    `
      const module = new URL('../../dist/store/outcomes.js', import.meta.url).href
      const children = Array.from({ length: 4 }, () =>
        spawn(process.execPath, ['--input-type=module', '-e', program, module, folder], {
          stdio: ['ignore', 'ignore', 'pipe'],
        }),
      )
      const ends = await Promise.all(
        children.map(async (child) => {
          let told = ''
          child.stderr.on('data', (text: Buffer) => {
            told += text.toString()
          })
          const [code] = (await once(child, 'close')) as [number]
          return `${code} ${told}`
        }),
      )
      expect(ends).toEqual(['0 ', '0 ', '0 ', '0 '])
    }))

  test('of a log that another program filled with noise are not found', () =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'outcomes.young'), Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 37) % 256)))
      appendFileSync(join(folder, 'outcomes.young'), '0123456789abcdef ["x","n","1"]\n{}\n\n')
      const outcomes = openOutcomes(folder, LIMIT)
      expect(outcomes.find('x')).toBeUndefined()
      outcomes.keep(new Map([['x', number(2)]]))
      expect(openOutcomes(folder, LIMIT).find('x')).toEqual(number(2))
    }))
})
