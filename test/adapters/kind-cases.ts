/** Adapters of every kind for one module, and what each makes of a weight, by loops in float64. */
import type { TensorValues } from '../support/write-safetensors.js'

/** A matrix by its rows. */
export type Matrix = readonly (readonly number[])[]

/** The weight of a module: a matrix whose columns are input channels, each as often as its kernel has elements. */
export interface Size {
  readonly outputs: number
  readonly inputs: number
  /** What follows the two axes; empty for a linear layer. */
  readonly kernel: readonly number[]
}

/** One adapter of a module. */
export interface KindCase {
  /** Tensors by the end of their names. */
  readonly tensors: Readonly<Record<string, TensorValues>>
  /** What PEFT writes beside it. */
  readonly config?: object
  /** The weight at a strength. */
  readonly apply: (weight: Matrix, strength: number) => Matrix
}

/** Makes an adapter of a kind for a weight; `dice` gives numbers from −1 to 1. */
export type Kind = (size: Size, dice: () => number) => KindCase

const area = ({ kernel }: Size): number => kernel.reduce((n, d) => n * d, 1)

/** A matrix made of its elements. */
export const matrix = (rows: number, columns: number, at: (i: number, j: number) => number): Matrix =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_x, j) => at(i, j)))

/** Two matrices multiplied. */
export const multiply = (a: Matrix, b: Matrix): Matrix =>
  matrix(a.length, b[0]!.length, (i, j) => a[i]!.reduce((sum, x, k) => sum + x * b[k]![j]!, 0))

const mix = (a: Matrix, b: Matrix, f: (x: number, y: number) => number): Matrix =>
  a.map((row, i) => row.map((x, j) => f(x, b[i]![j]!)))

/** A matrix with rows and columns exchanged. */
export const transpose = (a: Matrix): Matrix => matrix(a[0]!.length, a.length, (i, j) => a[j]![i]!)

const kron = (a: Matrix, b: Matrix): Matrix => {
  const [c, d] = [b.length, b[0]!.length]
  return matrix(a.length * c, a[0]!.length * d, (i, j) => a[Math.floor(i / c)]![Math.floor(j / d)]! * b[i % c]![j % d]!)
}

/** Float32 numbers, as files have them. */
const random = (rows: number, columns: number, dice: () => number): Matrix =>
  matrix(rows, columns, () => Math.fround(dice()))

const stored = (a: Matrix, shape: readonly number[] = [a.length, a[0]!.length]): TensorValues => ({
  dtype: 'F32',
  shape,
  values: a.flat(),
})
const scalar = (value: number): TensorValues => ({ dtype: 'F32', shape: [], values: [Math.fround(value)] })

/** Adds a delta that does not depend on the weight. */
const adding =
  (delta: Matrix, scale: number): KindCase['apply'] =>
  (weight, strength) =>
    mix(weight, delta, (w, d) => w + strength * scale * d)

const RANK = 2

/** A low-rank product, as two matrices for a weight. */
const pair = (size: Size, dice: () => number) => {
  const [up, down] = [random(size.outputs, RANK, dice), random(RANK, size.inputs * area(size), dice)]
  return { up, down, product: multiply(up, down), downShape: [RANK, size.inputs, ...size.kernel] }
}

const lora: Kind = (size, dice) => {
  const { up, down, product, downShape } = pair(size, dice)
  return {
    tensors: { 'lora_up.weight': stored(up), 'lora_down.weight': stored(down, downShape), alpha: scalar(1) },
    apply: adding(product, 1 / RANK),
  }
}

const peftLora: Kind = (size, dice) => {
  const { up, down, product, downShape } = pair(size, dice)
  return {
    tensors: { 'lora_B.weight': stored(up), 'lora_A.weight': stored(down, downShape), alpha: scalar(3) },
    apply: adding(product, 3 / RANK),
  }
}

/** A Tucker core with its two factors, whose first axis is the rank unless `upright`. */
const tucker = (rows: number, size: Size, dice: () => number, inputs = size.inputs) => {
  const n = area(size)
  const [a, b, core] = [random(RANK, rows, dice), random(RANK, inputs, dice), random(RANK * RANK, n, dice)]
  const product = matrix(rows, inputs * n, (o, column) => {
    const [i, k] = [Math.floor(column / n), column % n]
    let sum = 0
    for (let p = 0; p < RANK; p++) for (let q = 0; q < RANK; q++) sum += core[p * RANK + q]![k]! * a[p]![o]! * b[q]![i]!
    return sum
  })
  return { a, b, core: stored(core, [RANK, RANK, ...size.kernel]), product }
}

const locon: Kind = (size, dice) => {
  const { a, b, core, product } = tucker(size.outputs, size, dice)
  return {
    tensors: {
      'lora_up.weight': stored(transpose(a), [size.outputs, RANK, 1, 1]),
      'lora_down.weight': stored(b, [RANK, size.inputs, 1, 1]),
      'lora_mid.weight': core,
    },
    apply: adding(product, 1),
  }
}

const loha: Kind = (size, dice) => {
  const [one, two] = [pair(size, dice), pair(size, dice)]
  return {
    tensors: {
      hada_w1_a: stored(one.up),
      hada_w1_b: stored(one.down),
      hada_w2_a: stored(two.up),
      hada_w2_b: stored(two.down),
      alpha: scalar(1.5),
    },
    apply: adding(
      mix(one.product, two.product, (x, y) => x * y),
      1.5 / RANK,
    ),
  }
}

const lohaTucker: Kind = (size, dice) => {
  const [one, two] = [tucker(size.outputs, size, dice), tucker(size.outputs, size, dice)]
  return {
    tensors: {
      hada_w1_a: stored(one.a),
      hada_w1_b: stored(one.b),
      hada_t1: one.core,
      hada_w2_a: stored(two.a),
      hada_w2_b: stored(two.b),
      hada_t2: two.core,
    },
    apply: adding(
      mix(one.product, two.product, (x, y) => x * y),
      1,
    ),
  }
}

/** LoKr with its left matrix [2, 2], each side whole or by factors. */
const lokr =
  (leftFactored: boolean, right: 'whole' | 'factored' | 'tucker'): Kind =>
  (size, dice) => {
    const [rows, inputs, n] = [size.outputs / 2, size.inputs / 2, area(size)]
    const [a1, b1] = [random(2, 1, dice), random(1, 2, dice)]
    const left = leftFactored ? multiply(a1, b1) : random(2, 2, dice)
    const [a2, b2] = [random(rows, RANK, dice), random(RANK, inputs * n, dice)]
    const core = tucker(rows, size, dice, inputs)
    const whole = random(rows, inputs * n, dice)
    const second = right === 'whole' ? whole : right === 'factored' ? multiply(a2, b2) : core.product
    const rank = right === 'whole' ? (leftFactored ? 1 : undefined) : RANK
    return {
      tensors: {
        ...(leftFactored ? { lokr_w1_a: stored(a1), lokr_w1_b: stored(b1) } : { lokr_w1: stored(left) }),
        ...(right === 'whole'
          ? { lokr_w2: stored(whole, [rows, inputs, ...size.kernel]) }
          : right === 'factored'
            ? { lokr_w2_a: stored(a2), lokr_w2_b: stored(b2) }
            : { lokr_w2_a: stored(core.a), lokr_w2_b: stored(core.b), lokr_t2: core.core }),
        alpha: scalar(4),
      },
      // Two whole matrices have no rank to divide by.
      apply: adding(kron(left, second), rank === undefined ? 1 : 4 / rank),
    }
  }

/** What an adapter adds, with rows or input channels of the sum brought to given lengths. */
const decomposed =
  (inner: Kind, side: 'output' | 'input', name: string, shape: (size: Size) => readonly number[]): Kind =>
  (size, dice) => {
    const { tensors, apply } = inner(size, dice)
    const n = area(size)
    const lengths = random(side === 'output' ? size.outputs : size.inputs, 1, dice).map(([x]) => Math.fround(2 + x!))
    const lineOf = (i: number, j: number): number => (side === 'output' ? i : Math.floor(j / n))
    return {
      tensors: { ...tensors, [name]: { dtype: 'F32', shape: shape(size), values: lengths } },
      apply: (weight, strength) => {
        const sum = apply(weight, 1)
        const squares = lengths.map(() => 0)
        sum.forEach((row, i) => row.forEach((x, j) => (squares[lineOf(i, j)]! += x * x)))
        return mix(
          weight,
          sum.map((row, i) => row.map((x, j) => (x * lengths[lineOf(i, j)]!) / Math.sqrt(squares[lineOf(i, j)]!))),
          (w, x) => w + strength * (x - w),
        )
      },
    }
  }

const ones = (count: number): readonly number[] => Array.from({ length: count }, () => 1)
const ofOutputs = ({ outputs, kernel }: Size): readonly number[] => [outputs, 1, ...ones(kernel.length)]
const ofInputs = ({ inputs, kernel }: Size): readonly number[] => [1, inputs, ...ones(kernel.length)]

const stretch =
  (side: 'output' | 'input', name: string, neutral: 0 | 1, shape: (size: Size) => readonly number[]): Kind =>
  (size, dice) => {
    const factors = random(side === 'output' ? size.outputs : size.inputs, 1, dice).map(([x]) => x!)
    const n = area(size)
    return {
      tensors: {
        [name]: { dtype: 'F32', shape: shape(size), values: factors },
        ...(neutral === 0 ? { on_input: { dtype: 'I64', shape: [], values: [side === 'input' ? 1 : 0] } } : {}),
      },
      apply: (weight, strength) =>
        weight.map((row, i) =>
          row.map((w, j) => w * (1 + strength * (factors[side === 'output' ? i : Math.floor(j / n)]! - neutral))),
        ),
    }
  }

const glora =
  (early: boolean): Kind =>
  (size, dice) => {
    const n = area(size)
    const [first, second] = [random(size.inputs, RANK, dice), random(RANK, size.inputs, dice)]
    const { up, down, product, downShape } = pair(size, dice)
    const [a1, a2, b1, b2] = early ? ['a2', 'a1', 'b2', 'b1'] : ['a1', 'a2', 'b1', 'b2']
    const channels = multiply(first, second)
    return {
      tensors: {
        [`${a1}.weight`]: stored(first),
        [`${a2}.weight`]: stored(second),
        [`${b1}.weight`]: stored(up),
        [`${b2}.weight`]: stored(down, downShape),
        alpha: scalar(1),
      },
      apply: (weight, strength) =>
        weight.map((row, o) =>
          row.map((w, column) => {
            const [j, k] = [Math.floor(column / n), column % n]
            let own = 0
            for (let i = 0; i < size.inputs; i++) own += row[i * n + k]! * channels[i]![j]!
            return w + (strength / RANK) * (own + product[o]![column]!)
          }),
        ),
    }
  }

/** x with a·x = b, by elimination with pivots. */
const solve = (a: Matrix, b: Matrix): Matrix => {
  const n = a.length
  const rows = a.map((row, i) => [...row, ...b[i]!])
  for (let j = 0; j < n; j++) {
    const pivot = rows.findIndex(
      (row, i) => i >= j && Math.abs(row[j]!) === Math.max(...rows.slice(j).map((r) => Math.abs(r[j]!))),
    )
    const [x, y] = [rows[pivot]!, rows[j]!]
    rows[pivot] = y
    rows[j] = x.map((v) => v / x[j]!)
    for (let i = 0; i < n; i++) {
      const factor = rows[i]![j]!
      if (i !== j) rows[i] = rows[i]!.map((v, k) => v - factor * rows[j]![k]!)
    }
  }
  return rows.map((row) => row.slice(n))
}

/** OFT in two blocks, or BOFT in two levels of them; with a constraint of the norm by row, and factors of the rows. */
const rotation =
  (levels: number | undefined, alpha: number, rescaled: boolean): Kind =>
  (size, dice) => {
    const b = size.outputs / 2
    const blocks = random((levels ?? 1) * 2 * b, b, dice)
    const factors = random(size.outputs, 1, dice)
    const most = alpha * size.outputs
    const all = Array.from({ length: (levels ?? 1) * 2 }, (_, k) => blocks.slice(k * b, (k + 1) * b))
    const skewed = all.map((block) => mix(block, transpose(block), (x, y) => x - y))
    const norm = Math.sqrt(skewed.flat(2).reduce((sum, x) => sum + x * x, 0))
    const shrink = most > 0 && norm > most ? most / norm : 1
    const identity = matrix(b, b, (i, j) => (i === j ? 1 : 0))
    const turns = skewed.map((q) =>
      solve(
        mix(identity, q, (x, y) => x - shrink * y),
        mix(identity, q, (x, y) => x + shrink * y),
      ),
    )
    return {
      tensors: {
        oft_blocks: stored(blocks, [...(levels === undefined ? [] : [levels]), 2, b, b]),
        alpha: scalar(alpha),
        ...(rescaled ? { rescale: stored(factors, ofOutputs(size)) } : {}),
      },
      apply: (weight, strength) => {
        let rows = weight
        for (let level = 0; level < (levels ?? 1); level++) {
          const k = (2 ** level * b) / 2
          // Where the row at a place of the regrouped order comes from.
          const from = (place: number): number =>
            levels === undefined
              ? place
              : Math.floor(place / (2 * k)) * 2 * k + (place % 2) * k + Math.floor((place % (2 * k)) / 2)
          const next = rows.map((row) => [...row])
          for (let place = 0; place < size.outputs; place++) {
            const [block, i] = [Math.floor(place / b), place % b]
            const r = mix(turns[level * 2 + block]!, identity, (x, y) => strength * x + (1 - strength) * y)
            next[from(place)] = rows[0]!.map((_, column) => {
              let sum = 0
              for (let j = 0; j < b; j++)
                sum += (levels === undefined ? r[j]![i]! : r[i]![j]!) * rows[from(block * b + j)]![column]!
              return sum
            })
          }
          rows = next
        }
        return rescaled ? rows.map((row, i) => row.map((x) => x * factors[i]![0]!)) : rows
      },
    }
  }

/** Blocks along the diagonal of a matrix. */
const diagonal = (blocks: readonly Matrix[]): Matrix => {
  const b = blocks[0]!.length
  const n = b * blocks.length
  return matrix(n, n, (i, j) =>
    Math.floor(i / b) === Math.floor(j / b) ? blocks[Math.floor(i / b)]![i % b]![j % b]! : 0,
  )
}

/** W·Rᵀ with a factor for each row, and what a strength leaves of the difference. */
const turning =
  (turn: Matrix, factors: readonly number[] | undefined): KindCase['apply'] =>
  (weight, strength) =>
    mix(
      weight,
      multiply(weight, transpose(turn)).map((row, i) => row.map((x) => x * (factors?.[i] ?? 1))),
      (w, x) => w + strength * (x - w),
    )

const unit = (n: number): Matrix => matrix(n, n, (i, j) => (i === j ? 1 : 0))

/** OFT of PEFT in blocks of two inputs, by its series of some terms or exactly. */
const peftOft =
  (terms: number | undefined, shared: boolean): Kind =>
  (size, dice) => {
    const inputs = size.inputs * area(size)
    const numbers = random(shared ? 1 : inputs / 2, 1, dice)
    const turns = Array.from({ length: inputs / 2 }, (_, i) => {
      const x = numbers[shared ? 0 : i]![0]!
      const skew = [
        [0, x],
        [-x, 0],
      ]
      if (terms === undefined)
        return solve(
          mix(unit(2), skew, (a, b) => a + b),
          mix(unit(2), skew, (a, b) => a - b),
        )
      let [sum, power]: [Matrix, Matrix] = [unit(2), unit(2)]
      for (let k = 1; k < terms; k++) {
        power = multiply(power, skew)
        sum = mix(sum, power, (a, b) => a + (k === terms - 1 ? 1 : 2) * b)
      }
      return sum
    })
    return {
      tensors: { 'oft_R.weight': stored(numbers) },
      config: {
        peft_type: 'OFT',
        oft_block_size: 2,
        use_cayley_neumann: terms !== undefined,
        num_cayley_neumann_terms: terms ?? 5,
        block_share: shared,
        peft_version: '0.21.2',
      },
      apply: turning(diagonal(turns), undefined),
    }
  }

/** BOFT of PEFT by the matrices of its source: blocks between permutations, level by level, as many as fit. */
const peftBoft =
  (most: number, b: number): Kind =>
  (size, dice) => {
    const inputs = size.inputs * area(size)
    const levels = inputs % (2 ** (most - 1) * b) === 0 ? most : 1
    const blocks = random(levels * inputs, b, dice)
    const factors = random(size.outputs, 1, dice).map(([x]) => x!)
    let turn = unit(inputs)
    for (let level = 0; level < levels; level++) {
      const turns = Array.from({ length: inputs / b }, (_, block) => {
        const own = blocks.slice(level * inputs + block * b, level * inputs + (block + 1) * b)
        const skew = mix(own, transpose(own), (x, y) => (x - y) / 2)
        return solve(
          mix(unit(b), skew, (x, y) => x + y),
          mix(unit(b), skew, (x, y) => x - y),
        )
      })
      const [r, run] = [b / 2, b * 2 ** level]
      const order = Array.from({ length: run / r }, (_, q) => (q < run / r / 2 ? 2 * q : 2 * (q - run / r / 2) + 1))
      const to = (i: number): number => Math.floor(i / run) * run + order[Math.floor((i % run) / r)]! * r + (i % r)
      const permutation = matrix(inputs, inputs, (i, j) => (j === (levels === 1 ? i : to(i)) ? 1 : 0))
      turn = multiply(multiply(multiply(permutation, diagonal(turns)), transpose(permutation)), turn)
    }
    return {
      tensors: {
        boft_R: stored(blocks, [levels, inputs / b, b, b]),
        boft_s: {
          dtype: 'F32',
          shape: size.kernel.length === 0 ? [size.outputs, 1] : [1, size.outputs],
          values: factors,
        },
      },
      config: { peft_type: 'BOFT', boft_block_size: b },
      apply: turning(turn, factors),
    }
  }

const difference: Kind = (size, dice) => {
  const delta = random(size.outputs, size.inputs * area(size), dice)
  return {
    tensors: { diff: stored(delta, [size.outputs, size.inputs, ...size.kernel]) },
    apply: adding(delta, 1),
  }
}

const whole: Kind = (size, dice) => {
  const trained = random(size.outputs, size.inputs * area(size), dice)
  return {
    tensors: { set_weight: stored(trained, [size.outputs, size.inputs, ...size.kernel]) },
    apply: (weight, strength) => mix(weight, trained, (w, x) => w + strength * (x - w)),
  }
}

/** Every kind that smelt applies to one weight, by what the documentation calls it. */
export const KINDS: Readonly<Record<string, Kind>> = {
  LoRA: lora,
  'LoRA of PEFT': peftLora,
  'LoRA, DoRA by output': decomposed(lora, 'output', 'dora_scale', ofOutputs),
  'LoRA, DoRA by input': decomposed(lora, 'input', 'dora_scale', ofInputs),
  'LoRA, DoRA of PEFT': decomposed(peftLora, 'output', 'lora_magnitude_vector', ({ outputs, kernel }) =>
    kernel.length === 0 ? [outputs] : [1, outputs, ...ones(kernel.length)],
  ),
  LoHa: loha,
  'LoHa, DoRA by output': decomposed(loha, 'output', 'dora_scale', ofOutputs),
  LoKr: lokr(false, 'whole'),
  'LoKr, right by factors': lokr(false, 'factored'),
  'LoKr, left by factors': lokr(true, 'whole'),
  'LoKr, both by factors': lokr(true, 'factored'),
  'LoKr, DoRA by input': decomposed(lokr(false, 'factored'), 'input', 'dora_scale', ofInputs),
  '(IA)³ by output': stretch('output', 'weight', 0, ({ outputs, kernel }) =>
    kernel.length === 0 ? [outputs] : [1, outputs, ...ones(kernel.length)],
  ),
  '(IA)³ by input': stretch('input', 'weight', 0, ({ inputs, kernel }) =>
    kernel.length === 0 ? [inputs] : [1, inputs, ...ones(kernel.length)],
  ),
  '(IA)³ of PEFT by output': stretch('output', 'ia3_l', 1, ({ outputs, kernel }) =>
    kernel.length === 0 ? [outputs, 1] : [1, outputs, ...ones(kernel.length)],
  ),
  '(IA)³ of PEFT by input': stretch('input', 'ia3_l', 1, ofInputs),
  GLoRA: glora(false),
  'GLoRA, early layout': glora(true),
  OFT: rotation(undefined, 0, false),
  'OFT with a constraint': rotation(undefined, 0.05, false),
  'OFT with factors of rows': rotation(undefined, 0, true),
  BOFT: rotation(2, 0, false),
  'BOFT with all': rotation(2, 0.05, true),
  'PEFT’s OFT': peftOft(5, false),
  'PEFT’s OFT, exact': peftOft(undefined, false),
  'PEFT’s OFT, one block for all': peftOft(undefined, true),
  'PEFT’s BOFT': peftBoft(1, 3),
  'PEFT’s BOFT of two levels': peftBoft(2, 2),
  'full difference': difference,
  'whole tensor': whole,
}

/** Kinds that only convolutions have. */
export const OF_CONVOLUTIONS: Readonly<Record<string, Kind>> = {
  'LoCon with a core': locon,
  'LoHa with a core': lohaTucker,
  'LoKr with a core': lokr(false, 'tucker'),
  'LoKr with a core, left by factors': lokr(true, 'tucker'),
}
