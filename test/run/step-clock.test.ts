import { describe, expect, test } from 'vitest'
import { createStepClock } from '#src/run/step-clock.js'
import type { Job, Plan } from '#src/plan/plan.js'
import { renderReport } from '#src/view/report/render.js'
import { withBuildFixture, layersBy } from './build-fixture.js'

const job = (tensor: string, ...outputs: readonly string[]): Job =>
  ({ tensor, step: 'x', copies: [], targets: outputs.map((name) => ({ tensor: name })), kept: [] }) as unknown as Job

describe('worker time by step', () => {
  const jobs = [job('a', 'a', 'b'), job('measured')]
  const plan: Pick<Plan, 'jobs' | 'sharesOf'> = {
    jobs,
    sharesOf: (j) =>
      j === jobs[0]
        ? new Map([
            ['x', 0.25],
            ['y', 0.75],
          ])
        : new Map([['z', 1]]),
  }

  test('goes to the steps of a tensor by their shares, whichever output it is told for', () => {
    const clock = createStepClock(plan)
    clock.spend('a', 4)
    expect(clock.takeOf('a')).toEqual({ x: 1, y: 3 })
    expect(clock.takeOf('b')).toEqual({})
    clock.spend('a', 4)
    expect(clock.takeOf('a')).toEqual({ x: 1, y: 3 })
    expect(clock.secondsOf('a')).toBe(8)
  })

  test('is kept too where no output has the tensor', () => {
    const clock = createStepClock(plan)
    clock.spend('measured', 2)
    clock.spend('unknown', 5)
    expect([...clock.totals()]).toEqual([['z', 2]])
  })

  test('of a build adds up to the time of its workers, with a part for every step that computes', () =>
    withBuildFixture(async (shop) => {
      for (const [i, name] of ['a', 'b'].entries()) await shop.model(`${name}.safetensors`, i, layersBy(i))
      const built = await shop.build(
        {
          models: { a: 'a.safetensors', b: 'b.safetensors' },
          steps: {
            strong: { op: 'mask.magnitude', model: 'b', base: 'a', quantile: 0.5 },
            blend: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.5, mask: 'strong' },
            noisy: { op: 'model.noise', model: 'blend', layers: '**', std: 0.1 },
            look: { op: 'report.model', model: 'a' },
          },
          outputs: {
            one: { from: 'noisy', path: 'one.safetensors' },
            two: { from: 'blend', path: 'two.safetensors' },
            page: { from: 'look', path: 'page.json' },
          },
        },
        { render: renderReport },
      )
      const told = built.events.find((e) => e.type === 'run-finished')!
      const bySteps = told.stepSeconds!
      expect(Object.keys(bySteps).toSorted()).toEqual(['blend', 'look', 'noisy', 'strong'])
      expect(Object.values(bySteps).every((s) => s > 0)).toBe(true)
      expect(Object.values(bySteps).reduce((n, s) => n + s, 0)).toBeCloseTo(
        Object.values(told.spent).reduce((n, s) => n + s, 0),
        6,
      )
    }))
})
