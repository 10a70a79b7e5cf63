import { quoted } from '../recipe/one-off.js'

/** A model file that a new recipe may use. */
export interface StarterModel {
  /** A valid name in a recipe. */
  readonly name: string
  /** Relative to the recipe. */
  readonly path: string
  /** The architecture's title, where it is known. */
  readonly architecture: string | undefined
}

/** What a new recipe is written for. `pair` holds two models to merge, one model alone, or none. */
export interface Starter {
  readonly name: string
  /** The path of the schema, for editors. */
  readonly schema: string
  readonly pair: readonly [] | readonly [StarterModel] | readonly [StarterModel, StarterModel]
  /** True where the models are folders: what is made of them is one, too. */
  readonly isFolder: boolean
  /** Models of the folder that the recipe does not use. */
  readonly others: readonly StarterModel[]
  /** True where the second model lacks tensors of the first, or has some in another shape. */
  readonly missing: boolean
  readonly mismatch: boolean
}

const EXAMPLE: readonly [StarterModel, StarterModel] = [
  { name: 'first', path: 'first.safetensors', architecture: undefined },
  { name: 'second', path: 'second.safetensors', architecture: undefined },
]

/** Other models that are named in a comment. */
const MOST = 20

const modelLine = ({ name, path, architecture }: StarterModel): string =>
  `  ${name}: ${quoted(path)}${architecture === undefined ? '' : `    # ${architecture}`}`

const mergeLines = (a: string, b: string, { missing, mismatch }: Starter): string[] => [
  'params:',
  '  keep: 0.5              # smelt build recipe.yaml --set keep=0.7',
  '',
  'steps:',
  '  blended:',
  '    op: merge.blend      # `smelt ops` lists all operators, `smelt ops merge.blend` explains this one',
  `    a: ${a}`,
  `    b: ${b}`,
  `    keep: $keep          # 1 keeps \`${a}\`, 0 gives \`${b}\``,
  ...(missing ? ['    missing: keep        # the second model lacks tensors of the first: keep those'] : []),
  ...(mismatch ? ['    mismatch: keep       # some tensors have another shape or dtype: keep those of the first'] : []),
  '    # keep:              # or a number for each layer; later rules win',
  '    #   default: 0.5',
  '    #   "block:out.*": 0.2',
  '    # layers: "**.attn2" # or merge some layers only',
]

/** The text of a first recipe, with comments that say what to change. */
export const renderStarter = (starter: Starter): string => {
  const [a, b] = starter.pair.length === 0 ? EXAMPLE : starter.pair
  const alone = b === undefined
  const result = alone ? 'copy' : 'merged'
  return `${[
    `# yaml-language-server: $schema=${starter.schema}`,
    '# `smelt plan recipe.yaml` shows what this does, `smelt build recipe.yaml` does it.',
    'smelt: 1                 # version of the recipe language',
    `name: ${quoted(starter.name)}`,
    'seed: 42                 # random steps use this',
    '',
    'models:                  # paths are relative to this file',
    ...[a, b].filter((m) => m !== undefined).map(modelLine),
    ...starter.others.slice(0, MOST).map((m) => modelLine(m).replace('  ', '  # ')),
    '',
    ...(alone
      ? ['# With a second model of this architecture, `merge.blend` merges the two: see `smelt ops merge.blend`.']
      : mergeLines(a.name, b.name, starter)),
    '',
    'outputs:',
    `  ${result}:`,
    `    from: ${alone ? a.name : 'blended'}`,
    starter.isFolder
      ? `    path: ${result}/        # a folder: the model, its config and tokenizer, and a model card`
      : `    path: build/${result}.safetensors`,
    '    dtype: same          # or f32, f16, bf16, f8_e4m3, f8_e5m2',
  ].join('\n')}\n`
}
