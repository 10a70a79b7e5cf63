/** Adapters of every kind with one defect each, in memory. */
import { matchAdapter } from '#src/architectures/adapters/match.js'
import type { Diagnostic, Place } from '#src/base/diagnostic.js'
import type { TensorInfo } from '#src/tensor/info.js'
import type { TensorValues } from '../support/write-safetensors.js'
import { createDice } from './dice.js'
import { KINDS, OF_CONVOLUTIONS, type Kind, type Size } from './kind-cases.js'

type Dice = (n: number) => number
type Tensors = Map<string, TensorValues>

const AT: Place = { type: 'option', name: 'test' }

const MODULES: Readonly<Record<string, Size>> = {
  'net.fc': { outputs: 8, inputs: 6, kernel: [] },
  'net.conv': { outputs: 8, inputs: 6, kernel: [2, 3] },
}

const MODEL = new Map<string, { readonly shape: readonly number[]; readonly dtype: 'F32' }>(
  Object.entries(MODULES).flatMap(([module, { outputs, inputs, kernel }]) => [
    [`${module}.weight`, { shape: [outputs, inputs, ...kernel], dtype: 'F32' }] as const,
    [`${module}.bias`, { shape: [outputs], dtype: 'F32' }] as const,
  ]),
)

const pick = <T>(dice: Dice, list: readonly T[]): T => list[dice(list.length)]!

/** Kinds that a module may have one of. */
const familyOf = (kind: string): string => /^(?:PEFT’s )?([^ ,]+)/.exec(kind)![1]!.replace('BOFT', 'OFT')

/** One adapter that fits, and what is known of it. */
interface Sound {
  readonly module: string
  readonly kind: string
  readonly tensors: Tensors
  readonly config: object | undefined
}

const makeTensors = (make: Kind, module: string, dice: Dice): Pick<Sound, 'tensors' | 'config'> => {
  const { tensors, config } = make(MODULES[module]!, () => dice(2001) / 1000 - 1)
  return {
    tensors: new Map(Object.entries(tensors).map(([ending, values]) => [`${module}.${ending}`, values])),
    config,
  }
}

const makeSound = (dice: Dice): Sound => {
  const module = pick(dice, Object.keys(MODULES))
  const kinds = { ...KINDS, ...(module === 'net.conv' ? OF_CONVOLUTIONS : {}) }
  const kind = pick(dice, Object.keys(kinds))
  return { module, kind, ...makeTensors(kinds[kind]!, module, dice) }
}

/** Tensors without which another adapter is left, as sound as the first. */
const OPTIONAL = /\.(?:alpha|dora_scale|lora_magnitude_vector|rescale)$/
const SCALAR = /\.(?:alpha|on_input)$/

const needed = ({ tensors }: Sound): readonly string[] => [...tensors.keys()].filter((name) => !SCALAR.test(name))

const reshaped = (values: TensorValues, shape: readonly number[]): TensorValues => ({ ...values, shape, values: 1 })

/** One defect each; gives false where this adapter cannot have it. */
export const DEFECTS: Readonly<Record<string, (sound: Sound, dice: Dice) => boolean>> = {
  'a part missing': (sound, dice) => {
    const names = needed(sound).filter((name) => !OPTIONAL.test(name))
    // All that a difference has, or a rotation, is one tensor.
    if (names.length < 2) return false
    return sound.tensors.delete(pick(dice, names))
  },
  'a side of another length': (sound, dice) => {
    const name = pick(dice, needed(sound))
    const values = sound.tensors.get(name)!
    const { shape } = values
    // Fewer levels of BOFT are as good, and so is another size of one block for all places.
    const fixed = /oft_(?:blocks|R)$/.test(name) && shape.length === 4 ? 1 : 0
    if (name.endsWith('.oft_R.weight') && shape[0] === 1) return false
    const axis = fixed + dice(shape.length - fixed)
    const length = pick(dice, [shape[axis]! + 1, shape[axis]! + 5, shape[axis]! * 7, shape[axis]! * 2 + 1])
    sound.tensors.set(name, reshaped(values, shape.with(axis, length)))
    return true
  },
  'a side of 0': (sound, dice) => {
    const name = pick(dice, needed(sound))
    const values = sound.tensors.get(name)!
    sound.tensors.set(name, reshaped(values, values.shape.with(dice(values.shape.length), 0)))
    return true
  },
  'a rank of 0': ({ tensors, kind }) => {
    if (!/^(?:LoRA|LoHa|LoCon|GLoRA)/.test(kind)) return false
    for (const [name, values] of tensors)
      if (/(?:up|down|mid|lora_[AB]|[ab][12])(?:\.weight)?$|hada_/.test(name))
        tensors.set(
          name,
          reshaped(
            values,
            values.shape.map((d) => (d === 2 ? 0 : d)),
          ),
        )
    return true
  },
  'whole numbers': (sound, dice) => {
    const name = pick(dice, needed(sound))
    sound.tensors.set(name, { ...sound.tensors.get(name)!, dtype: 'I32', values: 1 })
    return true
  },
  'an alpha that cannot be': ({ tensors, module, kind }, dice) => {
    const name = `${module}.alpha`
    if (!tensors.has(name)) return false
    const rotates = /OFT/.test(kind)
    const value = pick(dice, [NaN, Infinity, -Infinity, -1, ...(rotates ? [] : [0, 1e38, 3e7])])
    tensors.set(name, { dtype: 'F32', shape: [], values: [value] })
    return true
  },
  'a side that is neither': ({ tensors, module }, dice) => {
    if (!tensors.has(`${module}.on_input`)) return false
    tensors.set(`${module}.on_input`, { dtype: 'F32', shape: [], values: [pick(dice, [NaN, 2, -1, 0.5])] })
    return true
  },
  'two kinds on one module': ({ tensors, module, kind }, dice) => {
    const other = pick(
      dice,
      Object.keys(KINDS).filter((k) => familyOf(k) !== familyOf(kind)),
    )
    for (const [name, values] of makeTensors(KINDS[other]!, module, dice).tensors) tensors.set(name, values)
    return true
  },
  'a module under two names': ({ tensors, module }, dice) => {
    const other = pick(dice, [
      `unet.${module}`,
      `lora_unet_${module.replaceAll('.', '_')}`,
      `diffusion_model.${module}`,
    ])
    // A factor of (IA)³ is known by what is beside it, and a whole tensor otherwise.
    for (const [name, values] of [...tensors]) tensors.set(name.replace(module, other), values)
    return true
  },
  'a name that is no module’s': ({ tensors, module }, dice) => {
    const other = pick(dice, [`${module}x`, `x.${module}`, module.replace('net', 'ten')])
    for (const [name, values] of [...tensors]) {
      tensors.delete(name)
      tensors.set(name.replace(module, other), values)
    }
    return true
  },
  'a kind that is not applied': ({ tensors, module }, dice) => {
    const ending = pick(dice, ['oft_diag', 'vera_lambda_b', 'oft_r', 'bm.weight', 'scalar', 'fourierft_spectrum'])
    tensors.set(`${module}.${ending}`, { dtype: 'F32', shape: [2, 2], values: 1 })
    return true
  },
}

const infoOf = (name: string, { dtype, shape }: TensorValues): TensorInfo => ({
  name,
  dtype,
  shape,
  file: 'a',
  begin: 0,
  end: 4 * shape.reduce((n, d) => n * d, 1),
})

const scalarsOf = (tensors: Tensors): ReadonlyMap<string, Uint8Array> =>
  new Map(
    [...tensors].flatMap(([name, { dtype, values }]) => {
      if (!SCALAR.test(name)) return []
      const [value = 0] = values as readonly number[]
      const numbers = dtype === 'I64' ? BigInt64Array.of(BigInt(value)) : Float32Array.of(value)
      return [[name, new Uint8Array(numbers.buffer)] as const]
    }),
  )

/** What smelt says of an adapter; empty where it would be applied. */
const problemsOf = ({ tensors, config }: Sound): readonly Diagnostic[] => {
  const file = {
    path: 'a',
    tensors: new Map([...tensors].map(([name, values]) => [name, infoOf(name, values)])),
    scalars: scalarsOf(tensors),
    metadata: new Map<string, string>(),
    config,
  } as unknown as Parameters<typeof matchAdapter>[0]['file']
  const recipient = { label: '`m`', tensors: MODEL, architecture: undefined }
  const matched = matchAdapter({ label: '`a`', file, alpha: undefined, at: AT }, recipient, true)
  return matched.type === 'ok' ? [] : matched.diagnostics
}

/** An adapter with a defect: what it is, and what smelt says of it before and after it was spoilt. */
export interface Spoilt {
  readonly what: string
  readonly before: readonly Diagnostic[]
  readonly after: readonly Diagnostic[]
}

/** Spoils one adapter in some way; the same for the same seed. */
export const spoilOne = (seed: number): Spoilt => {
  const dice = createDice(seed)
  for (;;) {
    const sound = makeSound(dice)
    const before = problemsOf(sound)
    const defect = pick(dice, Object.keys(DEFECTS))
    if (!DEFECTS[defect]!(sound, dice)) continue
    return {
      what: `${seed}: ${sound.kind} of ${sound.module} with ${defect}`,
      before,
      after: problemsOf(sound),
    }
  }
}

/** Of adapters from one seed to another, those that smelt does not take before, or does not refuse in plain words after. */
export const wronglyJudged = (from: number, to: number): readonly string[] => {
  const wrong: string[] = []
  for (let seed = from; seed < to; seed++) {
    const { what, before, after } = spoilOne(seed)
    const told = after.every(({ message, help, at }) => message.includes('`a`') && help !== undefined && at === AT)
    if (before.length > 0) wrong.push(`${what}: refused before: ${before[0]!.message}`)
    else if (after.length === 0) wrong.push(`${what}: taken`)
    else if (!told) wrong.push(`${what}: ${after.map((d) => d.message).join('; ')}`)
  }
  return wrong
}
