import { mechaLacks, mechaSays } from '../../base/catalogue/import-sd-mecha.js'
import type { Yaml } from '../../document/write.js'
import { absentAs, knownAs } from '../../operators/known-as.js'
import type { DraftBuilder } from '../draft.js'
import type { Field } from '../importer.js'
import { addByMask, DELTA_METHODS, MASKS, mergeDeltas, subtraction, type Delta, type Mask } from './differences.js'
import { componentOf, DIRECT } from './methods.js'
import { AS_IS, AS_KEEP, writeNumbers, type Direction, type Numbers } from './numbers.js'
import type { Instruction, MechaArgument } from './read.js'

type Value =
  | { readonly type: 'model'; readonly name: string; readonly dtype?: string }
  | Delta
  | Mask
  | { readonly type: 'adapter'; readonly name: string }
  | { readonly type: 'numbers'; readonly numbers: Numbers }
  | { readonly type: 'dict'; readonly dict: ReadonlyMap<string, number> }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'none' }

/** What the last instruction gives. */
export interface MechaResult {
  readonly name: string
  readonly delta: boolean
  readonly dtype: string | undefined
}

/** Why a method is not imported: how to write it, why it is not here, or that nobody knows it. */
const whyUnknown = (method: string): string => {
  const [known] = knownAs(method).filter(({ alias }) => alias.from === 'sd-mecha')
  if (known !== undefined) return mechaLacks.byHand(method, known.operator.id)
  const [absent] = absentAs(method).filter(({ from }) => from === 'sd-mecha')
  return absent === undefined ? mechaLacks.method : mechaLacks.absent(absent.why)
}

/** Keeps the VAE as the first model has it, which sd-mecha 0.0 never merges. */
const WITHOUT_VAE: Yaml = ['*', { match: '!component:vae', optional: true }]

const DTYPES: ReadonlyMap<string, string> = new Map([
  ['fp16', 'f16'],
  ['float16', 'f16'],
  ['bf16', 'bf16'],
  ['bfloat16', 'bf16'],
  ['fp32', 'f32'],
  ['float32', 'f32'],
])

/** The names of `rotate`, which once were `alpha` and `beta` for `alignment` and `alpha`. */
const rotateNames = (names: Instruction['names']): Instruction['names'] =>
  names.has('beta')
    ? new Map(
        [...names].map(([name, value]) => [name === 'alpha' ? 'alignment' : name === 'beta' ? 'alpha' : name, value]),
      )
    : names

/** Evaluates instructions into steps of a draft. `typed` is true for the format 0.1 and later. */
export const createEvaluator = (
  draft: DraftBuilder,
  instructions: readonly Instruction[],
  typed: boolean,
): { readonly result: () => MechaResult | undefined } => {
  const values: (Value | undefined)[] = []
  /** What the models are, such as `sdxl-sgm`: all of a recipe are the same. */
  let family: string | undefined
  const extra: readonly Field[] = typed ? [] : [['layers', WITHOUT_VAE, mechaSays.vaeStays]]

  const miss = (line: number, what: string, why: string): undefined =>
    draft.missing(`line ${line}`, what, why) as undefined

  /** The value of an argument; undefined, which is told already, where it has none. */
  const valueOf = (argument: MechaArgument): Value | undefined => {
    if (typeof argument === 'number') return { type: 'numbers', numbers: { type: 'number', value: argument } }
    if (typeof argument === 'boolean') return { type: 'numbers', numbers: { type: 'number', value: Number(argument) } }
    if (typeof argument === 'string') return { type: 'text', text: argument }
    if (argument === null) return { type: 'none' }
    return values[argument.ref]
  }
  /** True where an argument refers to something above that was read. */
  const isKnown = (argument: MechaArgument): boolean =>
    argument === null || typeof argument !== 'object' || values[argument.ref] !== undefined

  const toNumbers = (value: Value | undefined): Numbers | undefined => {
    if (value?.type === 'numbers') return value.numbers
    if (value?.type !== 'dict') return undefined
    const [key] = value.dict.keys()
    if (key === 'key' && value.dict.size === 1) return { type: 'number', value: value.dict.get('key')! }
    return /^(BASE|IN\d\d|M00|OUT\d\d|VAE)$/.test(key ?? '')
      ? { type: 'blocks', dict: value.dict, fallback: undefined }
      : { type: 'keys', dict: value.dict }
  }

  const load = ({ places, names, line }: Instruction): Value | undefined => {
    const [path] = places
    if (typeof path !== 'string') return miss(line, '`model`', mechaLacks.literal)
    const config = typed ? names.get('model_config') : (places[1] ?? names.get('model_arch'))
    const space = typed ? names.get('merge_space') : (places[2] ?? names.get('model_type'))
    const isAdapter = space === 'lora' || (typeof config === 'string' && /lora|lycoris/.test(config))
    if (typeof config === 'string') family ??= config
    const file = {
      path: /\.(safetensors|ckpt|pt|pth|bin)$/i.test(path) ? path : `${path}.safetensors`,
      folder: isAdapter ? 'loras' : 'models',
      where: `line ${line}`,
    }
    if (isAdapter) return { type: 'adapter', name: draft.adapter(file) }
    if (space === 'delta') return miss(line, `\`model "${path}"\``, mechaLacks.deltaFile)
    return { type: 'model', name: draft.model(file) }
  }

  const parameter = ({ places, line }: Instruction): Value | undefined => {
    const [name, space] = places
    if (typeof name !== 'string') return miss(line, '`parameter`', mechaLacks.literal)
    if (space === 'DELTA') return miss(line, `\`parameter "${name}"\``, mechaLacks.deltaFile)
    const param = draft.param(`${name}_file`, `${name}.safetensors`, mechaSays.placeholder)
    return { type: 'model', name: draft.model({ path: `$${param}`, title: name, where: `line ${line}` }) }
  }

  const dict = ({ names, line }: Instruction): Value | undefined => {
    // A constant, as version 0.1 and later write it.
    const only = names.size === 1 && names.has('key') ? valueOf(names.get('key')!) : undefined
    if (only?.type === 'text' || only?.type === 'none') return only
    const entries: [string, number][] = []
    for (const [key, argument] of names) {
      const value = toNumbers(valueOf(argument))
      if (value?.type !== 'number') return miss(line, '`dict`', mechaLacks.literal)
      entries.push([key, value.value])
    }
    return { type: 'dict', dict: new Map(entries) }
  }

  const merge = (instruction: Instruction): Value | undefined => {
    const { line } = instruction
    const [method, ...places] = instruction.places
    const names = method === 'rotate' ? rotateNames(instruction.names) : instruction.names
    if (typeof method !== 'string') return miss(line, '`merge`', mechaLacks.literal)
    const what = `\`${method}\``
    // What an argument lacks has been told where it is.
    if (![...places, ...names.values()].every(isKnown)) return undefined
    const argument = (name: string, place: number): Value | undefined => {
      const found = names.get(name) ?? places[place]
      const value = found === undefined ? undefined : valueOf(found)
      return value?.type === 'none' ? undefined : value
    }
    const number = (name: string, place: number, fallback: number, direction: Direction): Yaml | undefined => {
      const value = argument(name, place)
      const numbers = value === undefined ? ({ type: 'number', value: fallback } as const) : toNumbers(value)
      if (numbers === undefined) return miss(line, what, mechaLacks.needsNumber(name))
      const written = writeNumbers(numbers, direction)
      return 'why' in written ? miss(line, what, written.why) : written.value
    }
    const plain = (name: string, place: number, fallback: number): number | undefined => {
      const value = number(name, place, fallback, AS_IS)
      if (value === undefined || typeof value === 'number') return value
      return miss(line, what, mechaLacks.perLayer(name))
    }
    const model = (name: string, place: number): string | undefined => {
      const value = argument(name, place)
      if (value?.type === 'model') return value.name
      return miss(line, what, value?.type === 'adapter' ? mechaLacks.adapter : mechaLacks.needsModel(name))
    }
    const delta = (name: string, place: number): Delta | undefined => {
      const value = argument(name, place)
      return value?.type === 'delta' ? value : miss(line, what, mechaLacks.needsDelta(name))
    }
    const all = places.map(valueOf)
    const step = (op: string, fields: readonly Field[]): Value => ({
      type: 'model',
      name: draft.step(method, op, [...fields, ...extra]),
    })
    const deltas = all.filter((v): v is Delta => v?.type === 'delta')
    if ((method === 'weighted_sum' || method === 'n_average') && deltas.length > 0) {
      if (deltas.length < (method === 'n_average' ? all.length : 2)) return miss(line, what, mechaLacks.needsDelta('b'))
      const [share, rest] =
        method === 'n_average'
          ? [1 / all.length, 1 / all.length]
          : [number('alpha', 2, 0.5, AS_IS), number('alpha', 2, 0.5, AS_KEEP)]
      if (share === undefined || rest === undefined) return undefined
      const scaled = deltas.map((d, i) =>
        draft.step('share', 'model.scale', [
          ['model', d.name()],
          ['factor', i === 0 ? rest : share],
        ]),
      )
      const name = scaled.reduce((sum, one) =>
        draft.step(method, 'model.add', [
          ['a', sum],
          ['delta', one],
        ]),
      )
      return { type: 'delta', name: () => name, addTo: () => undefined }
    }
    if (DELTA_METHODS.has(method)) {
      if (deltas.length < all.length || all.length === 0) return miss(line, what, mechaLacks.needsDelta('models'))
      return mergeDeltas(draft, {
        method,
        line,
        typed,
        deltas,
        has: (name) => names.has(name),
        plain: (name, fallback) => plain(name, Infinity, fallback),
        miss: (why) => miss(line, what, why),
      })
    }
    if (MASKS.has(method)) {
      const [a, b, c] = [model('a', 0), model('b', 1), model('c', 2)]
      const strength = number('alpha', 3, 1, AS_IS)
      return a === undefined || b === undefined || c === undefined || strength === undefined
        ? undefined
        : { type: 'mask', a, b, c, strength, method: MASKS.get(method) }
    }
    if (method === 'truncate_rank') return miss(line, what, mechaLacks.rankShare)
    if (method === 'truncate_kronecker') return miss(line, what, mechaLacks.kronecker)
    const direct = DIRECT.get(method)
    if (direct !== undefined) {
      const fields: Field[] = []
      for (const [i, key] of direct.models.entries()) {
        const name = model(key === 'base' ? 'c' : key, i)
        if (name === undefined) return undefined
        fields.push([key, name])
      }
      for (const [i, n] of direct.numbers.entries()) {
        const value = number(n.name, direct.models.length + i, n.fallback, n.keep === true ? AS_KEEP : AS_IS)
        if (value === undefined) return undefined
        fields.push(n.keep === true ? [n.as, value, mechaSays.keep] : [n.as, value])
      }
      if (direct.differs !== undefined) draft.note(`line ${line}`, mechaSays[direct.differs])
      return step(direct.op, [...fields, ...(direct.fixed ?? [])])
    }
    switch (method) {
      case 'n_average':
      case 'geometric_median': {
        const list = all.map((_, i) => model(`models[${i}]`, i))
        if (list.length === 0 || list.some((m) => m === undefined)) return undefined
        return step(method === 'n_average' ? 'merge.linear' : 'merge.geometric_median', [['models', list as string[]]])
      }
      case 'clamp':
      case 'clip': {
        const [a, ...bounds] = all.map((_, i) => model(i === 0 ? 'a' : 'bounds', i))
        const stiffness = plain('stiffness', Infinity, 0)
        if (a === undefined || stiffness === undefined || bounds.length === 0 || bounds.some((b) => b === undefined))
          return undefined
        return step('merge.clamp', [
          ['a', a],
          ['bounds', bounds as string[]],
          ['stiffness', stiffness],
        ])
      }
      case 'subtract': {
        const [a, b] = [model('a', 0), model('b', 1)]
        return a === undefined || b === undefined ? undefined : subtraction(draft, a, b)
      }
      case 'add_difference': {
        const [a, b, mask] = [argument('a', 0), argument('b', 1), argument('alpha', 2)]
        if (mask?.type === 'mask') {
          const [to, added] = [model('a', 0), delta('b', 1)]
          if (to === undefined || added === undefined) return undefined
          const name = addByMask(draft, mask, to, added, extra)
          return name === undefined ? miss(line, what, mechaLacks.mask) : { type: 'model', name }
        }
        const strength = number('alpha', 2, 1, AS_IS)
        if (strength === undefined) return undefined
        if (b?.type === 'adapter' && a?.type === 'model')
          return {
            type: 'model',
            name: draft.step(`${a.name}_${b.name}`, 'adapter.apply', [
              ['model', a.name],
              ['adapter', b.name],
              ['strength', strength],
            ]),
          }
        const added = delta('b', 1)
        if (added === undefined) return undefined
        if (a?.type === 'model') {
          const whole = added.addTo(a.name, strength, extra)
          if (whole !== undefined) return { type: 'model', name: whole }
        } else if (a?.type !== 'delta') return miss(line, what, mechaLacks.needsModel('a'))
        const name = draft.step(method, 'model.add', [
          ['a', a.type === 'model' ? a.name : a.name()],
          ['delta', added.name()],
          ['strength', strength],
          ...(a.type === 'model' ? extra : []),
        ])
        return a.type === 'model'
          ? { type: 'model', name }
          : { type: 'delta', name: () => name, addTo: () => undefined }
      }
      case 'scale': {
        const [a, factor] = [delta('a', 0), number('alpha', 1, 1, AS_IS)]
        if (a === undefined || factor === undefined) return undefined
        const name = (): string =>
          draft.step(method, 'model.scale', [
            ['model', a.name()],
            ['factor', factor],
          ])
        return { type: 'delta', name, addTo: () => undefined }
      }
      case 'fallback': {
        const [a, b] = [argument('a', 0), argument('default', 1) ?? argument('b', 1)]
        if (a?.type === 'numbers' || a?.type === 'dict') {
          const [numbers, rest] = [toNumbers(a), toNumbers(b)]
          return numbers?.type === 'blocks' && rest?.type === 'number'
            ? { type: 'numbers', numbers: { ...numbers, fallback: rest.value } }
            : numbers === undefined
              ? miss(line, what, mechaLacks.needsNumber('a'))
              : { type: 'numbers', numbers }
        }
        if (a?.type === 'delta' && b?.type === 'delta')
          return {
            type: 'delta',
            name: () =>
              draft.step(method, 'model.combine', [
                ['models', [a.name(), b.name()]],
                ['overlap', 'first'],
              ]),
            addTo: () => undefined,
          }
        const [first, second] = [
          model('a', 0),
          b?.type === 'model' ? b.name : miss(line, what, mechaLacks.needsModel('default')),
        ]
        if (first === undefined || second === undefined) return undefined
        const name = draft.step(method, 'model.combine', [
          ['models', [first, second]],
          ['overlap', 'first'],
        ])
        return { type: 'model', name }
      }
      case 'pick_component':
      case 'omit_component': {
        const [a, component] = [model('a', 0), argument('component', 1)]
        const pattern = component?.type === 'text' ? componentOf(component.text, family) : undefined
        if (a === undefined) return undefined
        if (pattern === undefined) return miss(line, what, mechaLacks.method)
        const layers = method === 'pick_component' ? pattern : ['*', `!${pattern}`]
        return {
          type: 'model',
          name: draft.step(method, 'model.select', [
            ['model', a],
            ['layers', layers],
          ]),
        }
      }
      case 'cast': {
        const [a, dtype] = [argument('a', 0), argument('dtype', 2) ?? argument('dtype', 1)]
        const known = dtype?.type === 'text' ? DTYPES.get(dtype.text.replace(/^torch\./, '')) : undefined
        if (a?.type !== 'model' || line !== instructions.at(-1)!.line) draft.note(`line ${line}`, mechaSays.cast)
        return a?.type === 'model' && known !== undefined ? { ...a, dtype: known } : a
      }
      default: {
        if (method.startsWith('convert_')) {
          const [only] = all
          if (only?.type === 'model' || only?.type === 'delta') return miss(line, what, mechaLacks.conversion)
          return only
        }
        return miss(line, what, whyUnknown(method))
      }
    }
  }

  const evaluate = (instruction: Instruction): Value | undefined => {
    switch (instruction.command) {
      case 'model':
        return load(instruction)
      case 'parameter':
        return parameter(instruction)
      case 'dict':
        return dict(instruction)
      case 'literal': {
        const [argument] = instruction.places
        const value = argument === undefined ? undefined : valueOf(argument)
        return value ?? miss(instruction.line, '`literal`', mechaLacks.literal)
      }
      case 'merge':
        return merge(instruction)
    }
  }

  return {
    result: () => {
      for (const [i, instruction] of instructions.entries()) {
        const refs = [...instruction.places, ...instruction.names.values()].flatMap((a) =>
          typeof a === 'object' && a !== null && a.ref >= i ? [a.ref] : [],
        )
        for (const ref of refs) miss(instruction.line, `&${ref}`, mechaLacks.reference)
        values.push(refs.length > 0 ? undefined : evaluate(instruction))
      }
      const last = values.at(-1)
      if (last?.type === 'model') return { name: last.name, delta: false, dtype: last.dtype }
      if (last?.type === 'delta') return { name: last.name(), delta: true, dtype: undefined }
      if (last !== undefined) miss(instructions.at(-1)!.line, 'the recipe', mechaLacks.result)
      return undefined
    },
  }
}
