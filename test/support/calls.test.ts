import { expect, test } from 'vitest'
import { callsOf, growthOf } from './calls.js'

let sum = 0
const add = (n: number): void => {
  sum += n
}
const once = (n: number) => (): void => {
  for (let i = 0; i < n; i++) add(i)
}
const forEachPair = (n: number) => (): void => {
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) add(i ^ j)
}

test('calls are as many each time, also of code that was optimised since', async () => {
  const calls = await callsOf(once(1000))
  once(1e6)()
  expect(Math.abs((await callsOf(once(1000))) - calls)).toBeLessThan(20)
  expect(calls).toBeGreaterThan(1000)
  expect(sum).toBeGreaterThan(0)
})

test('what grows with the square of the size is told from what grows with the size', async () => {
  expect(await growthOf(once(1000), once(2000))).toBeCloseTo(2, 1)
  expect(await growthOf(forEachPair(100), forEachPair(200))).toBeCloseTo(4, 1)
})

test('calls after a wait are counted to its end', async () => {
  const slow = async (): Promise<void> => {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    once(5000)()
  }
  expect(await callsOf(slow)).toBeGreaterThan(5000)
})
