import { expect, test } from 'vitest'
import { NO_MODELS } from '#src/importers/find-models.js'
import { importFile } from '#src/importers/index.js'
import { textInput } from '#src/importers/read-input.js'
import { importMutated } from '../support/mutated-texts.js'

test('300 mutated files are imported or refused, and every recipe is valid YAML that writes below build/', () => {
  const seen = importMutated(300, 'importers')
  // A test of refusals alone would prove little.
  expect(seen.recipe).toBeGreaterThan(30)
  expect(seen.empty).toBeGreaterThan(30)
})

test.each([
  ['digits', `x:${'1'.repeat(300_000)}x`],
  ['numbers', `x\t${'1,'.repeat(150_000)}x`],
  ['brackets', `merge_method: ${'['.repeat(100_000)}`],
  ['lines of dashes', `merge_method: x\n${'- '.repeat(100_000)}`],
  [
    'aliases that double',
    `merge_method: x\na: &a [1, 1]\n${Array.from({ length: 40 }, (_, i) => `b${i}: &b${i} [*${i === 0 ? 'a' : `b${i - 1}`}, *${i === 0 ? 'a' : `b${i - 1}`}]`).join('\n')}`,
  ],
  ['an alias of itself', 'merge_method: x\nmodels: &m [*m, *m]'],
  ['words of sd-mecha', `version 0.1.0\nmerge "x" ${'a'.repeat(300_000)}`],
  ['digits of sd-mecha', `version 0.1.0\nmerge "x" ${'1'.repeat(300_000)}x`],
  ['blank lines', `${'\n'.repeat(300_000)}x`],
  ['hashes', '#\n'.repeat(150_000)],
])('a hostile text of %s is over at once', (_, text) => {
  // What is quadratic in its length would take minutes, beyond the limit of every test.
  expect(() => importFile(textInput('x', text, NO_MODELS))).not.toThrow()
})
