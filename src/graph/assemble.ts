import type { Dtype } from '../tensor/dtype.js'
import { argumentsOf, type Expression, type Mask, type Scalar, type Solve, type Tensor } from './expression.js'
import {
  APPLY,
  COMPARE,
  LOGIC,
  STORED,
  ZERO,
  type GeneratedInput,
  type Instruction,
  type Port,
  type Program,
} from './program.js'
import { chooseBy } from './choosing.js'
import type { TensorInfo } from '../tensor/info.js'
import { isSameView, viewKey, wholeOf, type View } from '../tensor/view.js'
import { walk } from './walk.js'

/**
 * A number fed once per chunk: a scalar, or the threshold of a `top` mask, which changes at the element that splits
 * equal magnitudes.
 */
export type ScalarInput = Scalar | Extract<Mask, { type: 'top' }>

/** What a program has to produce at a port: the elements of an expression, encoded. */
export interface ProgramOutput {
  readonly value: Tensor | Mask
  /** The stored dtype; BOOL for masks. */
  readonly dtype: Dtype
}

/**
 * A program and what to feed it, in the order of its inputs: reads, draws, uniforms, then the chunk's length if the
 * program needs it.
 */
export interface Assembly {
  readonly program: Program
  readonly reads: readonly View[]
  readonly draws: readonly GeneratedInput[]
  readonly uniforms: readonly ScalarInput[]
  readonly needsLength: boolean
  /** The results of solvers that it reads. */
  readonly solves: readonly Solve[]
}

/** The dtypes that programs can write. */
const COMPUTED: readonly Dtype[] = ['F16', 'BF16', 'F32', 'F64', 'F8_E4M3', 'F8_E5M2', 'BOOL', 'I64']
type Choice = Extract<Tensor, { type: 'choose' }>

/** An id that no expression of the graph has. */
const literal = (value: number): Scalar => ({ kind: 'scalar', id: -1, type: 'literal', value })

/**
 * True for an expression without any element-sized input: it has one value, which is expanded to the length of the
 * chunk.
 */
const isFlat = (root: Expression, heldIn: HeldIn): boolean => {
  const seen = new Set<number>()
  let flat = true
  walk([root], {
    enter: (e) => {
      if (!flat || e.kind === 'scalar' || seen.has(e.id)) return false
      seen.add(e.id)
      flat = !isFed(e, heldIn)
      return flat
    },
  })
  return flat
}

/** What is fed to a program element by element, wherever it stands. */
const FED: ReadonlySet<Expression['type']> = new Set<Expression['type']>([
  'read',
  'read-mask',
  'bernoulli',
  'normal',
  'uniform',
  'constant',
  'position',
  'product',
  'spread',
])

/** True for an expression whose elements are fed to the program. */
const isFed = (e: Expression, heldIn: HeldIn): boolean => FED.has(e.type) || heldIn(e) !== undefined

/** The operands of a choice; constants are not among them if arithmetic replaces the choice. */
const chosenFrom = (e: Choice): readonly Expression[] => {
  const how = chooseBy(e)
  return how.type === 'where' ? [e.mask, how.yes, how.no] : how.type === 'product' ? [e.mask, how.yes] : [e.mask]
}

/** The operands of an expression in a program; none if its elements are fed. */
const operandsOf =
  (heldIn: HeldIn) =>
  (e: Expression): readonly Expression[] =>
    e.kind === 'scalar' || isFed(e, heldIn)
      ? NONE
      : e.type === 'choose'
        ? chosenFrom(e)
        : e.type === 'top'
          ? [e.operand]
          : argumentsOf(e)

/** Where the elements of a mask or a solver's result lie in a file; undefined if they have to be computed. */
export type HeldIn = (e: Expression) => TensorInfo | undefined

/** Assembles programs, each distinct structure once: most tensors of a model need the same program. */
export type Assembler = (wanted: readonly ProgramOutput[]) => Assembly

/** The inputs of an expression, in the order of the program's inputs, and the structure that identifies the program. */
interface Outline {
  readonly structure: string
  readonly reads: readonly View[]
  readonly draws: readonly GeneratedInput[]
  readonly uniforms: readonly ScalarInput[]
  readonly solves: readonly Solve[]
}

const drawOf = (e: Expression): GeneratedInput | undefined => {
  switch (e.type) {
    case 'bernoulli':
      return { type: 'bernoulli', p: e.p, stream: e.stream }
    case 'normal':
    case 'uniform':
      return { type: e.type, stream: e.stream }
    case 'constant':
      return { type: 'constant', value: e.value }
    case 'position':
      return { type: 'position', stride: e.stride, length: e.length }
    case 'product':
      return { type: 'product', product: e.product }
    case 'spread':
      return { type: 'spread', vector: e.vector, grid: e.grid }
    default:
      return undefined
  }
}

/**
 * Visits expressions in the order in which `write` emits them, so equal structures give equal programs with inputs in
 * the same order.
 */
const outline = (wanted: readonly ProgramOutput[], heldIn: HeldIn): Outline => {
  const seen = new Map<number, number>()
  const reads: View[] = []
  const draws: GeneratedInput[] = []
  const uniforms: ScalarInput[] = []
  const solves: Solve[] = []
  let structure = ''
  const below = operandsOf(heldIn)
  const placeOf = (e: Expression): number => seen.get(e.id)!
  const placesOf = (list: readonly Expression[]): string => {
    let text = ''
    for (let i = 0; i < list.length; i++) text += i === 0 ? placeOf(list[i]!) : `,${placeOf(list[i]!)}`
    return text
  }
  const read = (view: View): string => {
    const known = reads.findIndex((r) => isSameView(r, view))
    const place = known < 0 ? reads.push(view) - 1 : known
    return `${place}${view.tensor.dtype}`
  }
  const describe = (e: Expression): string => {
    if (e.kind === 'scalar') return `u${uniforms.push(e)};`
    const held = heldIn(e)
    if (e.type === 'solve') solves.push(e)
    if (held !== undefined) return `${e.kind === 'mask' ? 'read-mask' : 'read'}${read(wholeOf(held))};`
    const draw = drawOf(e)
    if (draw !== undefined) return `d${draws.push(draw)}${draw.type};`
    if (e.type === 'read' || e.type === 'read-mask') return `${e.type}${read(e.view)};`
    if (e.type === 'choose') return describeChoice(e)
    if (e.type === 'top') uniforms.push(e)
    return `${e.type}${'op' in e ? e.op : ''}(${placesOf(below(e))});`
  }
  const describeChoice = (e: Choice): string => {
    const how = chooseBy(e)
    if (how.type === 'line') uniforms.push(literal(how.slope), literal(how.start))
    return `choose-${how.type}(${placesOf(chosenFrom(e))});`
  }
  walk(
    wanted.map((w) => w.value),
    {
      enter: (e) => !seen.has(e.id),
      leave: (e) => {
        structure += describe(e)
        seen.set(e.id, seen.size)
      },
      below,
    },
  )
  const roots = wanted.map(({ value, dtype }) => `${placeOf(value)}>${dtype}`)
  return {
    structure: `${structure}${roots.join()}`,
    reads: trimmed(reads),
    draws: trimmed(draws),
    uniforms: trimmed(uniforms),
    solves: trimmed(solves),
  }
}

const NONE: readonly never[] = []

/** A list of its own length: one that grew has room for sixteen more, in each of a hundred thousand passes. */
const trimmed = <T>(list: readonly T[]): readonly T[] => (list.length === 0 ? NONE : list.slice())

/** A new assembler, which remembers the programs it has written. */
export const createAssembler = (heldIn: HeldIn = () => undefined): Assembler => {
  const programs = new Map<string, Program>()
  return (wanted) => {
    const { structure, reads, draws, uniforms, solves } = outline(wanted, heldIn)
    const program = programs.get(structure) ?? write(wanted, heldIn)
    programs.set(structure, program)
    return { program, reads, draws, uniforms, solves, needsLength: program.inputs.at(-1)?.name === 'n' }
  }
}

/** Writes the program that computes some expressions over a chunk. Equal subexpressions are computed once. */
const write = (wanted: readonly ProgramOutput[], heldIn: HeldIn): Program => {
  const reads = new Map<string, { dtype: Dtype; port: string }>()
  const draws: { draw: GeneratedInput; port: string }[] = []
  const uniforms: string[] = []
  const instructions: Instruction[] = []
  const names = new Map<number, string>()
  let needsLength = false

  const emit = (op: string, inputs: readonly string[], kind: Pick<Instruction, 'to' | 'dtype'> = {}): string => {
    const output = `v${instructions.length}`
    instructions.push({ op, inputs, output, ...kind })
    return output
  }
  const read = (view: View): string => {
    const key = viewKey(view)
    const known = reads.get(key)
    if (known !== undefined) return known.port
    const port = `x${reads.size}`
    reads.set(key, { dtype: view.tensor.dtype, port })
    return port
  }
  const draw = (d: GeneratedInput): string => {
    draws.push({ draw: d, port: `d${draws.length}` })
    return `d${draws.length - 1}`
  }
  const uniform = (): string => {
    uniforms.push(`u${uniforms.length}`)
    return uniforms.at(-1)!
  }
  const decode = (port: string, dtype: Dtype): string => (dtype === 'F32' ? port : emit('Decode', [port], { dtype }))
  const signOf = (x: string): string => {
    const [up, down] = ['Greater', 'Less'].map((op) => emit('Cast', [emit(op, [x, ZERO])], { to: 'f32' }))
    return emit('Sub', [up!, down!])
  }
  const isTrue = (port: string, dtype: Dtype): string =>
    dtype === 'F32' ? emit('Cast', [port], { to: 'bool' }) : emit('DecodeMask', [port], { dtype })

  const make = (e: Expression): string => {
    if (e.kind === 'scalar') return uniform()
    const held = heldIn(e)
    if (held !== undefined) {
      const port = read(wholeOf(held))
      return e.kind === 'mask' ? isTrue(port, held.dtype) : decode(port, held.dtype)
    }
    switch (e.type) {
      case 'read':
        return decode(read(e.view), e.view.tensor.dtype)
      case 'read-mask':
        return isTrue(read(e.view), e.view.tensor.dtype)
      case 'fill':
        return value(e.value)
      // ONNX Runtime's own Sign takes ten times as long as two comparisons.
      case 'apply':
        return e.op === 'sign' ? signOf(value(e.args[0]!)) : emit(APPLY[e.op], e.args.map(value))
      case 'choose':
        return choose(e)
      case 'compare':
        return emit(COMPARE[e.op], [value(e.left), value(e.right)])
      case 'logic':
        return emit(LOGIC[e.op], e.args.map(value))
      case 'top':
        return emit('GreaterOrEqual', [emit('Abs', [value(e.operand)]), uniform()])
      case 'bernoulli':
      case 'normal':
      case 'uniform':
      case 'constant':
      case 'position':
      case 'product':
      case 'spread':
        return draw(drawOf(e)!)
      case 'tally':
      case 'stored':
      case 'combine':
      case 'block-totals':
      case 'solve':
        throw new Error(`a ${e.type} is no value of an element`)
    }
  }
  const choose = (e: Choice): string => {
    const [how, mask] = [chooseBy(e), value(e.mask)]
    switch (how.type) {
      case 'where':
        return emit('Where', [mask, value(how.yes), value(how.no)])
      case 'bits':
        return heldInMask(mask)
      case 'product':
        return emit('Mul', [heldInMask(mask), value(how.yes)])
      case 'line':
        return emit('Add', [emit('Mul', [heldInMask(mask), uniform()]), uniform()])
    }
  }
  /** 1 where a mask is true, else 0, by the name of the mask. */
  const bits = new Map<string, string>()
  const heldInMask = (mask: string): string => {
    const name = bits.get(mask) ?? emit('Cast', [mask], { to: 'f32' })
    bits.set(mask, name)
    return name
  }
  const value = (e: Expression): string => names.get(e.id)!
  const spread = (e: Tensor | Mask): string => {
    if (!isFlat(e, heldIn)) return value(e)
    needsLength = true
    return emit('Expand', [value(e), 'n'])
  }
  const taken = new Set<string>()
  /**
   * The name of the encoded elements. An input, or a value that is already an output, is copied: a graph may not return
   * one value twice.
   */
  const encode = (name: string, dtype: Dtype): string => {
    if (dtype !== 'F32' && dtype !== 'BOOL') return emit('Encode', [name], { dtype })
    const made = instructions.some((instruction) => instruction.output === name)
    return made && !taken.has(name) ? name : emit('Identity', [name])
  }

  // One root after the other: what spreads and encodes a root comes before the instructions of the next.
  const compute = (root: Expression): void =>
    walk([root], {
      enter: (e) => !names.has(e.id),
      leave: (e) => void names.set(e.id, make(e)),
      below: operandsOf(heldIn),
    })
  const outputs: Port[] = wanted.map(({ value: e, dtype }) => {
    if (!COMPUTED.includes(dtype)) throw new Error(`no program computes ${dtype}`)
    compute(e)
    const name = encode(spread(e), dtype)
    taken.add(name)
    return { name, type: dtype === 'BOOL' ? 'bool' : STORED[dtype], rank: 1 }
  })
  const inputs: Port[] = [
    ...[...reads.values()].map(({ dtype, port }): Port => ({ name: port, type: STORED[dtype], rank: 1 })),
    ...draws.map(({ draw: d, port }): Port => ({
      name: port,
      type: d.type === 'bernoulli' || d.type === 'constant' ? 'bool' : 'f32',
      rank: 1,
    })),
    ...uniforms.map((name): Port => ({ name, type: 'f32', rank: 0 })),
    ...(needsLength ? [{ name: 'n', type: 'i64', rank: 1 } as const] : []),
  ]
  const program = { inputs, outputs, instructions: turnChoices(instructions, outputs) }
  return { key: JSON.stringify(program), ...program }
}

/**
 * Turns each choice by `Not m` into one by `m` with the sides swapped, if only choices use the `Not`. ONNX Runtime does
 * the same optimisation, and the order of the sides decides about -0: done here, it applies to every engine.
 */
const turnChoices = (instructions: readonly Instruction[], outputs: readonly Port[]): readonly Instruction[] => {
  const negated = new Map(instructions.filter((i) => i.op === 'Not').map((i) => [i.output, i.inputs[0]!]))
  for (const { op, inputs } of instructions)
    for (const name of op === 'Where' ? inputs.slice(1) : inputs) negated.delete(name)
  for (const { name } of outputs) negated.delete(name)
  if (negated.size === 0) return instructions
  return instructions
    .filter(({ output }) => !negated.has(output))
    .map((instruction) => {
      const [mask, yes, no] = instruction.inputs
      const turned = instruction.op === 'Where' ? negated.get(mask!) : undefined
      return turned === undefined ? instruction : { ...instruction, inputs: [turned, no!, yes!] }
    })
}
