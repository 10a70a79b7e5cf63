/** Where a node is in a workflow: its id, and its title or class. */
export const nodeAt = (id: string, name: string): string => `node ${id} (${name})`

/** What is missing where a node has no counterpart. */
export const itsResult = 'its result'

/** Why a node, an input or an output of a workflow cannot be imported. */
export const mutedInput = 'the node is muted or bypassed, so it gives nothing'
export const unknownNode =
  'smelt does not know what this node does; replace it with nodes of ComfyUI or ComfyUI-DareMerge'
export const noLink = 'nothing is linked to this input'
export const everywhere =
  'the file has no link to this input: nodes of Use Everywhere make theirs when the workflow runs; export the workflow for the API and import that'
export const blockWeightLora =
  'it gives blocks other strengths, by a list with positions of its own; write an `adapter.apply` step with a `strength` for each block'
export const loadsAtOnce =
  'it loads a checkpoint, LoRAs and prompts at once; replace it with `CheckpointLoaderSimple`, `LoraLoader` and `CLIPTextEncode`'
export const lorasOfText = 'it loads the LoRAs that its text names; replace it with a `LoraLoader` for each'
export const inCircle = 'the node needs its own result'
export const noFile = 'the node names no file'
export const unknownOutput = (slot: number): string => `smelt does not use output ${slot} of this node`
export const wrongKind = (wanted: string, found: string): string =>
  `the input needs a ${wanted}, and is linked to a ${found}`
export const wrongWidget = (value: string): string => `${value} is not a value that this input can have`
export const computedValue = (id: string, type: string): string =>
  `its value comes from ${nodeAt(id, type)}, which smelt does not run; type the value into the node`
export const unknownMethod = (method: string): string =>
  `smelt has no counterpart for ${JSON.stringify(method.slice(0, 40))}`
export const severalClips =
  'the text encoder is spread over several files, with other names than in a checkpoint; save it in a checkpoint with ComfyUI first'
export const clipFile =
  'where a text encoder in a file of its own belongs in a checkpoint depends on the model; use the one of a checkpoint'
export const differenceAsModel =
  'the input is a difference of two models, and a model is needed; add it to a model first'
export const subtractsDifference = 'the input is a difference of two models, and smelt subtracts models only'
export const savesDifference =
  'a difference of two models is not a checkpoint; add it to a model, or save it with ModelSave'
export const notMadeOf = (where: string): string => `it needs ${where}, which cannot be imported`
export const nothingMerged = 'no node saves a model, and no model that is used for sampling is merged'
export const largeWorkflow = (most: number): string => `the workflow has more than ${most} nodes`
export const noKinds = 'all three kinds of layers are switched off, so the gradient has no numbers'
export const firstMerger =
  'this version of the node (December 2023) has `sparsity`, whose meaning changed from day to day; write a step with `merge.dare`'
export const magnitudeMerger =
  'the pack gave this node up in January 2024, after its meaning had changed; write a step with `mask.magnitude` and one with `merge.blend`'

export const emptyStack = 'the list has no checkpoint that is switched on, or ratios whose sum is 0'

/** What the numbers of a list of checkpoints are. */
export const roundedRatios =
  'the node divides ratios by their sum and rounds them to two digits: `keep` is 1 − what it merges with'

/** Kinds of extraction that smelt does not have. */
export const extractsWhole =
  'smelt extracts factors of a rank; to write a whole difference, save it with `ModelSave`, which becomes `model.subtract` with `delta: true`'
export const extractsOfTwo = 'smelt extracts a LoRA of the difference of two models, as `ModelMergeSubtract` makes it'
export const differsByPart = 'the differences of the model and the text encoder have other multipliers'

/** What differs in an extracted LoRA. */
export const loraNames =
  'the LoRA has the names of kohya’s scripts, which ComfyUI reads too, in place of ComfyUI’s own; tensors that only one of the models has are an error'
export const clampsFactors =
  'ComfyUI clamps the greatest hundredth of the factors to the rest; smelt keeps them, which is closer to the difference'
export const savesVision =
  'smelt does not put a vision encoder into a checkpoint; save the model with ModelSave or CheckpointSave'

/** Differences between a workflow and its recipe. */
export const widgetMissing = (name: string, value: unknown): string =>
  `the file has no value for \`${name}\`; the recipe uses that of a new node, ${JSON.stringify(value)}`
export const loadsConfig =
  'the configuration file is not used: smelt tells the architecture by the names of the tensors'
export const runTimeNode = 'this node changes how the model runs, not its weights, so it is left out'
export const hypernetworkNode = 'a hypernetwork is not part of a saved model, so it is left out'
export const samplingMarkers =
  'this node changes how the model runs; ComfyUI also saves marker tensors such as `v_pred` and `ztsnr`, and smelt does not'
export const mutedSaves =
  'the node is muted or bypassed, and nothing else saves a model, so the recipe makes what it would save'
export const fromSampler = 'no node saves a model, so the recipe makes the model that this node samples with'
export const clipNames =
  'the file holds all text encoders, under the names that they have in a checkpoint; ComfyUI writes a file for each'
export const fp8Load = (dtype: string): string =>
  `ComfyUI loads this model as ${dtype}; smelt computes with what the file holds. To write such a file, add \`dtype: ${dtype.startsWith('fp8_e5m2') ? 'f8_e5m2' : 'f8_e4m3'}\` to the output`
export const vaeRoot = 'as Stable Diffusion has it; in a Flux checkpoint it is `vae`'
export const skippedKeys = 'as in ComfyUI, which leaves out what has no target'

/** Comment lines of recipes. */
export const draws =
  'Random numbers are smelt’s own: with the same seed as in ComfyUI, another sample of the same distribution.'
export const dtypes =
  'ComfyUI saves in the dtype in which it loaded the models, mostly f16: for that, add `dtype: f16` to an output.'
export const ignored = (count: number): string =>
  count === 1
    ? 'One node that does not affect a saved model is left out.'
    : `${count} nodes that do not affect a saved model are left out.`
export const addsModels =
  'this adds two whole models; to add what one of them has learned, subtract its base model first'
export const scaledStructure = (factor: number): string =>
  `where shapes differ, ComfyUI keeps ${factor} times the tensor of the first model, and smelt keeps the tensor`
export const blocksOfUNet = (first: number): string =>
  `for a U-Net; of a transformer, such as Flux, the node merges every layer as \`keep: ${first}\``
export const mbwBlocksTen = 'the node gave blocks 10 and 11 the number of block 1'
export const shellBlocksTen = 'in SD1, the node gave the input blocks 10 and 11 the number of `exterior`'
export const sameAsLerp = (method: string): string => `\`${method}\` computes what \`lerp\` does`
export const absentLayers = (layers: string, neighbour: string): string =>
  `not every model has \`${layers}\`, and a rule must select something: so it names \`${neighbour}\` too, whose own rule follows`
export const earlyParts =
  'this version of the node had fewer numbers: labels took `input`, and output blocks took `out`'
export const earlyMasks =
  'what `exclude_a`, `include_b` and `invert` of this version mean changed several times in January 2024: compare the result'
export const earlyInvert = (select: string): string =>
  `this version of the node had \`invert\`, whose meaning was reversed on 23 January 2024; if the mask should be the other half, replace \`${select}\``
export const randomAbove = (one: number): string => `\`arg_one\` is ${one}: the node takes what is above it`
export const gaussianHalf = 'the node compares a normal draw with its own mean, so half of the numbers are true'
export const notProjection = 'the node also scales the output projection, which changes what the model computes'
export const normalizesBiases =
  'biases are scaled with their weights; the node replaced them by tensors of the other model or by 0'
export const shiftedMean = 'the node subtracts the mean of the noise again, so its `mean` has no effect'
export const layersOnLines =
  'the node removes line breaks, so that names on several lines select nothing; the recipe takes each line as a name'
export const layersOpenEnded = (text: string): string =>
  `${text} in the node, where \`*\` crosses dots: \`smelt inspect\` shows what a pattern selects`
