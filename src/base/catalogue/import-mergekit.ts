import { didYouMean } from './did-you-mean.js'

/** What is unusual in templates that mergekit ships. */
const ODD_TEMPLATES: Readonly<Record<string, string>> = {
  alpaca: 'which has no empty line before the response that is asked for',
  exaone: 'which indents lines and adds empty ones',
  llama3: 'which has a line break after each message that Llama 3 was not trained with',
}

/** What differs between mergekit and an imported recipe, for its comments and messages. */
export const mergekitSays = {
  chatTemplate: (name: string): string =>
    `The chat template renders what mergekit's template ${name} renders${
      ODD_TEMPLATES[name] === undefined
        ? '.'
        : `, ${ODD_TEMPLATES[name]}. If a model of the merge has its own, name that model instead.`
    }`,
  drawsRouters: 'mergekit draws other random numbers: the routers are another sample of the same distribution',
  emptyPrompt: 'an empty prompt says nothing of an expert, so the recipe leaves it out',
  routers: (option: string): string =>
    `The routers come from the hidden states of the prompts: make them with \`python examples/gates/gates.py RECIPE${option}\` before the build.`,
  draws: 'mergekit draws other random numbers: the result is another sample of the same merge',
  equalSizes:
    'Of differences that are equally large where the density cuts, smelt keeps those of the lower index, mergekit others.',
  keepsOne: 'Of a tensor too small for its density, mergekit keeps the largest difference, smelt none.',
  zeroVectors:
    'Where one of two tensors, or of two differences, is all zeros, mergekit follows an arc (at equal weights 0.71 of the other), smelt a line (half of it).',
  stopsEarly:
    'mergekit stops where a step is shorter than its `tol`; smelt takes all steps, unless they change nothing.',
  zeroedTensors: 'mergekit drops all of a small tensor, of which gamma takes less than one number; smelt does not.',
  sampled:
    'Of large tensors, mergekit looks at a sample to find which parameters changed by far the most; smelt at all.',
  precision: (dtype: string): string =>
    `mergekit computes in ${dtype}; smelt computes in float32 and rounds once, so the last digits differ.`,
  stacked: 'Tensors are called as in Llama and its relatives: model.layers.0, model.layers.1, …',
  download:
    '`smelt build` downloads the models called ORG/NAME from the Hugging Face hub, unless a folder of that name is beside this recipe.',
  revision: (revision: string): string => `revision ${revision}`,
  allLayers: (count: number): string =>
    `layers 0 to ${count - 1} are taken for all layers; mergekit leaves out any others`,
  rescale: 'mergekit 0.1 and later; `density` for versions before',
  direction: 'mergekit’s t is 1 − keep',
  exactRows: 'as many rows as tokens, as mergekit writes them',
  newIds: 'tokens that only other models have can get other ids than in mergekit, whose order is not fixed',
  ignored: (key: string): string => `mergekit ignores \`${key}\`, so the recipe does too`,
  baseIgnored: (key: string): string => `mergekit ignores \`${key}\` of the base model, so the recipe does too`,
  gradientNotList: (key: string): string =>
    `\`${key}\` is a list: mergekit reads it as a gradient over the layers, not as one number for each model`,
  deadFilter: (filter: string): string => `no tensor has \`${filter}\` in its name, so mergekit never uses this filter`,
  emptyFilter: (filter: string): string =>
    `mergekit never reaches the filter \`${filter}\`: an earlier one takes all of it`,
  emptySlice: 'the slice has no layers, so the recipe leaves it out',
  embedSlerp: 'mergekit has no `embed_slerp` any more; the recipe leaves it out',
  allNamed: 'every document has a name, so each stage that no other uses becomes an output',
  unroundedStages: 'mergekit writes each stage in its dtype and reads it again; smelt keeps float32 between steps.',
} as const

/** Why something of a mergekit configuration cannot be said. */
export const mergekitLacks = {
  yaml: (message: string): string => `it is not valid YAML (${message}); remove any text around the configuration`,
  twice: 'the key is there twice; if these are two configurations, put a line `---` between them',
  fragment: 'it is a part of a configuration, without a `merge_method`',
  evolve: 'it describes a search over merges; import the configuration that the search has written',
  bakllama: 'it is a configuration of bakllama; write its layer slices as `slices` with `merge_method: passthrough`',
  metric: 'it measures models and merges nothing',
  olderParameters: 'mergekit reads it no more; move each parameter to its model, under `parameters`',
  modules: 'models of several networks with a merge each are not supported',
  noInputs: 'it has no `models` or `slices`',
  unknownMethod: (method: string, known: Iterable<string>): string =>
    `smelt has no operator for this method; ${didYouMean(method, known) ?? 'merge methods of mergekit 0.1.5 are known'}`,
  needsBase: 'this method needs a `base_model`',
  needsParameter: (key: string): string => `mergekit needs \`${key}\` here, and so does smelt`,
  notNumber: 'it is not a number, a list of numbers, or a list of filters with values',
  notConstant: 'smelt takes one value for the whole step, and not one for each layer',
  notModel: 'it does not name a model',
  modelCount: (count: number | undefined, base: boolean): string =>
    count === undefined
      ? 'this method merges at least one model besides the base'
      : `this method merges ${count === 1 ? (base ? 'a base and one model' : 'one model') : 'two models'}`,
  thirdBase: '`base_model` has to be one of the two models',
  dtype: 'smelt writes bf16, f16 and f32',
  cycle: 'its stages need each other',
  twoTokenizers: 'mergekit takes `tokenizer_source` or `tokenizer`, not both',
  tokenizerNotMap: 'it has to be a section with a `source`',
  tokenizerOfStage: 'it names what another document makes; a recipe has one vocabulary, of the models that it reads',
  tokenizersOfStages:
    'the documents differ in their tokenizer, and a recipe has one vocabulary for all of its steps; import them one by one',
  tokenSource: 'its `source` is not a model, a token of a model, or zero',
  chatTemplate:
    'it is neither `auto`, nor a template, nor the name of one that mergekit has: alpaca, chatml, exaone, llama3, mistral',
  range: 'a layer range is two whole numbers from 0, the second not below the first',
  unequalRanges: 'its models do not give the same number of layers, which mergekit refuses, too',
  baseNotInSlice:
    'its models give layers of different places, and `base_model` is not one of them: add it to the slice with its own range',
  noSources: 'it has no `sources`',
  noLayers: 'none of them has a layer',
  sameName: 'another document has this name too, so it is not known which one is meant; rename one of them',
  sameModel: 'a model is in one slice twice',
  promptList: 'it is not a list of texts; write each prompt on a line of its own, after `- `',
  noPrompts: 'it has no `positive_prompts`, which its router is made from',
  noLayout: 'smelt knows the architectures Mixtral, DeepSeek MoE, Qwen MoE and Qwen3 MoE',
  gateMode: 'smelt knows `hidden`, `hidden_avg`, `hidden_last`, `cheap_embed`, `random` and `uniform_random`',
  fewExperts: 'a mixture has at least two',
  sharedExperts: 'smelt makes mixtures with one shared expert, as mergekit does',
  sharedScale: 'smelt takes the shared expert as it is; scale the model in a step before',
} as const
