import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames, quoteName, shapeText } from './file-entry.js'

/** The base of a mixture has no layers with an MLP of the names that layouts know. */
export const noDenseLayers = (at: Place, model: string, tensor: string): Diagnostic =>
  entry('not-dense', `${model} has no ${quoteName(tensor)}`, {
    at,
    help: 'mixtures are made of models with the tensor names of Llama, Mistral or Qwen; `smelt inspect` shows the names of a file',
  })

/** An expert, or the base, lacks a tensor that each layer of a mixture has. */
export const expertLacks = (at: Place, model: string, tensor: string, base: string): Diagnostic =>
  entry('expert-differs', `${model} has no ${quoteName(tensor)}, which the layers of ${base} have`, {
    at,
    help: 'make a mixture of models of one architecture and size',
  })

/** A tensor of an expert that is shaped in another way than that of the base. */
export const expertShape = (
  at: Place,
  tensor: string,
  expert: { readonly label: string; readonly shape: readonly number[] },
  base: { readonly label: string; readonly shape: readonly number[] },
): Diagnostic =>
  entry(
    'expert-differs',
    `${quoteName(tensor)} is ${shapeText(expert.shape)} in ${expert.label}, but ${shapeText(base.shape)} in ${base.label}`,
    { at, help: 'make a mixture of models of one architecture and size' },
  )

/** Tensors of the base that a layout has no place for: without them the mixture would compute something else. */
export const noPlaceInLayout = (
  at: Place,
  tensors: readonly string[],
  model: string,
  layout: string,
  others: readonly string[],
): Diagnostic =>
  entry('layout-unfit', `${layout} has no place for ${listNames(tensors)} of ${model}`, {
    at,
    help:
      others.length === 0
        ? 'use a base model of another architecture'
        : `choose a layout that has: ${others.map((name) => `\`layout: ${name}\``).join(' or ')}`,
  })

/** A tensor that a layout needs and the base lacks. */
export const layoutNeeds = (at: Place, tensor: string, model: string, layout: string): Diagnostic =>
  entry('layout-unfit', `${layout} needs ${quoteName(tensor)}, which ${model} lacks`, {
    at,
    help: 'choose another `layout`, or a base model that has it',
  })

/** More experts are to be used for each token than there are. */
export const tooManyPerToken = (at: Place, perToken: number, experts: number): Diagnostic =>
  entry('experts-per-token', `\`experts_per_token\` is ${perToken}, but the mixture has ${experts} experts`, {
    at,
    help: `use a number from 1 to ${experts}`,
  })

/** A layout has a shared expert and the recipe none, or the other way round. */
export const sharedExpert = (at: Place, layout: string, isNeeded: boolean): Diagnostic =>
  entry('shared-expert', isNeeded ? `${layout} needs a shared expert` : `${layout} has no shared expert`, {
    at,
    help: isNeeded
      ? 'name a model with `shared`, which may be the base'
      : 'remove `shared`, or choose `layout: qwen2` or `layout: deepseek`',
  })

/** Prompts are missing, or there are some that nothing uses. */
export const promptsMissing = (at: Place, key: string): Diagnostic =>
  entry('no-prompts', `\`gates: cheap_embed\` makes routers from prompts, and here is no \`${key}\``, {
    at,
    help: `add \`${key}\`: texts, or lists of token ids; or use \`gates: random\``,
  })

/** Prompts that no gate is made of. */
export const promptsUnused = (at: Place, key: string, gates: string): Diagnostic =>
  entry('prompts-unused', `\`${key}\` has no effect: ${gates} uses no prompts`, {
    at,
    severity: 'warning',
    help: 'remove it, or set `gates: cheap_embed`',
  })

/** All experts have the same prompts. */
export const promptsAlike = (at: Place): Diagnostic =>
  entry('prompts-alike', 'all experts have the same prompts, so the routers could not tell them apart', {
    at,
    help: 'write prompts for each expert that show what it is good at',
  })

/** A token that the embeddings have no row for. */
export const tokenBeyond = (at: Place, token: number, rows: number, model: string): Diagnostic =>
  entry('no-such-token', `there is no token ${token}: the embeddings of ${model} have rows 0 to ${rows - 1}`, {
    at,
    help: 'use the ids that the tokenizer of the base model gives',
  })

/** A prompt as text where there is no tokenizer that could turn it into tokens. */
export const noTokenizer = (at: Place, model: string): Diagnostic =>
  entry('no-tokenizer', `a prompt is a text, and ${model} has no tokenizer.json that would make tokens of it`, {
    at,
    help: 'put the tokenizer.json of the model into its folder, or write the prompt as a list of token ids: `[1, 9906]`',
  })

/** A tokenizer that cannot be read, or does something that smelt’s reader does not know. */
export const tokenizerFails = (at: Place, model: string, reason: string): Diagnostic =>
  entry('tokenizer-fails', `smelt cannot use the tokenizer.json of \`${model}\`: ${reason}`, {
    at,
    help: 'repair the file, or write the prompts as lists of token ids: `[1, 9906]`',
  })

/** A prompt of which a tokenizer makes nothing. */
export const promptWithoutTokens = (at: Place, prompt: string, model: string): Diagnostic =>
  entry('prompt-without-tokens', `the tokenizer of \`${model}\` makes no token of the prompt ${quoteName(prompt)}`, {
    at,
    help: 'write a prompt of characters that its vocabulary has, or a list of token ids: `[1, 9906]`',
  })

/** Prompts that would leave an expert without a direction. */
export const promptsCancel = (at: Place, [positive, negative]: readonly [string, string]): Diagnostic =>
  entry(
    'prompts-cancel',
    `\`${positive}\` and \`${negative}\` are the same tokens, which cancel: no text would be routed by them`,
    {
      at,
      help: `let \`${negative}\` say something else than \`${positive}\`, or leave it out`,
    },
  )

/** A router that is missing from the file of routers, or is shaped in another way. */
export const routerDiffers = (
  at: Place,
  tensor: string,
  file: string,
  wanted: readonly number[],
  found: readonly number[] | undefined,
): Diagnostic =>
  entry(
    'router-differs',
    found === undefined
      ? `${file} has no router ${quoteName(tensor)}`
      : `router ${quoteName(tensor)} is ${shapeText(found)} in ${file}, but the mixture needs ${shapeText(wanted)}`,
    {
      at,
      help:
        found === undefined
          ? 'make the file with `examples/gates/gates.py`, for this layout and base model'
          : 'it has a row for each expert, in their order, and a column for each number of a hidden state: make it for these experts and this base model',
    },
  )

/** Both a way to make routers and a file of routers are given. */
export const gatesTwice = (at: Place): Diagnostic =>
  entry('gates-twice', '`routers` gives the routers, and `gates` says to make others', {
    at,
    help: 'remove one of the two',
  })

/** Every expert is the same model. A warning. */
export const expertsAlike = (at: Place): Diagnostic =>
  entry('experts-alike', 'all experts are the same model, so the mixture computes what that model does', {
    at,
    severity: 'warning',
    help: 'name different models, unless the mixture is going to be trained',
  })

/** What to do about routers that are not numbers. */
export const ROUTER_ADVICE = 'check the file of routers, and the embeddings of the base model, for NaN and infinities'

/** The config of a model that a mixture cannot be made of. */
export const configUnfit = (
  at: Place,
  model: string,
  found: string | undefined,
  wanted: readonly string[],
  made: string,
): Diagnostic =>
  entry(
    'config-unfit',
    `the config.json of \`${model}\` ${found === undefined ? 'has no `model_type`' : `says \`model_type: ${found}\``}, and a model of type ${made} is made from ${wanted.join(', ')}`,
    { at, help: 'use models of these types; another `layout` may fit' },
  )

/** Two models of a mixture whose configs do not fit together. */
export const configsDiffer = (
  at: Place,
  key: string,
  model: { readonly name: string; readonly value: string },
  other: { readonly name: string; readonly value: string },
): Diagnostic =>
  entry(
    'configs-differ',
    `\`${key}\` is ${model.value} in the config.json of \`${model.name}\`, but ${other.value} in that of \`${other.name}\``,
    { at, help: 'make a mixture of models of one architecture: the experts run with the settings of the base' },
  )
