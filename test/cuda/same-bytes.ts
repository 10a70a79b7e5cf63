import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { operators } from '#src/operators/index.js'
import type { Device } from '#src/run/devices/device.js'
import type { Cutting } from '#src/run/workspace.js'
import { prepare } from '#src/run/prepare.js'
import { run } from '#src/run/run.js'
import { readCases } from '../golden/case.js'
import { mapCase } from '../golden/cases.js'
import { inFolder } from '../support/build-run.js'
import { exampleRun } from '../support/examples.js'
import type { PlainFile, PlainTensor, RecipeRun } from '../support/recipe-run.js'
import { writeRun } from '../support/write-run.js'
import { deviceHand } from './device-hand.js'

/** As small as these models, so that many builds have room beside each other. */
const SMALL: Cutting = { chunk: 1 << 8, block: 1 << 10 }

/** A small recipe with its files, by what it is. */
export interface NamedRun {
  readonly name: string
  readonly run: RecipeRun
}

/** The same recipe with another tensor for each that holds numbers; `file` numbers the files. */
const withTensors = (run: RecipeRun, change: (tensor: PlainTensor, file: number) => PlainTensor): RecipeRun => ({
  ...run,
  files: Object.fromEntries(
    Object.entries(run.files).map(([name, file], i): [string, PlainFile] => [
      name,
      Object.fromEntries(Object.entries(file).map(([tensor, t]) => [tensor, t.dtype === 'bool' ? t : change(t, i)])),
    ]),
  ),
})

/** Zeros of both signs meet each other and other numbers in every file: devices differ most in what becomes of them. */
const ZEROS: readonly ((x: number) => number)[] = [() => 0, () => -0, (x) => -x, () => 0, (x) => x, () => -0, () => -0]

const VARIANTS: readonly (readonly [string, (tensor: PlainTensor, file: number) => PlainTensor])[] = [
  ['as it is', (tensor) => tensor],
  ['over f16', (tensor) => ({ ...tensor, dtype: 'f16' })],
  ['over bf16', (tensor) => ({ ...tensor, dtype: 'bf16' })],
  [
    'with zeros',
    (tensor, file) => ({
      ...tensor,
      values: tensor.values.map((x, i) => ZEROS[(i + file * (i + 1)) % ZEROS.length]!(x)),
    }),
  ],
]

/**
 * Every example of every operator, over models of three dtypes and with zeros of both signs, and every reference case;
 * those that are refused are left out.
 */
export const smallRuns = (): readonly NamedRun[] => {
  const examples = operators
    .filter(({ output }) => output !== 'report')
    .flatMap((operator) =>
      operator.examples.map((example, i) => ({
        name: `${operator.id} ${example.title ?? i + 1}`,
        run: exampleRun(operator, example),
      })),
    )
  const cases = readCases().flatMap((c) => {
    const mapped = mapCase(c)
    return typeof mapped === 'string' ? [] : [{ name: c.id, run: mapped }]
  })
  const varied = VARIANTS.flatMap(([how, change]) =>
    examples.map(({ name, run: r }) => ({ name: `${name}, ${how}`, run: withTensors(r, change) })),
  )
  return [...varied, ...cases].filter((named) => named.run.expect !== 'refusal')
}

const filesOf = (folder: string): Readonly<Record<string, Buffer>> =>
  Object.fromEntries(
    (existsSync(folder) ? readdirSync(folder) : []).toSorted().map((name) => [name, readFileSync(join(folder, name))]),
  )

const buildOn = async (
  path: string,
  out: string,
  device: Device,
): Promise<Readonly<Record<string, Buffer>> | string> => {
  const prepared = await prepare(path, { out })
  if (prepared.type === 'failed') return prepared.diagnostics.map((d) => d.code).join()
  const built = await run(prepared.value.plan, { workers: 1, device, cutting: SMALL, start: deviceHand })
  return built.type === 'failed' ? built.diagnostics.map((d) => `${d.code}: ${d.message}`).join('\n') : filesOf(out)
}

/**
 * Builds a recipe on the processor and on a device; says how what is written differs, or why one of them would not
 * build it.
 */
export const differenceOf = ({ name, run: small }: NamedRun, device: Device): Promise<string | undefined> =>
  inFolder(async (folder) => {
    const path = writeRun(folder, small)
    const [here, there] = [
      await buildOn(path, join(folder, 'here'), 'cpu'),
      await buildOn(path, join(folder, 'there'), device),
    ]
    if (typeof here === 'string' || typeof there === 'string')
      return here === there ? undefined : `${name}: ${String(here)} on the processor, ${String(there)} on ${device}`
    const differing = Object.keys({ ...here, ...there }).filter(
      (file) => here[file]?.equals(there[file] ?? Buffer.of()) !== true,
    )
    return differing.length === 0 ? undefined : `${name}: ${differing.join()}`
  })
