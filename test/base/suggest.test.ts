import { expect, test } from 'vitest'
import { didYouMean } from '#src/base/catalogue/did-you-mean.js'

test('a name that is known twice is suggested once', () => {
  expect(didYouMean('gradv', ['GRAD_V', 'ALL_A', 'GRAD_V'])).toBe('did you mean `GRAD_V`?')
})
