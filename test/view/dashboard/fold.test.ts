import { describe, expect, it } from 'vitest'
import { fold } from '#src/view/dashboard/fold.js'
import { NOTHING_HEARD } from '#src/view/dashboard/state.js'
import { shownSteps } from '#src/view/dashboard/derive.js'
import {
  after,
  ended,
  everySecond,
  failed,
  finished,
  half,
  halfWay,
  locked,
  made,
  memory,
  nameOf,
  planned,
  reported,
  started,
  stop,
  tensorDone,
  units,
  warned,
  written,
} from './support.js'

const standings = (state = halfWay): Readonly<Record<string, string>> =>
  Object.fromEntries(shownSteps(state).map((s) => [s.outlined.name, `${s.standing} ${s.done}/${s.total}`]))

describe('a build as its events tell it', () => {
  it('counts the tensors in the charge of each step, and those of them that are done', () => {
    expect(standings()).toEqual({
      strong: 'running 1/3',
      attention: 'running 1/3',
      blend: 'running 1/3',
      other: 'done 1/1',
      soft: 'running 2/4',
    })
  })

  it('knows which steps need not run before anything has happened', () => {
    expect(standings(after(made, started))).toMatchObject({ strong: 'waiting 0/4', other: 'reused 0/4' })
  })

  it('shares the worker time of a tensor among the steps that made it', () => {
    expect(halfWay.steps.get('blend')!.seconds).toBeCloseTo(0.5)
    expect(halfWay.steps.get('soft')!.seconds).toBeCloseTo(0.5 + 0.25)
  })

  it('knows what each worker is on, and says so where it only knows what it was on last', () => {
    expect(halfWay.workers).toMatchObject([
      { tensor: nameOf(1), last: false, units: 4 },
      { tensor: nameOf(2), last: false },
    ])
    expect(after(started, units(1, 2, 1, 0)).workers).toMatchObject([
      { tensor: '', units: 0 },
      { tensor: nameOf(2), last: true },
    ])
  })

  it('keeps the greatest memory and what the device is', () => {
    expect(halfWay.memory).toEqual({ now: 2.4e8, peak: 2.5e8 })
    expect(halfWay.run).toMatchObject({ device: 'cpu', deviceReason: 'cuda was not found' })
  })

  it('takes the reading that was planned but turns out not to be needed off what is left', () => {
    const [needed, spare] = [
      after(made, started, planned, units(0, 0, 7.5e8, 2.5e8), tensorDone(0, 1)),
      after(made, started, planned, units(0, 0, 3e8, 2.5e8), tensorDone(0, 1), units(0, 0, 3e8, 2.5e8)),
    ]
    expect(needed.share).toBeCloseTo(0.25)
    expect(spare.share).toBeCloseTo(0.25)
  })

  it('never lets the share that is done fall', () => {
    const events = [
      made,
      started,
      planned,
      units(0, 0, 3e8, 2.5e8),
      tensorDone(0, 1),
      units(0, 0, 3e8, 2.5e8),
      units(1, 1, 1.2e9, 2.6e8),
    ]
    const shares = events.map((_, i) => after(...events.slice(0, i + 1)).share)
    expect(shares).toEqual(shares.toSorted((x, y) => x - y))
  })

  it('is done, with everything in it, once the run has finished', () => {
    const state = after(
      made,
      started,
      planned,
      units(0, 0, 1e9, 2e8),
      memory(1e8),
      written,
      reported,
      locked,
      finished,
      ended,
    )
    expect(state).toMatchObject({
      phase: 'finished',
      share: 1,
      read: 3e9,
      written: 1e9,
      seconds: 8,
      exit: 0,
      memory: { peak: 3.5e8 },
    })
    expect(state.outputs).toMatchObject([{ path: 'build/anime-detail.safetensors', kept: false }])
    expect(state.lock?.changes).toHaveLength(2)
    expect(new Set(Object.values(standings(state)).map((s) => s.split(' ')[0]))).toEqual(new Set(['reused', 'done']))
  })

  it('says which steps had begun when it failed, and which never did', () => {
    const state = after(made, started, planned, units(0, 3, 1e8, 0), failed)
    expect(standings(state)).toMatchObject({ strong: 'stopped 0/3', other: 'failed 0/1', soft: 'failed 0/4' })
  })

  it('stops only after the chunk: until then it is stopping', () => {
    expect(after(made, started, stop).phase).toBe('stopping')
    expect(after(made, started, stop, failed).phase).toBe('failed')
  })

  it('keeps the plan, the problems and the log when another run starts, and nothing else', () => {
    const state = fold(halfWay, [{ at: 9000, event: started }])
    expect(state).toMatchObject({
      plan: halfWay.plan,
      problems: halfWay.problems,
      read: 0,
      share: 0,
      samples: [{ at: 9000, read: 0, written: 0 }],
    })
    expect(state.tensors.size).toBe(0)
    expect(state.log.length).toBe(halfWay.log.length + 2)
  })

  it('comes out the same event by event and all at once, and leaves the state before as it was', () => {
    const before = JSON.stringify([...NOTHING_HEARD.steps])
    const one = half.reduce((state, heard) => fold(state, [heard]), NOTHING_HEARD)
    expect(one).toEqual(halfWay)
    expect(JSON.stringify([...NOTHING_HEARD.steps])).toBe(before)
    const copy = structuredClone(halfWay)
    fold(halfWay, everySecond([units(0, 1, 2e9, 6e8), tensorDone(1, 1), warned, finished]))
    expect(structuredClone(halfWay)).toEqual(copy)
  })

  it('passes over events that a later version may tell', () => {
    expect(fold(halfWay, [{ at: 6000, event: { type: 'moon-landed' } as never }])).toEqual({ ...halfWay, heard: 6000 })
  })

  it('puts small tensors that follow each other on one line of the log, and large ones on lines of their own', () => {
    const finish = (tensor: string, bytes: number) =>
      ({
        type: 'tensor-finished',
        output: 'merged',
        tensor,
        steps: ['blend'],
        how: 'computed',
        bytes,
        seconds: 0.1,
      }) as const
    const { log } = fold(
      NOTHING_HEARD,
      [
        ['a', 10],
        ['b', 20],
        ['c', 5_000_000],
        ['d', 1],
      ].map(([name, bytes], at) => ({ event: finish(name as string, bytes as number), at })),
    )
    expect(log.map((entry) => `${entry.text} ${entry.tensor}`)).toEqual([
      'computed    30 B in 0.2 s 2 small tensors',
      'computed 5.00 MB in 0.1 s c',
      'computed     1 B in 0.1 s d',
    ])
  })

  it('takes the seconds of each step as they are told', () => {
    const event = {
      type: 'tensor-finished',
      output: 'merged',
      tensor: 'a',
      steps: ['x', 'y'],
      how: 'computed',
      bytes: 1,
      seconds: 4,
      stepSeconds: { x: 1, y: 3 },
    } as const
    expect([...fold(NOTHING_HEARD, [{ event, at: 1 }]).steps].map(([name, { seconds }]) => [name, seconds])).toEqual([
      ['x', 1],
      ['y', 3],
    ])
  })

  it('keeps no more of the log than a person reads', () => {
    const many = Array.from({ length: 6000 }, (_, i) => tensorDone(i, 1))
    expect(after(made, started, ...many).log).toHaveLength(5000)
  })
})

describe('a tensor that several outputs have', () => {
  const in2 = (output: string, seconds: number) => ({
    ...(tensorDone(0, seconds) as Extract<typeof made, { readonly type: 'tensor-finished' }>),
    output,
  })
  const twice = {
    type: 'work-planned',
    tensors: ['merged', 'other'].map((output) => ({ output, tensor: nameOf(0), steps: ['blend'], bytes: 1e8 })),
  } as const

  it('is done when all of them have it, and its time is counted once', () => {
    const [one, both] = [
      after(made, started, twice, in2('merged', 1)),
      after(made, started, twice, in2('merged', 1), in2('other', 1.5)),
    ]
    expect(one.tensors.get(nameOf(0))).toMatchObject({ state: 'working', left: 1, bytes: 2e8 })
    expect(both.tensors.get(nameOf(0))).toMatchObject({ state: 'done', left: 0, bytes: 2e8, seconds: 1.5 })
    expect([...both.steps.values()].reduce((n, s) => n + s.seconds, 0)).toBeCloseTo(1.5)
    expect(both.steps.get('blend')).toMatchObject({ planned: 2, done: 2 })
  })
})
