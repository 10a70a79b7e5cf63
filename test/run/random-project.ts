import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { extname } from 'node:path'
import seedrandom from 'seedrandom'
import { settled, type BuildFixture } from './build-fixture.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'

type Plain = Readonly<Record<string, unknown>>

interface Input {
  name: string
  path: string
  metadata: Record<string, string>
  numbers: number[]
}
interface Adapter extends Input {
  config: Record<string, unknown> | null
}
/** Values of `refs` are ids of inputs, adapters and other steps, or lists of them. */
interface RandomStep {
  id: string
  name: string
  kind: 'model' | 'mask' | 'report'
  op: string
  refs: Record<string, string | string[]>
  params: Record<string, unknown>
}
interface RandomOutput {
  name: string
  from: string
  path: string
  options: Record<string, unknown>
}

/**
 * A recipe and its files as plain data, so that an earlier state can be gone back to. Names are apart from what they
 * name.
 */
interface State {
  title: string
  comment: string
  seed: number
  share: number
  models: Record<string, Input>
  adapters: Record<string, Adapter>
  steps: RandomStep[]
  outputs: RandomOutput[]
}

/** A project that changes at random, always so that it can be built. */
export interface RandomProject {
  recipe(): string
  /** Changes something, writes what has to be written, and says what it was. */
  edit(shop: BuildFixture): Promise<string>
  /** Writes all files of the beginning. */
  write(shop: BuildFixture): Promise<void>
}

const LAYERS = [0, 1, 2]
const FORMATS = ['txt', 'json', 'svg', 'html', 'txt', 'json', 'html', 'png']
const DTYPES = ['same', 'f32', 'f16', 'bf16']
const MOST_STEPS = 5
const PATTERNS = ['layers.0', 'layers.{0,2}', 'layers.*.bias', 'layers.*']

const wave = (n: number, by: number, seed: number): number[] =>
  Array.from({ length: n }, (_, i) => Math.sin((i + 1) * by + seed))

const modelTensors = (numbers: readonly number[]): Readonly<Record<string, TensorValues>> => ({
  ...Object.fromEntries(
    LAYERS.flatMap((i): [string, TensorValues][] => [
      [`layers.${i}.weight`, { dtype: 'F16', shape: [6, 8], values: wave(48, 0.7 + i, numbers[2 * i]!) }],
      [`layers.${i}.bias`, { dtype: 'F32', shape: [6], values: wave(6, 0.3 + i, numbers[2 * i + 1]!) }],
    ]),
  ),
  ids: { dtype: 'I64', shape: [3], values: [1, 2, 3] },
})

const adapterTensors = ({ numbers, config }: Adapter): Readonly<Record<string, TensorValues>> =>
  Object.fromEntries(
    LAYERS.flatMap((i): [string, TensorValues][] => {
      const [up, down] =
        config === null
          ? [`layers.${i}.lora_up.weight`, `layers.${i}.lora_down.weight`]
          : [`base_model.model.layers.${i}.lora_B.weight`, `base_model.model.layers.${i}.lora_A.weight`]
      return [
        [up, { dtype: 'F32', shape: [6, 2], values: wave(12, 0.9, numbers[i]!) }],
        [down, { dtype: 'F32', shape: [2, 8], values: wave(16, 0.4 + i, 1) }],
        ...(config === null
          ? [
              [`layers.${i}.alpha`, { dtype: 'F32', shape: [], values: [1 + (Math.abs(numbers[i]!) % 3)] }] as [
                string,
                TensorValues,
              ],
            ]
          : []),
      ]
    }),
  )

/** The project of a seed. */
export const randomProject = (seed: string): RandomProject => {
  const random = seedrandom(seed)
  const below = (n: number): number => Math.floor(random() * n)
  const oneOf = <T>(list: readonly T[]): T => list[below(list.length)]!
  const number = (): number => (below(9) - 1) / 8
  let fresh = 0
  const nameFor = (word: string): string => `${word}${(fresh += 1)}`

  const state: State = {
    title: 'project',
    comment: 'none',
    seed: 1,
    share: 0.25,
    models: Object.fromEntries(
      ['a', 'b', 'c'].map((name, i) => [
        `model ${name}`,
        { name, path: `${name}.safetensors`, metadata: { format: 'pt' }, numbers: wave(6, 1, i) },
      ]),
    ),
    adapters: {
      'adapter plain': {
        name: 'plain',
        path: 'plain.safetensors',
        metadata: { ss_tag_frequency: '{"x":{"ink":1}}' },
        numbers: [1, 2, 3],
        config: null,
      },
      'adapter peft': { name: 'peft', path: 'peft', metadata: {}, numbers: [1, 2, 3], config: { r: 2, lora_alpha: 2 } },
    },
    steps: [],
    outputs: [],
  }
  const models = (): string[] => [
    ...Object.keys(state.models),
    ...state.steps.filter((s) => s.kind === 'model').map((s) => s.id),
  ]
  const perLayer = (): unknown =>
    oneOf<() => unknown>([
      number,
      number,
      () => '$share',
      () => ({ default: number(), 'layers.1': number(), 'layers.*.bias': number() }),
    ])()
  const draw = (words: readonly string[]): Record<string, string> =>
    Object.fromEntries(words.map((word) => [word, oneOf(models())]))
  const OPERATORS: readonly (() => Pick<RandomStep, 'kind' | 'op' | 'refs' | 'params'>)[] = [
    () => ({ kind: 'model', op: 'merge.blend', refs: draw(['a', 'b']), params: { keep: perLayer() } }),
    () => ({ kind: 'model', op: 'merge.blend', refs: draw(['a', 'b']), params: { keep: number(), method: 'slerp' } }),
    () => ({ kind: 'model', op: 'merge.dare', refs: draw(['a', 'b']), params: { drop: 0.5, keep: number() } }),
    () => ({ kind: 'model', op: 'merge.dare', refs: draw(['a', 'b']), params: { drop: 0.25, seed: below(3) } }),
    () => ({
      kind: 'model',
      op: 'merge.ties',
      refs: { base: 'model a', models: [oneOf(Object.keys(state.models)), oneOf(models())] },
      params: { lambda: number(), scope: oneOf(['tensor', 'model']) },
    }),
    () => ({
      kind: 'model',
      op: 'merge.linear',
      refs: { models: [oneOf(Object.keys(state.models)), oneOf(models())] },
      params: {},
    }),
    () => ({ kind: 'model', op: 'merge.add_difference', refs: draw(['a', 'b', 'c']), params: { strength: number() } }),
    () => ({ kind: 'model', op: 'model.scale', refs: draw(['model']), params: { factor: perLayer() } }),
    () => ({
      kind: 'model',
      op: 'adapter.apply',
      refs: { ...draw(['model']), adapter: oneOf(Object.keys(state.adapters)) },
      params: { strength: number() },
    }),
    () => ({
      kind: 'mask',
      op: 'mask.magnitude',
      refs: draw(['model', 'base']),
      params: { quantile: 0.5, scope: oneOf(['tensor', 'model']) },
    }),
    () => ({ kind: 'mask', op: 'mask.layers', refs: draw(['like']), params: { layers: oneOf(PATTERNS) } }),
    () => ({ kind: 'report', op: 'report.model', refs: draw(['model']), params: {} }),
    () => ({
      kind: 'report',
      op: 'report.model',
      refs: draw(['model']),
      params: { layer: 'layers.1.weight', scale: oneOf(['mean', 'std', 'none']) },
    }),
    () => ({ kind: 'report', op: 'report.diff', refs: draw(['a', 'b']), params: {} }),
    () => ({ kind: 'report', op: 'report.weights', refs: draw(['like']), params: { weights: perLayer() } }),
    () => ({
      kind: 'report',
      op: 'report.adapter',
      refs: { adapter: oneOf(Object.keys(state.adapters)), ...(below(2) === 0 ? draw(['model']) : {}) },
      params: {},
    }),
  ]
  const addStep = (): string => {
    if (state.steps.length >= MOST_STEPS) return removeStep()
    const masks = state.steps.filter((s) => s.kind === 'mask').map((s) => s.id)
    const made =
      masks.length > 0 && below(5) === 0
        ? { kind: 'report' as const, op: 'report.mask', refs: { mask: oneOf(masks) }, params: {} }
        : oneOf(OPERATORS)()
    const merges = made.op.startsWith('merge.') || made.op === 'model.scale'
    const refs = { ...made.refs, ...(merges && masks.length > 0 && below(2) === 0 ? { mask: oneOf(masks) } : {}) }
    const params = { ...made.params, ...(merges && below(4) === 0 ? { layers: oneOf(PATTERNS) } : {}) }
    const step: RandomStep = { ...made, id: nameFor('step '), name: nameFor('s'), refs, params }
    state.steps.push(step)
    // Some steps are there for others only, or for nothing yet.
    if (step.kind !== 'report' && state.outputs.length > 0 && below(2) === 0)
      return `a new step without an output: ${made.op}`
    const name = nameFor('o')
    state.outputs.push({
      name,
      from: step.id,
      path: `${name}.${step.kind === 'report' ? oneOf(FORMATS) : 'safetensors'}`,
      options: {},
    })
    return `a new step: ${made.op}`
  }
  /** Takes a step away, and whatever uses it. */
  const removeStep = (): string => {
    const gone = new Set([oneOf(state.steps).id])
    for (const s of state.steps)
      if (
        Object.values(s.refs)
          .flat()
          .some((id) => gone.has(id))
      )
        gone.add(s.id)
    state.steps = state.steps.filter((s) => !gone.has(s.id))
    state.outputs = state.outputs.filter((o) => !gone.has(o.from))
    if (state.outputs.length === 0) addStep()
    return `${gone.size} steps fewer`
  }
  const kindOf = ({ from }: RandomOutput): RandomStep['kind'] => state.steps.find((s) => s.id === from)!.kind
  /** Gives an output that holds tensors another option; where there is none, nothing changes. */
  const optionOf = (key: string, values: readonly unknown[]): string => {
    const holding = state.outputs.filter((o) => kindOf(o) !== 'report')
    if (holding.length === 0) return 'nothing'
    const output = oneOf(holding)
    output.options[key] = oneOf(values)
    return `\`${key}\` of an output`
  }
  const files = (): (Input | Adapter)[] => [...Object.values(state.models), ...Object.values(state.adapters)]
  const write = async (shop: BuildFixture, input: Input | Adapter, tensors = true): Promise<void> => {
    const config = 'config' in input ? input.config : null
    if (config !== null) writeFileSync(shop.at(`${input.path}/adapter_config.json`), JSON.stringify(config))
    if (!tensors) return
    const path = shop.at(config === null ? input.path : `${input.path}/adapter_model.safetensors`)
    writeSafetensors(path, 'config' in input ? adapterTensors(input) : modelTensors(input.numbers), input.metadata)
    await settled(path)
  }

  const earlier: { readonly what: string; readonly state: string }[] = []
  const changeNumber = (): string => {
    const numbers = state.steps.flatMap((step) =>
      Object.keys(step.params)
        .filter((key) => !['scope', 'method', 'seed', 'layer', 'scale'].includes(key))
        .map((key) => ({ step, key })),
    )
    if (numbers.length === 0) return 'nothing'
    const {
      step: { name, params },
      key,
    } = oneOf(numbers)
    params[key] =
      key === 'layers'
        ? oneOf(PATTERNS)
        : key === 'drop' || key === 'quantile'
          ? (1 + below(7)) / 8
          : typeof params[key] === 'number'
            ? number()
            : perLayer()
    return `\`${key}\` of ${name}`
  }
  /** Each says what it changed. */
  const CHANGES: readonly ((shop: BuildFixture) => string | Promise<string>)[] = [
    changeNumber,
    changeNumber,
    changeNumber,
    () => `the param ${(state.share = number())}`,
    () => `the seed ${(state.seed = below(3))}`,
    () => `the name of a step: ${(oneOf(state.steps).name = nameFor('s'))}`,
    () => `the name of an output: ${(oneOf(state.outputs).name = nameFor('o'))}`,
    () => `the name of an input: ${(oneOf(files()).name = nameFor('i'))}`,
    () => `the name of the recipe: ${(state.title = oneOf(['project', 'other', 'third']))}`,
    () => `a comment: ${(state.comment = nameFor('words '))}`,
    () => {
      const output = oneOf(state.outputs)
      return `a path: ${(output.path = `${nameFor('moved')}${extname(output.path)}`)}`
    },
    () => {
      const output = oneOf(state.outputs)
      if (kindOf(output) === 'report') return `a format: ${(output.path = `${output.name}.${oneOf(FORMATS)}`)}`
      return kindOf(output) === 'mask' ? 'nothing' : `a dtype: ${String((output.options['dtype'] = oneOf(DTYPES)))}`
    },
    () => optionOf('shard_size', ['200B', '400B', '1MB']),
    () => optionOf('metadata', [{ author: nameFor('me') }, { 'modelspec.title': nameFor('title') }]),
    () => optionOf('tags', [['adapter plain'], ['adapter plain', 'adapter peft'], ['adapter peft']]),
    async (shop) => {
      const input = oneOf(files())
      const at = below(input.numbers.length)
      input.numbers[at]! += 1
      await write(shop, input)
      return `numbers of ${input.path}`
    },
    async (shop) => {
      const input = oneOf(files())
      input.metadata = oneOf<Record<string, string>>([
        {},
        { ...input.metadata, 'modelspec.title': nameFor('title') },
        { ...input.metadata, 'modelspec.resolution': `${64 * (1 + below(9))}x64` },
        { ...input.metadata, comment: nameFor('words') },
        { ...input.metadata, sd_merge_recipe: JSON.stringify({ type: nameFor('tool') }) },
        { ...input.metadata, ss_tag_frequency: JSON.stringify({ x: { ink: below(9), [nameFor('tag')]: 2 } }) },
      ])
      await write(shop, input)
      return `metadata of ${input.path}`
    },
    async (shop) => {
      const input = state.adapters['adapter peft']!
      Object.assign(
        input.config!,
        oneOf<Plain>([
          { lora_alpha: 1 + below(8) },
          { use_rslora: below(2) === 0 },
          { revision: nameFor('r') },
          { alpha_pattern: { 'layers.1': 1 + below(8) } },
        ]),
      )
      await write(shop, input, false)
      return `the config of ${input.path}`
    },
    async (shop) => {
      const input = oneOf(Object.values(state.models))
      input.path = `${nameFor('file')}.safetensors`
      await write(shop, input)
      return `the path of an input: ${input.path}`
    },
    addStep,
    addStep,
    removeStep,
    (shop) => {
      const { path } = oneOf(state.outputs)
      rmSync(shop.at(path), { force: true })
      return `nothing, but ${path} is gone`
    },
    async (shop) => {
      const before = oneOf(earlier)
      Object.assign(state, JSON.parse(before.state))
      for (const input of files()) await write(shop, input)
      return `back to where it was: ${before.what}`
    },
  ]
  const nameOf = (id: string): string =>
    (state.models[id] ?? state.adapters[id] ?? state.steps.find((s) => s.id === id))!.name
  const inputsOf = (inputs: Readonly<Record<string, Input>>): Plain =>
    Object.fromEntries(Object.values(inputs).map((i) => [i.name, i.path]))
  const named = (value: string | readonly string[]): unknown =>
    typeof value === 'string' ? nameOf(value) : value.map(nameOf)
  while (state.steps.length < 4) addStep()
  return {
    recipe: () =>
      `# ${state.comment}\n${JSON.stringify(
        {
          smelt: 1,
          name: state.title,
          seed: state.seed,
          params: { share: state.share },
          models: inputsOf(state.models),
          adapters: inputsOf(state.adapters),
          steps: Object.fromEntries(
            state.steps.map(({ name, op, refs, params }) => [
              name,
              { op, ...Object.fromEntries(Object.entries(refs).map(([key, value]) => [key, named(value)])), ...params },
            ]),
          ),
          outputs: Object.fromEntries(
            state.outputs.map(({ name, from, path, options: { tags, ...options } }) => [
              name,
              {
                from: nameOf(from),
                path,
                ...options,
                ...(tags === undefined ? {} : { tags: named(tags as readonly string[]) }),
              },
            ]),
          ),
        },
        undefined,
        1,
      )}\n`,
    write: async (shop) => {
      mkdirSync(shop.at('peft'))
      for (const input of files()) await write(shop, input)
    },
    edit: async (shop) => {
      earlier.push({ what: `edit ${earlier.length}`, state: JSON.stringify(state) })
      return oneOf(CHANGES)(shop)
    },
  }
}
