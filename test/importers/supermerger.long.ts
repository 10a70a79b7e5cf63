import { expect, test } from 'vitest'
import { tryMerges } from '../support/supermerger-merges.js'

test('300 merges of any settings are imported as supermerger computes them, or refused, or what differs is told', async () => {
  const { built } = await tryMerges(300, 'many')
  expect(built).toBeGreaterThan(200)
})
