import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createGraph } from '#src/graph/graph.js'
import { createAssembler } from '#src/graph/assemble.js'
import { type Program } from '#src/graph/program.js'
import { operators } from '#src/operators/index.js'
import { prepare } from '#src/run/prepare.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { readCases } from '../golden/case.js'
import { mapCase } from '../golden/cases.js'
import { makeBase, writeCheckpoint, type Checkpoint } from '../recipes/checkpoint.js'
import { makeLora, SD1_MODULES } from '../recipes/lora.js'
import { RECIPES } from '../recipes/recipe.js'
import { inFolder } from './build-run.js'
import { exampleRun } from './examples.js'
import type { RecipeRun } from './recipe-run.js'
import { writeRun } from './write-run.js'

const READ: readonly Dtype[] = [
  'BOOL',
  'U8',
  'I8',
  'U16',
  'I16',
  'U32',
  'I32',
  'U64',
  'I64',
  'F16',
  'BF16',
  'F32',
  'F64',
  'F8_E4M3',
  'F8_E5M2',
]
const WRITTEN: readonly Dtype[] = ['F16', 'BF16', 'F32', 'F64', 'F8_E4M3', 'F8_E5M2']

const STREAM = { seed: 1, step: 'step', tensor: 'x', draw: 0 }

/** The programs that a recipe's plan asks for; none if it is refused. */
const planned = async (path: string): Promise<readonly Program[]> => {
  const prepared = await prepare(path)
  return prepared.type === 'ok' ? prepared.value.plan.programs : []
}

const plannedRun = (run: RecipeRun): Promise<readonly Program[]> => inFolder((folder) => planned(writeRun(folder, run)))

/** A small Stable Diffusion 1. */
export const base = makeBase('sd15', 1)
const lora = makeLora(base, SD1_MODULES, 9).file

/** The recipes that come with smelt. */
export const recipeFiles = (): readonly string[] => readdirSync(RECIPES).filter((name) => name.endsWith('.yaml'))

/**
 * Puts a recipe of the folder `recipes` into a folder, beside models of the names it has for them; gives its path.
 * `model` makes the models, in their order.
 */
export const placeRecipe = (folder: string, file: string, model: (i: number) => Checkpoint = () => base): string => {
  const text = readFileSync(join(RECIPES, file), 'utf8')
  writeFileSync(join(folder, file), text)
  const names = new Set([...text.matchAll(/([\w-]+)\.safetensors/g)].map(([, name]) => name!))
  for (const [i, name] of [...names].entries())
    writeCheckpoint(join(folder, `${name}.safetensors`), name === 'lora' ? lora : model(i))
  return join(folder, file)
}

const plannedRecipe = (file: string): Promise<readonly Program[]> =>
  inFolder((folder) => planned(placeRecipe(folder, file)))

const info = (dtype: Dtype, role: string) => ({
  name: `${role} ${dtype}`,
  dtype,
  shape: [4],
  file: 'x',
  begin: 0,
  end: 0,
})

/** Programs that do every operation there is on elements, whether or not an operator needs it. */
const operationPrograms = (): readonly Program[] => {
  const graph = createGraph()
  const assemble = createAssembler()
  const [x, y] = [graph.read(info('F32', 'x')), graph.read(info('F32', 'y'))]
  const [m, o] = [graph.readMask(info('U8', 'm')), graph.readMask(info('U8', 'o'))]
  const tensors = [
    ...[graph.add, graph.sub, graph.mul, graph.div, graph.min, graph.max].map((op) => op(x, y)),
    graph.neg(x),
    graph.abs(x),
    graph.sqrt(x),
    graph.sign(x),
    graph.choose(m, x, y),
    graph.choose(m, x, 0),
    graph.choose(m, 1, 2),
    graph.fill(1),
    graph.normal(STREAM),
    graph.uniform(STREAM),
    graph.position(2, 4),
  ]
  const masks = [
    ...(['greater', 'greater-equal', 'less', 'less-equal', 'equal'] as const).map((op) => graph.compare(op, x, y)),
    graph.top(x, 0.5),
    graph.bernoulli(0.5, STREAM),
    graph.and(m, o),
    graph.or(m, o),
    graph.xor(m, o),
    graph.not(m),
    graph.constant(true),
    m,
  ]
  return [
    ...tensors.map((value) => assemble([{ value, dtype: 'F32' }])),
    ...masks.map((value) =>
      assemble([
        { value, dtype: 'BOOL' },
        { value, dtype: 'BOOL' },
      ]),
    ),
  ].map(({ program }) => program)
}

/** Programs that read every dtype, as numbers and as a mask, and write every dtype. */
const dtypePrograms = (): readonly Program[] => {
  const graph = createGraph()
  const assemble = createAssembler()
  const some = graph.add(graph.read(info('F32', 'a')), 1)
  return [
    ...READ.flatMap((from) =>
      WRITTEN.map((dtype) => assemble([{ value: graph.sub(graph.read(info(from, 'b')), some), dtype }])),
    ),
    ...READ.map((from) => assemble([{ value: graph.choose(graph.readMask(info(from, 'm')), some, 0), dtype: 'F32' }])),
    ...READ.map((from) => assemble([{ value: graph.readMask(info(from, 'm')), dtype: 'BOOL' }])),
  ].map(({ program }) => program)
}

/**
 * Every distinct program of every recipe that comes with smelt, every operator's examples, every reference case, every
 * operation and every dtype.
 */
export const collectPrograms = async (): Promise<readonly Program[]> => {
  const examples = operators.flatMap((operator) => operator.examples.map((example) => exampleRun(operator, example)))
  const cases = readCases()
    .map(mapCase)
    .filter((run) => typeof run !== 'string')
  const all: Program[] = [...operationPrograms(), ...dtypePrograms()]
  for (const run of [...examples, ...cases]) all.push(...(await plannedRun(run)))
  for (const file of recipeFiles()) all.push(...(await plannedRecipe(file)))
  return [...new Map(all.map((program) => [program.key, program])).values()]
}
