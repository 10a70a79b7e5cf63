import { describe, expect, test } from 'vitest'
import { expandRange } from '#src/recipe/ranges.js'

const valuesOf = (text: string): readonly string[] | string => {
  const range = expandRange(text, 100)
  return range.type === 'values' ? range.values : range.problem.type
}

describe('a range', () => {
  test.each<[string, string]>([
    ['0:1:0.1', '0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1'],
    ['0.1:0.9:0.2', '0.1 0.3 0.5 0.7 0.9'],
    ['-0.3:0.3:0.1', '-0.3 -0.2 -0.1 0 0.1 0.2 0.3'],
    ['1:0:-0.5', '1 0.5 0'],
    ['0:1:0.3', '0 0.3 0.6 0.9'],
    ['0:3e-3:1e-3', '0 0.001 0.002 0.003'],
    ['.5 : 1. : +0.25', '0.5 0.75 1'],
    ['2:2:1', '2'],
    ['0:100:50', '0 50 100'],
  ])('%s is %s', (text, values) => expect(valuesOf(text)).toEqual(values.split(' ')))

  test.each<[string, string]>([
    ['0:1', 'form'],
    ['0:1:x', 'form'],
    ['0:1:', 'form'],
    ['0:1:0.1:2', 'form'],
    ['0:1:0', 'step'],
    ['0:1:-0.1', 'step'],
    ['0:1e308:1e-308', 'step'],
    ['0:1:0.01', 'many'],
    ['0:1e9:1e-9', 'many'],
  ])('%s has no values', (text, problem) => expect(valuesOf(text)).toBe(problem))
})
