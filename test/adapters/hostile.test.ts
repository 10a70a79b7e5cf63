import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { matchAdapter } from '#src/architectures/adapters/match.js'
import type { Diagnostic, Place } from '#src/base/diagnostic.js'
import type { Result } from '#src/base/result.js'
import { openAdapter } from '#src/safetensors/adapter-file.js'
import { inFolder } from '../support/build-run.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'net.q': [4, 6],
  'net.k': [6, 4],
  'net.conv': [3, 2, 3, 3],
  'net.point': [5, 2, 1, 1],
  'net.embed_tokens': [7, 4],
}
const MODULES = Object.keys(SHAPES)
const MODEL = new Map(
  MODULES.flatMap((module) => [
    [`${module}.weight`, { shape: SHAPES[module]!, dtype: 'F32' as const }],
    [`${module}.bias`, { shape: [SHAPES[module]![0]!], dtype: 'F32' as const }],
  ]),
)
const AT: Place = { type: 'option', name: 'test' }

/** Numbers below `n`, the same for the same seed. */
const dice = (seed: number): ((n: number) => number) => {
  let state = seed
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
}

type Roll = (n: number) => number
type File = Map<string, TensorValues>
const filled = (shape: readonly number[], value = 1): TensorValues => ({ dtype: 'F32', shape, values: value })
const pick = <T>(roll: Roll, list: readonly T[]): T => list[roll(list.length)]!
const swap = (file: File, name: string, change: (old: TensorValues) => TensorValues): void =>
  void file.set(name, change(file.get(name)!))

/**
 * How one module is adapted: its name in the adapter, and its tensors there. Rows, columns and rank are those of the
 * flattened weight.
 */
interface Part {
  readonly module: string
  readonly name: string
  readonly kind: 'lora' | 'loha' | 'diff' | 'set'
  readonly tensors: readonly string[]
}

const addPart = (file: File, roll: Roll, module: string): Part => {
  const [rows, columns] = [SHAPES[module]![0]!, SHAPES[module]!.slice(1).reduce((n, d) => n * d, 1)]
  const rank = 1 + roll(3)
  const kind = pick(roll, ['lora', 'lora', 'loha', 'diff', 'set'] as const)
  const [up, down, name] = pick(roll, [
    ['lora_up.weight', 'lora_down.weight', `lora_unet_${module.replaceAll('.', '_')}`],
    ['lora_up.weight', 'lora_down.weight', module],
    ['lora.up.weight', 'lora.down.weight', `unet.${module}`],
    ['lora_B.default.weight', 'lora_A.default.weight', `diffusion_model.${module}`],
  ] as const)
  const tensors: readonly (readonly [string, readonly number[]])[] = {
    lora: [
      [up, [rows, rank]],
      [down, [rank, columns]],
    ] as const,
    loha: [
      ['hada_w1_a', [rows, rank]],
      ['hada_w1_b', [rank, columns]],
      ['hada_w2_a', [rows, rank]],
      ['hada_w2_b', [rank, columns]],
    ] as const,
    diff: [['diff', SHAPES[module]!]] as const,
    set: [['set_weight', SHAPES[module]!]] as const,
  }[kind]
  for (const [role, shape] of tensors) file.set(`${name}.${role}`, filled(shape))
  if (kind === 'lora' || kind === 'loha') file.set(`${name}.alpha`, roll(2) === 0 ? filled([], 2) : filled([1], 2))
  return { module, name, kind, tensors: tensors.map(([role]) => `${name}.${role}`) }
}

const factored = ({ kind }: Part): boolean => kind === 'lora' || kind === 'loha'

/** One defect each: what it is told as, whether it can be made of a part, and how. */
const DEFECTS: Readonly<
  Record<
    string,
    readonly [
      codes: readonly string[],
      applies: (part: Part) => boolean,
      spoil: (file: File, part: Part, roll: Roll) => void,
    ]
  >
> = {
  'half a pair': [['factor-missing'], factored, (file, { tensors }, roll) => void file.delete(pick(roll, tensors))],
  'a rank of 0': [
    ['bad-rank'],
    factored,
    (file, { tensors: [up, down] }) => {
      swap(file, up!, (t) => filled([t.shape[0]!, 0]))
      swap(file, down!, (t) => filled([0, t.shape[1]!]))
    },
  ],
  'unequal ranks': [
    ['adapter-shape'],
    factored,
    (file, { tensors: [up] }) => swap(file, up!, (t) => filled([t.shape[0]!, t.shape[1]! + 1])),
  ],
  'another width': [
    ['adapter-shape'],
    factored,
    (file, { tensors: [, down] }) => swap(file, down!, (t) => filled([t.shape[0]!, t.shape[1]! + 1])),
  ],
  'another height': [
    ['adapter-shape'],
    factored,
    (file, { tensors: [up] }) => swap(file, up!, (t) => filled([t.shape[0]! + 1, t.shape[1]!])),
  ],
  'another shape': [
    ['adapter-shape', 'adapter-vocabulary'],
    (part) => !factored(part),
    (file, { tensors: [only] }, roll) =>
      swap(file, only!, (t) =>
        filled(pick(roll, [[...t.shape, 1], [t.shape[0]! + 1, ...t.shape.slice(1)], t.shape.slice(1), []])),
      ),
  ],
  'an alpha that is no number': [
    ['bad-alpha'],
    factored,
    (file, { name }, roll) => void file.set(`${name}.alpha`, filled([], pick(roll, [NaN, Infinity, -Infinity, 0, -1]))),
  ],
  'an alpha of several numbers': [
    ['bad-alpha'],
    factored,
    (file, { name }, roll) => void file.set(`${name}.alpha`, filled(pick(roll, [[2], [0], [1, 1], [3, 3], [64]]), 2)),
  ],
  'whole numbers': [
    ['adapter-dtype'],
    () => true,
    (file, { tensors }, roll) => swap(file, pick(roll, tensors), ({ shape }) => ({ dtype: 'I64', shape, values: 1 })),
  ],
  'two kinds on one module': [
    ['two-changes'],
    () => true,
    (file, { name, module, kind }, roll) => {
      const role = pick(
        roll,
        (['diff', 'set'] as const).filter((other) => other !== kind),
      )
      file.set(`${name}.${role === 'set' ? 'set_weight' : role}`, filled(SHAPES[module]!))
    },
  ],
  'a module under two names': [
    ['two-adapters'],
    () => true,
    (file, { name, module }, roll) => {
      const other = pick(
        roll,
        [module, `unet.${module}`, `lora_transformer_${module.replaceAll('.', '_')}`].filter((alias) => alias !== name),
      )
      file.set(`${other}.diff`, filled(SHAPES[module]!))
    },
  ],
  'an ending that says nothing': [
    ['adapter-role-unknown'],
    () => true,
    (file, { name }, roll) =>
      void file.set(
        `${name}.${pick(roll, ['lora_up', 'lora_middle.weight', 'hada_w3_a', 'shift', 'diff_c', 'lora_A.a.b.c.weight'])}`,
        filled([2, 2]),
      ),
  ],
  'a kind that is not applied': [
    ['adapter-unsupported'],
    () => true,
    (file, { name }, roll) =>
      void file.set(`${name}.${pick(roll, ['oft_diag', 'oft_r', 'bm.weight', 'vera_A', 'scalar'])}`, filled([2, 2])),
  ],
  'a name that is misspelt': [
    ['adapter-unmatched', 'adapter-matches-nothing'],
    () => true,
    (file, { tensors, name }, roll) => {
      const wrong = pick(roll, [`${name}x`, name.replace('net', 'ent'), `other_${name}`])
      for (const tensor of [...tensors, `${name}.alpha`]) {
        const moved = file.get(tensor)
        if (moved === undefined) continue
        file.delete(tensor)
        file.set(tensor.replace(name, wrong), moved)
      }
    },
  ],
}

const matched = (file: File, path: string): Promise<Result<unknown>> => {
  writeSafetensors(path, Object.fromEntries(file))
  return openAdapter(path).then((opened) => {
    if (opened.type === 'failed') throw new Error(opened.diagnostics[0]!.message)
    const recipient = { label: '`m`', tensors: MODEL, architecture: undefined }
    return matchAdapter({ label: '`a`', file: opened.value, alpha: undefined, at: AT }, recipient, true)
  })
}

const ROUNDS = 40

describe('of random adapters', () => {
  test.each(Object.keys(DEFECTS))('each that has %s is refused, and each that has not is applied', (defect) =>
    inFolder(async (folder) => {
      const [expected, applies, spoil] = DEFECTS[defect]!
      const codes = new Set<string>()
      for (let round = 0; round < ROUNDS; round++) {
        const roll = dice(Object.keys(DEFECTS).indexOf(defect) * 1000 + round)
        const file: File = new Map()
        const parts = MODULES.filter(() => roll(3) > 0).map((module) => addPart(file, roll, module))
        const fitting = parts.filter(applies)
        if (fitting.length === 0) continue
        const path = join(folder, `${round}.safetensors`)
        expect((await matched(file, path)).diagnostics).toEqual([])
        spoil(file, pick(roll, fitting), roll)
        const result = await matched(file, path)
        expect([result.type, [...file.keys()]]).toEqual(['failed', [...file.keys()]])
        for (const { code, message, help, at } of result.diagnostics as readonly Diagnostic[]) {
          expect([message.includes('`a`'), help === undefined, at]).toEqual([true, false, AT])
          codes.add(code)
        }
      }
      expect([...codes].sort()).toEqual([...expected].sort())
    }),
  )
})
