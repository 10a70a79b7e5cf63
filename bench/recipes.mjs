// The recipes that are measured. Every one writes OUT.safetensors beside itself.

/** The file a measured program writes, in its own folder. */
export const OUT = 'OUT.safetensors'

const files = (folder, names) => names.map((name) => `  ${name}: ${folder}/${name}.safetensors`).join('\n')

/** A recipe over models of a folder: `steps` is YAML text, and its last step is written. */
const recipe = (folder, models, steps, { from, dtype = 'same', adapters = [] }) => `smelt: 1
name: bench
seed: 42
models:
${files(folder, models)}
${adapters.length === 0 ? '' : `adapters:\n${files(folder, adapters)}\n`}steps:
${steps.map((step) => `  ${step}`).join('\n')}
outputs:
  merged: { from: ${from}, path: ${OUT}, dtype: ${dtype} }
`

/** What each merge reads, does, and should at most cost as a multiple of its floor (undefined: no target). */
export const MERGES = [
  {
    name: 'linear',
    title: 'linear merge of two',
    reads: ['a', 'b'],
    target: 2,
    write: (folder) =>
      recipe(folder, ['a', 'b'], ['merged: { op: merge.linear, models: { a: 0.5, b: 0.5 } }'], { from: 'merged' }),
  },
  {
    name: 'slerp',
    title: 'slerp of two',
    reads: ['a', 'b'],
    target: 3,
    write: (folder) =>
      recipe(folder, ['a', 'b'], ['merged: { op: merge.blend, a: a, b: b, keep: 0.5, method: slerp }'], {
        from: 'merged',
      }),
  },
  {
    name: 'dare',
    title: 'DARE, drop 0.9, rescaled',
    reads: ['a', 'b'],
    target: 2.5,
    write: (folder) =>
      recipe(folder, ['a', 'b'], ['merged: { op: merge.dare, a: a, b: b, drop: 0.9, rescale: true, keep: 0 }'], {
        from: 'merged',
      }),
  },
  {
    name: 'mask',
    title: 'lerp where one model moved most',
    reads: ['base', 'a', 'b'],
    target: 4,
    write: (folder) =>
      recipe(
        folder,
        ['base', 'a', 'b'],
        [
          'moved: { op: mask.magnitude, model: a, base: base, select: above, quantile: 0.8 }',
          'merged: { op: merge.blend, a: a, b: b, keep: 0.3, mask: moved }',
        ],
        { from: 'merged' },
      ),
  },
  {
    name: 'lora',
    title: 'a LoRA of rank 16 baked in',
    reads: ['a', 'lora'],
    target: undefined,
    write: (folder) =>
      recipe(folder, ['a'], ['merged: { op: adapter.apply, model: a, adapter: lora, strength: 0.8 }'], {
        from: 'merged',
        adapters: ['lora'],
      }),
  },
  {
    name: 'ties',
    title: 'TIES of three, density 0.2',
    reads: ['base', 'a', 'b', 'c'],
    target: 6,
    write: (folder) =>
      recipe(
        folder,
        ['base', 'a', 'b', 'c'],
        [
          'merged: { op: merge.ties, base: base, models: [{ model: a, density: 0.2 }, { model: b, density: 0.2 }, { model: c, density: 0.2 }] }',
        ],
        { from: 'merged' },
      ),
  },
  {
    name: 'dare-ties',
    title: 'DARE-TIES of three, drop 0.9, rescaled',
    reads: ['base', 'a', 'b', 'c'],
    target: 4,
    write: (folder) =>
      recipe(
        folder,
        ['base', 'a', 'b', 'c'],
        [
          'merged: { op: merge.dare_ties, base: base, models: [{ model: a, density: 0.1 }, { model: b, density: 0.1 }, { model: c, density: 0.1 }], rescale: density }',
        ],
        { from: 'merged' },
      ),
  },
]

/** A linear merge of two whole files into another dtype. */
export const twoFiles = (folder, dtype) =>
  recipe(folder, ['a', 'b'], ['merged: { op: merge.linear, models: { a: 0.5, b: 0.5 } }'], { from: 'merged', dtype })

/** Rules for so many blocks, the way people list them. */
const blockRules = (count, i) =>
  Array.from({ length: count }, (_, k) => `    "block:${k % 2 === 0 ? 'in' : 'out'}.${k >> 1}": 0.${1 + ((i + k) % 9)}`)

/**
 * A recipe of about 500 lines: a chain of merges, each with a mask and numbers for `blocks` blocks (at most 24). Fewer
 * blocks make more merges.
 */
export const longRecipe = (folder, blocks) => {
  const steps = ['s0: { op: merge.blend, a: a, b: b }']
  let merges = 0
  while (steps.length < 490 - blocks) {
    const i = ++merges
    steps.push(
      `m${i}:`,
      '  op: mask.magnitude',
      '  model: a',
      '  base: b',
      '  select: above',
      `  quantile: ${(i % 9) / 10}`,
      `s${i}:`,
      '  op: merge.blend',
      `  a: s${i - 1}`,
      `  b: ${i % 2 === 0 ? 'a' : 'b'}`,
      `  mask: m${i}`,
      '  keep:',
      '    default: 0.5',
      ...blockRules(blocks, i),
    )
  }
  return recipe(folder, ['a', 'b'], steps, { from: `s${merges}` })
}

/** How many parts the recipe of parts has. */
const PARTS = 20

/** A recipe that calls parts, each on the result of the one before. */
export const partsRecipe = (folder) =>
  recipe(
    folder,
    ['a', 'b'],
    Array.from({ length: PARTS }, (_, i) => {
      const [first, other] = [i === 0 ? 'a' : `s${i}.model`, i % 2 === 0 ? 'b' : 'a']
      return `s${i + 1}: { use: parts/p${i + 1}.yaml, first: ${first}, other: ${other} }`
    }),
    { from: `s${PARTS}.model` },
  )

/** Its parts: each blends two models by numbers for 24 blocks, with a mask of the first if it is asked for. */
export const partsOf = (isMasked) =>
  Object.fromEntries(
    Array.from({ length: PARTS }, (_, i) => [
      `p${i + 1}.yaml`,
      `smelt: 1
params: { first: { type: model }, other: { type: model } }
steps:
${isMasked ? `  moved: { op: mask.magnitude, model: first, base: other, select: above, quantile: 0.${1 + (i % 9)} }\n` : ''}  merged:
    op: merge.blend
    a: first
    b: other
${isMasked ? '    mask: moved\n' : ''}    keep:
      default: 0.5
${blockRules(24, i)
  .map((line) => `  ${line}`)
  .join('\n')}
results: { model: merged }
`,
    ]),
  )

/** A recipe that uses every mechanism once, for plans. */
export const fullRecipe = (folder) =>
  recipe(
    folder,
    ['a', 'b'],
    [
      'moved: { op: mask.magnitude, model: a, base: b, select: above, quantile: 0.8 }',
      'merged: { op: merge.dare, a: a, b: b, drop: 0.9, rescale: true, mask: moved, keep: { default: 0.6, "block:in.0": 1, "block:out.*": 0.4 } }',
    ],
    { from: 'merged' },
  )
