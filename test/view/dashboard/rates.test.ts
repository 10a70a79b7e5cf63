import { describe, expect, it } from 'vitest'
import { addSample, history, rateOver, type Sample } from '#src/view/dashboard/rates.js'
import { after, halfWay, made, planned, started, units } from './support.js'
import { rateNow, secondsLeft } from '#src/view/dashboard/derive.js'

const steady = (seconds: number, perSecond: number, every = 100): readonly Sample[] => {
  const samples: Sample[] = []
  for (let at = 0; at <= seconds * 1000; at += every)
    addSample(samples, { at, read: (at / 1000) * perSecond, written: (at / 4000) * perSecond })
  return samples
}

describe('rates', () => {
  it('are those of the last moments, exact between the samples', () => {
    expect(rateOver(steady(20, 1e8), 20_000, 2_000)).toEqual({
      read: expect.closeTo(1e8, 0),
      written: expect.closeTo(2.5e7, 0),
    })
  })

  it('fall while nothing comes', () => {
    expect(rateOver(steady(10, 1e8), 11_000, 2_000)!.read).toBeCloseTo(5e7, 0)
    expect(rateOver(steady(10, 1e8), 14_000, 2_000)!.read).toBe(0)
  })

  it('are not known from less than half a second', () => {
    expect(rateOver(steady(1, 1e8), 400, 2_000)).toBeUndefined()
    expect(rateOver([], 400, 2_000)).toBeUndefined()
  })

  it('need few samples however often a run tells', () => {
    const samples = steady(600, 1e8, 1)
    expect(samples.length).toBeLessThanOrEqual(600)
    expect(rateOver(samples, 600_000, 2_000)!.read).toBeCloseTo(1e8, 0)
  })

  it('make a history that is blank before the run began', () => {
    const past = history(steady(3, 1e8), 3_000, 5, 1_000)
    expect(past.map((r) => r && Math.round(r.read / 1e6))).toEqual([undefined, undefined, 100, 100, 100])
  })

  it('remember the best second of a run', () => {
    const state = after(made, started, planned, units(0, 0, 1e8, 0), units(0, 0, 9e8, 0), units(0, 0, 1e9, 0))
    expect(state.best).toBeCloseTo(8e8)
  })
})

describe('the time left', () => {
  it('follows from what is done and how fast it goes', () => {
    const { read, written } = rateNow(halfWay, 5000)!
    expect((read + written) / 1e9).toBeCloseTo((3e8 + 1e8) / 1e9, 5)
    expect(secondsLeft(halfWay, 5000)).toBeCloseTo((2e9 * (1 / halfWay.share - 1)) / (2e9 / 4), 5)
  })

  it('is not told before anything is known, nor after the end', () => {
    expect(secondsLeft(after(made, started), 60_000)).toBeUndefined()
  })
})
