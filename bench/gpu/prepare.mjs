// Makes the cases of a check: every reference case of the tests and every example of an operator, as recipes with their
// files.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { findOperator, operators } from '../../dist/operators/index.js'
import { joinRecipes } from './join-cases.mjs'
import { encodeNumbers, writeFile } from './safetensors.mjs'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Cases of one recipe: enough that the start of a device counts little, few enough that a failure is soon narrowed
 * down.
 */
const GROUP = 64

/**
 * Dtypes of files and outputs that one case of each kind is computed in, beside its own; `same` writes as the files
 * have it.
 */
export const VARIANTS = [
  ['F16', 'same'],
  ['BF16', 'same'],
  ['F8_E4M3', 'same'],
  ['F8_E5M2', 'same'],
  ['F64', 'same'],
  ['F32', 'f16'],
  ['F32', 'bf16'],
  ['F32', 'f8_e4m3'],
  ['F32', 'f8_e5m2'],
  ['F64', 'f32'],
  ['F16', 'bf16'],
  ['BF16', 'f16'],
]

const STORED = { f32: 'F32', f16: 'F16', bf16: 'BF16', bool: 'BOOL' }

/** True where the cases can be made: the tests and the compiler lie beside. */
export const canPrepare = () =>
  existsSync(join(ROOT, 'test/golden/cases.ts')) && existsSync(join(ROOT, 'node_modules/.bin/tsc'))

/** Compiles what the tests know of the cases, and loads it. */
const loadTests = async (folder) => {
  const config = join(folder, 'tsconfig.json')
  const out = join(folder, 'tests')
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(ROOT, 'test/tsconfig.json'),
      compilerOptions: {
        noEmit: false,
        declaration: false,
        rootDir: ROOT,
        outDir: out,
        typeRoots: [join(ROOT, 'node_modules/@types')],
      },
      include: [],
      files: ['test/golden/case.ts', 'test/golden/cases.ts', 'test/support/examples.ts'].map((file) =>
        join(ROOT, file),
      ),
    }),
  )
  const done = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', config], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  if (done.status !== 0) throw new Error(`the cases of the tests could not be compiled: ${done.stdout}${done.stderr}`)
  process.env.SMELT_GOLDEN = join(ROOT, 'test/data/golden')
  const load = (file) => import(pathToFileURL(join(out, 'test', file)).href)
  const [{ readCases }, { mapCase }, { exampleRun }] = [
    await load('golden/case.js'),
    await load('golden/cases.js'),
    await load('support/examples.js'),
  ]
  return { readCases, mapCase, exampleRun }
}

/**
 * Every case as `{ name, kind, run }`; `kind` is the operation it shows. Cases that only the plan refuses are no work
 * of a device.
 */
const collect = ({ readCases, mapCase, exampleRun }) => {
  const golden = readCases().flatMap((c) => {
    const run = mapCase(c)
    return typeof run === 'string' || run.expect === 'refusal'
      ? []
      : [{ name: `golden ${c.id}`, kind: `golden ${c.op}`, run }]
  })
  const examples = operators
    .filter(({ output }) => output !== 'report')
    .flatMap((operator) =>
      operator.examples.map((example, i) => ({
        name: `example ${operator.id} ${example.title ?? i + 1}`,
        kind: `example ${operator.id} ${i}`,
        run: exampleRun(operator, example),
      })),
    )
  return [...golden, ...examples]
}

const operatorsOf = (run) => [...new Set(Object.values(run.recipe.steps).map((step) => step.op))]

/** Masks are written as they are, whatever the dtype. */
const makesMask = (run) =>
  findOperator(run.recipe.steps[run.recipe.outputs.out.from.split('.')[0]].op).output === 'mask'

const writeCase = (folder, run, stored) => {
  mkdirSync(folder, { recursive: true })
  const adapters = new Set(Object.values(run.recipe.adapters ?? {}))
  for (const [file, tensors] of Object.entries(run.files)) {
    // Adapters stay as they are: their small numbers are read by the plan.
    const dtypeOf = (dtype) => (dtype === 'bool' || adapters.has(file) ? STORED[dtype] : (stored ?? STORED[dtype]))
    writeFile(
      join(folder, file),
      Object.fromEntries(
        Object.entries(tensors).map(([name, { dtype, shape, values }]) => [
          name,
          { dtype: dtypeOf(dtype), shape, bytes: encodeNumbers(dtypeOf(dtype), values) },
        ]),
      ),
    )
  }
}

const writeGroup = (folder, title, cases, { stored, dtype } = {}) => {
  for (const [i, { run }] of cases.entries()) writeCase(join(folder, `c${i}`), run, stored)
  // What does not fit a narrow dtype is let through here: the same must become of it on every device.
  const variant = stored === undefined ? {} : { ...(dtype === 'same' ? {} : { dtype }), nonFinite: 'allow' }
  writeFileSync(
    join(folder, 'recipe.yaml'),
    JSON.stringify(joinRecipes(cases.map(({ run }) => ({ recipe: run.recipe, ...variant }))), undefined, 1),
  )
  writeFileSync(
    join(folder, 'cases.json'),
    JSON.stringify({
      title,
      cases: Object.fromEntries(
        cases.map(({ name, run }, i) => [
          `c${i}`,
          {
            name,
            operators: operatorsOf(run),
            ...(stored === undefined
              ? { expect: run.expect.out, tolerance: run.tolerance, falseMayBeAbsent: run.falseMayBeAbsent === true }
              : {}),
          },
        ]),
      ),
    }),
  )
}

const groupsOf = (cases) =>
  Array.from({ length: Math.ceil(cases.length / GROUP) }, (_, i) => cases.slice(i * GROUP, (i + 1) * GROUP))

/**
 * Writes all cases below a folder, which is emptied first, in groups of one recipe each; gives how many cases and
 * groups there are.
 */
export const prepareCases = async (folder) => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  // The compiled tests must lie inside this package, or `#src` would not be found from them.
  const workshop = join(ROOT, 'build/check-gpu-tests')
  mkdirSync(workshop, { recursive: true })
  const all = collect(await loadTests(workshop))
  const first = all.filter(({ kind }, i) => all.findIndex((other) => other.kind === kind) === i)
  const groups = [
    ...groupsOf(all).map((cases, i) => ({
      name: `plain-${i + 1}`,
      title: 'as the tests have it',
      cases,
      variant: undefined,
    })),
    ...VARIANTS.flatMap(([stored, dtype]) =>
      groupsOf(dtype === 'same' ? first : first.filter(({ run }) => !makesMask(run))).map((cases, i) => ({
        name: `${stored}-${dtype}-${i + 1}`.toLowerCase(),
        title: `files of ${stored}, output ${dtype}`,
        cases,
        variant: { stored, dtype },
      })),
    ),
  ]
  for (const { name, title, cases, variant } of groups) writeGroup(join(folder, name), title, cases, variant)
  rmSync(workshop, { recursive: true, force: true })
  return {
    cases: all.length,
    kinds: first.length,
    groups: groups.length,
    builds: groups.reduce((n, { cases }) => n + cases.length, 0),
  }
}
