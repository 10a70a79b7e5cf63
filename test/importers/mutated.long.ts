import { expect, test } from 'vitest'
import { importDamaged } from '../support/damaged-workflows.js'
import { importMutated } from '../support/mutated-texts.js'

test('2,000 mutated files are imported or refused, and every recipe is valid YAML that writes below build/', () => {
  expect(importMutated(2000, 'long').recipe).toBeGreaterThan(200)
})

test('2,000 damaged workflows do not crash or hang, and no path leaves the folders', () => {
  expect(importDamaged(2000, 7)).toBeGreaterThan(600)
})
