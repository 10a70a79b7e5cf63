import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { createClockwork, createLineCutter, readEvent } from '#src/view/dashboard/read-events.js'
import { fold } from '#src/view/dashboard/fold.js'
import { NOTHING_HEARD } from '#src/view/dashboard/state.js'
import { buildEventLine } from '#src/view/json.js'
import {
  counted,
  ended,
  failed,
  finished,
  half,
  halfWay,
  locked,
  made,
  memory,
  NOW,
  planned,
  reported,
  screen,
  started,
  stop,
  tensorDone,
  units,
  warned,
  written,
} from './support.js'

const kept = { ...written, type: 'output-kept' } as typeof written
const all = [
  { type: 'download-started', repository: 'org/model', files: 3, bytes: 4e9 } as const,
  { type: 'bytes-downloaded', repository: 'org/model', bytes: 1e9, total: 4e9 } as const,
  { type: 'download-finished', repository: 'org/model', ok: true, bytes: 4e9, total: 4e9 } as const,
  made,
  started,
  counted,
  planned,
  units(0, 1, 2, 3, 'x'),
  tensorDone(1, 2),
  memory(5),
  written,
  kept,
  reported,
  locked,
  warned,
  stop,
  finished,
  failed,
  ended,
]

const schema = JSON.parse(readFileSync(new URL('../../../schema/events.schema.json', import.meta.url), 'utf8')) as {
  readonly properties: { readonly type: { readonly enum: readonly string[] } }
}
const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(schema)

describe('the stream of events', () => {
  it.each(all.map((event) => [event.type, event] as const))('is as its schema says where it tells %s', (_, event) => {
    validate(JSON.parse(buildEventLine(event, 1234.5)))
    expect(validate.errors ?? []).toEqual([])
  })

  it('has no type that the schema or the reader does not know', () => {
    expect(new Set(schema.properties.type.enum)).toEqual(new Set(all.map((e) => e.type)))
    for (const event of all) expect(readEvent(buildEventLine(event, 1)).type).toBe('event')
  })

  it('is refused by the schema where a field is missing or of another kind', () => {
    for (const event of all) {
      const whole = JSON.parse(buildEventLine(event, 1)) as Record<string, unknown>
      const needed = Object.keys(whole).filter((key) => !['next', 'deviceReason'].includes(key))
      for (const key of needed) {
        const { [key]: _, ...rest } = whole
        expect(validate(rest), `${event.type} without ${key}`).toBe(false)
      }
    }
  })

  it('is enough to draw the same dashboard elsewhere', () => {
    const lines = half.map(({ event, at }) => buildEventLine(event, at))
    const read = createLineCutter()(lines.join('')).map(readEvent)
    const state = fold(
      NOTHING_HEARD,
      read.flatMap((r) => (r.type === 'event' ? [{ event: r.event, at: r.at! }] : [])),
    )
    for (const page of ['steps', 'step', 'log', 'find'] as const) {
      expect(screen(state, { columns: 200, rows: 60, now: NOW }, { page })).toEqual(
        screen(halfWay, { columns: 200, rows: 60, now: NOW }, { page }),
      )
    }
  })
})

describe('reading events', () => {
  it('passes over types that are not known, and refuses what is no event or of a later version', () => {
    expect(readEvent('{"v":1,"at":3,"type":"moon-landed"}')).toEqual({ type: 'unknown' })
    expect(readEvent('{"v":2,"at":3,"type":"run-failed","seconds":1}')).toEqual({ type: 'newer', version: 2 })
    for (const line of [
      '',
      'npm warn',
      '[]',
      'null',
      '3',
      '{"type":"run-failed"}',
      '{"v":1}',
      '{"v":1,"type":"run-failed"}',
      '{"v":1,"type":"constructor"}',
    ]) {
      expect(['broken', 'unknown']).toContain(readEvent(line).type)
    }
  })

  it('takes nothing that could break what draws it: any field gone or changed is refused or does no harm', () => {
    const values = [undefined, null, 3, -1, 1e300, 'x', [], {}, [3], [null], [{}], true]
    for (const event of all) {
      const whole = JSON.parse(buildEventLine(event, 1)) as Record<string, unknown>
      for (const key of Object.keys(whole)) {
        for (const value of values) {
          const read = readEvent(JSON.stringify({ ...whole, [key]: value }))
          if (read.type !== 'event') continue
          const state = fold(halfWay, [{ event: read.event, at: 6000 }])
          for (const page of ['steps', 'step', 'log', 'find'] as const)
            expect(screen(state, { now: 7000 }, { page, query: 'a' })).toHaveLength(24)
        }
      }
    }
  })

  it('joins lines that come in pieces and waits for the end of the last', () => {
    const cut = createLineCutter()
    expect([cut('{"a"'), cut(':1}\n{"b":2}\r\n\n{"c'), cut('":3}\n')]).toEqual([
      [],
      ['{"a":1}', '{"b":2}'],
      ['{"c":3}'],
    ])
  })

  it('never lets time go back', () => {
    const clockwork = createClockwork(() => 50)
    expect(
      [clockwork(ended, 10), clockwork(ended, 5), clockwork(ended, undefined), clockwork(ended, 60)].map((h) => h.at),
    ).toEqual([10, 10, 50, 60])
  })
})
