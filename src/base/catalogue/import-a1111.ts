/** What differs between the web UI’s tools and an imported recipe, for its comments and messages. */
export const a1111Says = {
  keep: '1 − alpha',
  keepMultiplier: '1 − multiplier',
  blocks: '1 − each block weight: BASE, IN00 …, M00, OUT00 …',
  blockStrength: 'the block weights: BASE, IN00 …, M00, OUT00 …',
  elements: '1 − each number of supermerger: alpha, then elemental merge, whose last entry that fits wins',
  elementsXl:
    'of SDXL models, supermerger takes other blocks for elemental merge than its numbers say; the recipe takes those that they say',
  left: 'this version of supermerger leaves these as the first model has them',
  otherNetworks:
    'of SDXL models, supermerger leaves `time_embed` and `label_emb` as the first model has them, and of Flux models the VAE and all that is called `scale`: if these are such models, pass --models, or add them to `layers` with `!` in front',
  blank:
    'two spaces, or a space at an end, make an empty word, which supermerger finds in every name: the entry is for all of its blocks, or all of their layers',
  elementWithBlank: (word: string): string =>
    `\`${word.replaceAll('`', "'")}\` has a space in it, which is in no name: supermerger and this recipe find nothing by it`,
  passedOver: (entry: string): string =>
    `\`${entry.replaceAll('`', "'")}\` is no entry \`BLOCKS:ELEMENTS:RATIO\`, so supermerger passes it over; a comma ends an entry, and spaces stand between elements`,
  namedTwice:
    'a tensor whose name fits two elements of Include or Exclude counts as named; to supermerger it is not named',
  excluded: 'what supermerger excludes stays as the first model has it',
  included: 'supermerger merges only this',
  rebuilt: (name: string): string =>
    `${name} was a merge itself, and is merged anew here; pass --models to use the file`,
  inpainting:
    'the first model is an inpainting model: the web UI merges the first four input channels; smelt keeps that tensor as the first model has it',
  structure: 'tensors that only the second model has are left out; supermerger adds them',
  half: 'smelt computes in float32 and rounds once; the web UI and its extensions compute in the dtype of the models.',
  mixerLayers: 'what Model Mixer merges',
  self: 'alpha; supermerger leaves what it would multiply by 0',
  tensor:
    'supermerger rounds the ends of the rows that it takes down, smelt to the nearest row: one row more or less may come from the second model',
  tensor2:
    'supermerger rounds the ends of the columns that it takes down, smelt to the nearest column; and in tensors of at most 100 columns, supermerger takes as many columns as it would take rows',
  mixerSelf: 'Model Mixer leaves what it would multiply by 0',
  mixerDraws: 'Model Mixer draws other random numbers: the result is another sample of the same merge',
  mixerHalf:
    'of a tensor whose share is no whole number of its parameters, Model Mixer rounds the number that stays to nearest, smelt down',
  presetFirst: 'the first model: what stays where a number is 1',
  presetSecond: 'the second model',
  presetBuiltIn: 'smelt has presets of its own; where one here has the same name, this one is used.',
  presetAgain: (name: string, line: number): string =>
    `\`${name}\` is on line ${line} as well; supermerger takes the last`,
  presetUse: [
    'Each number is the share of the second model, as supermerger has it. To merge by one of them:',
    '',
    '  presets: THIS-FILE.yaml',
    '  steps:',
    '    kept: { op: weights.combine, like: first, a: 1, b: { preset: NAME }, operation: subtract }',
    '    blended: { op: merge.blend, a: first, b: second, keep: kept }',
  ],
} as const

/** Why something of a merge cannot be said. */
export const a1111Lacks = {
  unreadable: 'it is not the JSON of a merge',
  type: 'smelt knows the recipes of the web UI, supermerger and Model Mixer',
  hashOnly: 'the file does not tell its name; put its path into the recipe',
  noModel: 'it does not name this model',
  method: 'smelt has no operator for this method',
  calcmode: 'smelt has no operator for this calculation',
  cosine:
    'it weighs each tensor by similarities over the whole of the models; smelt has `merge.cosine_a` and `merge.cosine_b`, which take each tensor by itself',
  mixerCosine:
    'it weighs each column by where its similarity stands among those of its tensor, and versions of Model Mixer differ in what they then merge; `merge.cosine_a` and `merge.cosine_b` weigh by the similarity itself',
  extract: 'smelt has no operator for it, and the metadata does not tell its `gamma`',
  smoothAdd: 'it smooths differences along rows and columns, for which smelt has no operator',
  rebasin: 'it permutes the channels of one model to fit the other, which smelt does not',
  calcmodeFor: (mode: string): string => `smelt has this calculation for ${mode} alone`,
  blockCount: (count: number): string => `${count} block weights; smelt knows 20, 21, 26 and 61`,
  number: (name: string): string => `\`${name}\` is not a number`,
  elements: 'elements after NOT cannot be selected by layer patterns',
  elementsBeta: 'smelt cannot combine it with block weights for beta; it can with one number',
  elemental: 'an entry is `BLOCKS:ELEMENTS:RATIO`',
  preset: 'a preset is a name, a tab and its numbers with commas between them',
  block: (name: string): string => `there is no block ${name}`,
  adjust: 'smelt does not include or exclude the tensors of Adjust',
  discard: 'this regular expression has no layer pattern; select layers with `model.select`',
  addDiff: 'this file does not tell which model is subtracted; write a `merge.add_difference` step by hand',
  cycle: 'a model is merged from itself',
} as const
