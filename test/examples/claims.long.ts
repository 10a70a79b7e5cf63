import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { results, NETS, type Net } from '../realmodels/results.js'
import { ROOT, runProgram } from './program.js'

const FOLDER = 'examples/claims'
const README = readFileSync(join(ROOT, FOLDER, 'README.md'), 'utf8')

/** A line of a table: its title, and the numbers after it. */
interface Line {
  readonly title: string
  readonly numbers: readonly number[]
}

const linesOf = (text: string): readonly Line[] =>
  text
    .split('\n')
    .map((line) => /^ *(.*?)((?: {2,}\(?[\d.]+\)?(?: \([\d.]+\))?)+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, title, cells]) => ({ title: title!, numbers: cells!.match(/[\d.]+/g)!.map(Number) }))

/** The numbers of a drawing, in the order of its text. */
const numbersOf = (svg: string): readonly number[] => svg.match(/-?\d+(?:\.\d+)?/g)!.map(Number)

/** Float order moves an image or two of 600. */
const HALF_A_POINT = 0.5 + 1e-9

/** The block of the page that has a table must be what the program prints. */
const expectOnPage = (printed: readonly Line[], first: string): void => {
  const block = README.split('```').find((text) => text.includes(first))!
  const stated = linesOf(block)
  expect(stated.map(({ title }) => title)).toEqual(printed.map(({ title }) => title))
  for (const [i, { title, numbers }] of stated.entries())
    for (const [j, number] of numbers.entries())
      expect(Math.abs(number - printed[i]!.numbers[j]!), title).toBeLessThanOrEqual(HALF_A_POINT)
}

const run = async (args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await runProgram(args)
  expect(code, stderr).toBe(0)
  return stdout
}

describe('DARE of one specialist', () => {
  let folder: string
  let printed: readonly Line[]
  let picture: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'smelt-claims-'))
    printed = linesOf(await run([`${FOLDER}/dare.mjs`, join(folder, 'dare.svg')]))
    picture = readFileSync(join(folder, 'dare.svg'), 'utf8')
    return () => rmSync(folder, { recursive: true, force: true })
  })

  test('keeps most of the skill when 90 % is dropped and the rest rescaled, and little when it is not', () => {
    expect(printed.map(({ title }) => title)).toEqual(NETS.flatMap((net) => [`${net} A`, `${net} B`]))
    for (const { title, numbers } of printed) {
      const [base, specialist, rescaled, , unscaled] = numbers as [number, number, number, number, number]
      const kept = (accuracy: number): number => (accuracy - base) / (specialist - base)
      expect(kept(rescaled), title).toBeGreaterThan(0.65)
      expect(kept(unscaled), title).toBeLessThan(0.35)
    }
  })

  test('has the accuracy that another program measured', () => {
    for (const { title, numbers } of printed) {
      const [net, letter] = title.split(' ') as [Net, string]
      const { rescaled, not_rescaled: unscaled } = results.nets[net].dare_one_model_20_seeds[`${letter}_drop0.9`]!
      for (const [found, { mean, sd }] of [
        [numbers[2]!, rescaled],
        [numbers[4]!, unscaled],
      ] as const)
        expect(Math.abs(found - 100 * mean), title).toBeLessThan(400 * sd * Math.sqrt(1 / 5 + 1 / 20) + HALF_A_POINT)
    }
  })

  test('is as the page says and shows', () => {
    expectOnPage(printed, 'mlp A')
    const [found, shown] = [picture, readFileSync(join(ROOT, FOLDER, 'dare.svg'), 'utf8')].map(numbersOf)
    expect(found).toHaveLength(shown!.length)
    for (const [i, number] of found!.entries()) expect(Math.abs(number - shown![i]!)).toBeLessThan(5)
  })
})

describe('TALL masks', () => {
  let printed: readonly Line[]
  beforeAll(async () => {
    printed = linesOf(await run([`${FOLDER}/tall.mjs`]))
  })
  const rowsOf = (net: Net) => {
    const [alone, masked, sum, consensus, bestSum, bestConsensus] = printed
      .slice(6 * NETS.indexOf(net))
      .map(({ numbers }) => numbers)
    return { alone, masked, sum, consensus, bestSum, bestConsensus } as Readonly<Record<string, readonly number[]>>
  }

  test.each(NETS)('bring each specialist of %s back from the sum of all', (net) => {
    const { alone, masked, sum, bestSum, bestConsensus } = rowsOf(net)
    for (const task of [0, 1, 2]) expect(masked![task]).toBeGreaterThan(alone![task]! - 4)
    for (const single of [sum, bestSum, bestConsensus]) expect(masked![3]).toBeGreaterThan(single![3]! + 4)
  })

  test.each(NETS)('repair a sum of %s that is too strong, and are no better than a smaller `lambda`', (net) => {
    const { sum, consensus, bestSum, bestConsensus } = rowsOf(net)
    expect(consensus![3]).toBeGreaterThan(sum![3]! + 1)
    expect(Math.abs(bestConsensus![3]! - bestSum![3]!)).toBeLessThan(1.5)
  })

  test('do as the page says', () => {
    expect(printed).toHaveLength(6 * NETS.length)
    expectOnPage(printed, 'masked for each')
  })
})

describe('EMR-Merging', () => {
  let printed: readonly Line[]
  beforeAll(async () => {
    printed = linesOf(await run([`${FOLDER}/emr.mjs`]))
  })

  test.each(NETS)('brings each specialist of %s back from one difference, and needs its masks for that', (net) => {
    const [alone, tasks, unscaled, tall, unified] = printed
      .slice(5 * NETS.indexOf(net))
      .map(({ numbers }) => numbers) as (readonly number[])[]
    for (const task of [0, 1, 2]) expect(tasks![task]).toBeGreaterThan(alone![task]! - 3)
    expect(tasks![3]).toBeGreaterThan(unified![3]! + 5)
    expect(Math.abs(tasks![3]! - tall![3]!)).toBeLessThan(1.5)
    // The scale helps the third specialist alone.
    expect(tasks![2]).toBeGreaterThan(unscaled![2]!)
    for (const task of [0, 1]) expect(tasks![task]).toBeLessThan(unscaled![task]! + HALF_A_POINT)
  })

  test('does as the page says', () => {
    expect(printed).toHaveLength(5 * NETS.length)
    expectOnPage(printed, 'EMR, a model for each')
  })
})

describe('PCB-Merging', () => {
  let printed: readonly Line[]
  beforeAll(async () => {
    printed = linesOf(await run([`${FOLDER}/pcb.mjs`]))
  })

  test.each(NETS)(
    'of %s is better than TIES with few parameters, and no better than both others at their best',
    (net) => {
      const [plainTies, plainPcb, average, ties, pcb] = printed
        .slice(5 * NETS.indexOf(net))
        .map(({ numbers }) => numbers[3]!)
      expect(plainPcb).toBeGreaterThan(plainTies! - HALF_A_POINT)
      expect(Math.abs(pcb! - Math.max(average!, ties!))).toBeLessThan(1.2)
    },
  )

  test('does as the page says', () => {
    expect(printed).toHaveLength(5 * NETS.length)
    expectOnPage(printed, 'PCB, density')
  })
})

describe('merging by singular vectors', () => {
  let printed: readonly Line[]
  beforeAll(async () => {
    printed = linesOf(await run([`${FOLDER}/directions.mjs`]))
  })
  /** The means of each method, by lambda; the first line of a network has the lambdas. */
  const rowsOf = (net: Net) =>
    printed
      .slice(5 * NETS.indexOf(net) + 1)
      .slice(0, 4)
      .map(({ numbers }) => numbers)
  const best = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.max(a, b), 0)

  test.each(['mlp', 'transformer'] as const)(
    'does better than any sum in the %s, and depends less on `lambda`',
    (net) => {
      const [sum, ...methods] = rowsOf(net)
      for (const method of methods) {
        expect(best(method)).toBeGreaterThan(best(sum!) + 0.3)
        expect(method.at(-1)).toBeGreaterThan(sum!.at(-1)! + 20)
      }
    },
  )

  test('does no better than a sum in the conv network, whose kernels are averaged', () => {
    const [sum, ...methods] = rowsOf('conv')
    for (const method of methods) expect(best(method)).toBeLessThan(best(sum!) + HALF_A_POINT)
  })

  test('does as the page says', () => {
    expect(printed).toHaveLength(5 * NETS.length)
    expectOnPage(printed, '  Iso-C  ')
  })
})

describe('DAREx', () => {
  let printed: readonly Line[]
  beforeAll(async () => {
    printed = linesOf(await run([`${FOLDER}/darex.mjs`]))
  })

  test.each(NETS)('of %s wins where 98 %% is dropped, and loses where 90 %% is', (net) => {
    const [most, , few] = printed.slice(3 * NETS.indexOf(net)).map(({ numbers }) => numbers)
    // Each mean is followed by the worst run.
    const [dare, dareWorst, twice, twiceWorst] = [0, 1, 4, 5]
    expect(few![twice]!).toBeGreaterThan(few![dare]! + 3)
    expect(few![twiceWorst]!).toBeGreaterThan(few![dareWorst]! + 5)
    expect(most![twice]!).toBeLessThan(most![dare]! - 2)
  })

  test('does as the page says', () => {
    expect(printed).toHaveLength(3 * NETS.length)
    expectOnPage(printed, '98 % dropped')
  })
})

describe('rotation', () => {
  let printed: readonly Line[]
  beforeAll(async () => {
    printed = linesOf(await run([`${FOLDER}/rotate.mjs`]))
  })

  test.each(NETS)('halfway between the specialists of %s does as their average', (net) => {
    const [, , straight, halfway] = printed.slice(6 * NETS.indexOf(net)).map(({ numbers }) => numbers[2]!)
    expect(Math.abs(halfway! - straight!)).toBeLessThan(1)
  })

  test.each(NETS)('of one specialist of %s toward the other gains skill, and no more than an average', (net) => {
    const [a, , straight, , , turned] = printed.slice(6 * NETS.indexOf(net)).map(({ numbers }) => numbers)
    expect(turned![1]).toBeGreaterThan(a![1]! + 2)
    expect(turned![2]).toBeLessThan(straight![2]! + HALF_A_POINT)
  })

  test('does as the page says', () => {
    expect(printed).toHaveLength(6 * NETS.length)
    expectOnPage(printed, 'A, turned to B')
  })
})
