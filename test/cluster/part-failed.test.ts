import { expect, test } from 'vitest'
import { runPartFailed } from '#src/base/catalogue/cluster.js'

const told = (word: string, complaint: string): readonly (string | undefined)[] => {
  const { message, help } = runPartFailed(2, 'failed', word, complaint)
  return [message, help]
}

test('a part that failed is told with the first error of its task, and what helps against that', () => {
  const full =
    'warning[x]: y\nerror[disk-full]: no space\n --> out\nhelp: free some, then run the same command again\n\n1 error\n'
  expect(told('exit 3', full)).toEqual([
    'part 2 failed (exit 3): error[disk-full]: no space',
    'free some, then run the same command again: what is done stays done',
  ])
  expect(told('exit 127', 'sh: 1: smelt: not found\n')).toEqual([
    'part 2 failed (exit 127): sh: 1: smelt: not found',
    'repair what it says; then run the same command again: what is done stays done',
  ])
  expect(told('OUT_OF_MEMORY', '')).toEqual([
    'part 2 failed (OUT_OF_MEMORY)',
    expect.stringContaining('raise `memory`'),
  ])
})
