import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What the stand-in for CUDA's runtime was asked for, in order. */
export interface StubEvent {
  readonly type: 'malloc' | 'refuse' | 'free' | 'pin' | 'unpin' | 'to-device' | 'from-device' | 'copy' | 'wait'
  readonly bytes: number
  readonly pinned: boolean
}

const parse = (line: string): StubEvent => {
  const [type, ...rest] = line.split(' ') as [StubEvent['type'], ...string[]]
  const direction = type !== 'copy' ? type : rest[0] === '1' ? 'to-device' : rest[0] === '2' ? 'from-device' : 'copy'
  return { type: direction, bytes: Number(rest[type === 'copy' ? 1 : 0]), pinned: rest.at(-1) === 'pinned' }
}

/**
 * Has the stubs of this process write down what they are asked for; `take` gives what is new since it was last called.
 */
export const recordStub = (): { take(): readonly StubEvent[]; stop(): void } => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-stub-log-'))
  const path = join(folder, 'log')
  process.env['SMELT_STUB_LOG'] = path
  return {
    take: () => {
      const lines = existsSync(path)
        ? readFileSync(path, 'utf8')
            .split('\n')
            .filter((line) => line !== '')
        : []
      writeFileSync(path, '')
      return lines.map(parse)
    },
    stop: () => {
      delete process.env['SMELT_STUB_LOG']
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The most bytes of the device that were taken at once. */
export const mostTaken = (events: readonly StubEvent[]): number => {
  let [now, most] = [0, 0]
  for (const { type, bytes } of events) {
    now += type === 'malloc' ? bytes : type === 'free' ? -bytes : 0
    most = Math.max(most, now)
  }
  return most
}
