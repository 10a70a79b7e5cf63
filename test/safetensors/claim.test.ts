import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { exitCode } from '#src/base/diagnostic.js'
import { claimOutput } from '#src/safetensors/claim.js'
import { createRunId, type RunId } from '#src/safetensors/run-id.js'
import { inFolder } from '../support/build-run.js'

const [HOST, BOOT, PID, START, RANDOM] = createRunId().split('-') as [string, string, string, string, string]
const runId = (of: {
  readonly host?: string
  readonly boot?: string
  readonly pid?: string
  readonly start?: string
}): RunId => [of.host ?? HOST, of.boot ?? BOOT, of.pid ?? PID, of.start ?? START, RANDOM].join('-') as RunId
const CLAIM = '.out.safetensors.building'

const claim = async (folder: string, by: RunId = createRunId()) => claimOutput(join(folder, 'out.safetensors'), by)

describe('a claim', () => {
  // The clock stands still, so that ages are what the tests say however long they take.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
  afterEach(() => void vi.useRealTimers())

  test('is held until it is released, and leaves nothing behind', () =>
    inFolder(async (folder) => {
      const first = await claim(folder)
      if (first.type === 'failed') throw new Error('refused')
      expect(readdirSync(folder)).toEqual([CLAIM])
      const second = await claim(folder)
      expect(second.diagnostics.map((d) => d.code)).toEqual(['output-claimed'])
      expect(exitCode(second.diagnostics)).toBe(75)
      expect(second.diagnostics[0]!.message).toBe(
        `${join(folder, 'out.safetensors')} is being built by process ${process.pid}`,
      )
      expect(second.diagnostics[0]!.help).toContain(join(folder, CLAIM))
      expect(readdirSync(folder)).toEqual([CLAIM])
      first.value.release()
      expect(readdirSync(folder)).toEqual([])
      expect((await claim(folder)).type).toBe('ok')
    }))

  test('makes the folder of its output', () =>
    inFolder(async (folder) => {
      expect((await claimOutput(join(folder, 'deep/er/out.safetensors'), createRunId())).type).toBe('ok')
      expect(readdirSync(join(folder, 'deep/er'))).toEqual([CLAIM])
    }))

  test.each<[string, RunId]>([
    ['of a process that is gone', runId({ pid: '999999999' })],
    ['of a process whose number another has now', runId({ start: '1' })],
    ['from before the machine was started', runId({ boot: '00000000' })],
  ])('%s is taken over', (_, owner) =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, CLAIM), owner)
      const own = createRunId()
      expect((await claim(folder, own)).type).toBe('ok')
      expect(readFileSync(join(folder, CLAIM), 'utf8')).toBe(own)
      expect(readdirSync(folder)).toEqual([CLAIM])
    }),
  )

  test.each<[string, string, string]>([
    ['of another host', runId({ host: '00000000', pid: '42' }), 'process 42 on another host'],
    ['that says something else', 'who knows', 'another process'],
  ])('%s stands', (_, owner, words) =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, CLAIM), owner)
      const refused = await claim(folder)
      expect(refused.diagnostics[0]).toMatchObject({ code: 'output-claimed', message: expect.stringContaining(words) })
      expect(readFileSync(join(folder, CLAIM), 'utf8')).toBe(owner)
    }),
  )

  test('that has no owner yet stands for five seconds and no longer', () =>
    inFolder(async (folder) => {
      const path = join(folder, CLAIM)
      writeFileSync(path, '')
      expect((await claim(folder)).type).toBe('failed')
      const age = (seconds: number): void => utimesSync(path, Date.now() / 1000 - seconds, Date.now() / 1000 - seconds)
      age(3)
      expect((await claim(folder)).type).toBe('failed')
      age(6)
      expect((await claim(folder)).type).toBe('ok')
      expect(readFileSync(path, 'utf8')).not.toBe('')
    }))

  test('of another host stands as long as it is renewed, and is nobody’s after five minutes without', () =>
    inFolder(async (folder) => {
      const path = join(folder, CLAIM)
      const elsewhere = runId({ host: '00000000', pid: '42' })
      const age = (seconds: number): void => utimesSync(path, Date.now() / 1000 - seconds, Date.now() / 1000 - seconds)
      writeFileSync(path, elsewhere)
      age(290)
      expect((await claim(folder)).type).toBe('failed')
      age(310)
      const own = await claim(folder)
      if (own.type === 'failed') throw new Error('refused')
      age(310)
      own.value.renew()
      expect(Date.now() - statSync(path).mtimeMs).toBeLessThan(60_000)
      own.value.release()
      own.value.renew()
      own.value.release()
      expect(readdirSync(folder)).toEqual([])
    }))

  test('of a living process of this host stands however old it is', () =>
    inFolder(async (folder) => {
      const path = join(folder, CLAIM)
      writeFileSync(path, createRunId())
      utimesSync(path, 1, 1)
      expect((await claim(folder)).type).toBe('failed')
    }))

  test('is got by one of many who ask at once', () =>
    inFolder(async (folder) => {
      for (const left of [undefined, runId({ pid: '999999999' })]) {
        if (left !== undefined) writeFileSync(join(folder, CLAIM), left)
        const results = await Promise.all(Array.from({ length: 20 }, () => claim(folder)))
        const got = results.filter((r) => r.type === 'ok')
        expect(got).toHaveLength(1)
        for (const { value } of got) value.release()
        expect(existsSync(join(folder, CLAIM))).toBe(false)
      }
      expect(readdirSync(folder)).toEqual([])
    }))
})
