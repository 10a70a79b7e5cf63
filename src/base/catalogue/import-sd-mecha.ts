/** What differs between sd-mecha and an imported recipe, for its comments and messages. */
export const mechaSays = {
  keep: '1 − alpha',
  dtype: 'what sd-mecha writes unless it is told otherwise',
  placeholder: 'a parameter of the sd-mecha recipe: the model to use',
  vaeStays: 'this version of sd-mecha never merges the VAE',
  topK: 'ties_sum keeps one number of each tensor more than its k says; smelt keeps exactly that share',
  densityDefault: (k: number): string => `the k of ties_sum is not set, and was taken for ${k}, its default`,
  draws: 'sd-mecha draws other random numbers: the result is another sample of the same merge',
  kernels:
    'of convolutions, sd-mecha takes single lines of the kernels for rows, and smelt all that belongs to one output: those tensors differ',
  rows: 'matrices with fewer rows than columns are rotated by their columns in smelt, and by their rows in sd-mecha',
  cast: 'a cast within the recipe is left out: smelt computes in float32 and rounds once',
  rounded: 'sd-mecha computes in the dtype of its merge (float64 unless told otherwise); smelt in float32.',
} as const

/** Why something of an sd-mecha recipe cannot be said. */
export const mechaLacks = {
  noInstructions: 'it has no instructions',
  syntax: (line: string): string => `\`${line}\` is no instruction of sd-mecha`,
  reference: 'no instruction above it has that number',
  method: 'smelt has no operator for this method',
  byHand: (method: string, id: string): string =>
    `it is not imported; write a \`${id}\` step: \`smelt ops ${method}\` shows its settings`,
  absent: (why: string): string => `it ${why}`,
  needsModel: (name: string): string => `\`${name}\` has to be a model`,
  needsDelta: (name: string): string => `\`${name}\` has to be a difference`,
  needsNumber: (name: string): string => `\`${name}\` has to be a number, or numbers by block`,
  adapter: 'smelt applies adapters to models, with `add_difference`; it does nothing else with them',
  deltaFile: 'smelt reads no differences from files',
  conversion: 'smelt does not convert models from one set of names to another',
  literal: 'it is no number',
  blocks: 'numbers by block are known for Stable Diffusion 1 and XL',
  blockMissing: (block: string): string => `it has no number for ${block}`,
  perLayer: (name: string): string => `\`${name}\` takes one number here, and not one for each block`,
  oneBase: 'its differences have to be from one base model',
  tiesDropout:
    'smelt has it with `k=1`, `apply_stock=True` (which leaves Model Stock out there), and without medians and `della_eps`',
  mask: 'smelt computes this mask with the addition of b − c to a, of the same three models',
  kronecker: 'write a `model.truncate_kronecker` step, whose `ratio` is its `kronecker_ratio`',
  rankShare: 'its rank is a share of the largest; write a `model.truncate_rank` step with a number',
  dropout: 'smelt has its default `overlap` of 1 only',
  result: 'the last instruction gives no model',
} as const
