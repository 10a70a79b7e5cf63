import { expect, test } from 'vitest'
import { wronglyJudged } from './hostile-kinds.js'

test('of 5,000 adapters of all kinds each is taken, and refused in plain words with one defect', () => {
  expect(wronglyJudged(400, 5400)).toEqual([])
})
