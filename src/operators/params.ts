/** Describes one parameter of an operator: enough for its type, its JSON Schema, its page and its check. */
export type ParamSpec =
  | {
      readonly type: 'number' | 'integer'
      readonly per: 'recipe' | 'layer'
      readonly default?: number
      readonly required?: boolean
      readonly min?: number
      readonly max?: number
      readonly description: string
    }
  | { readonly type: 'boolean'; readonly default?: boolean; readonly description: string }
  | {
      readonly type: 'choice'
      readonly choices: Readonly<Record<string, string>>
      readonly default: string
      readonly description: string
    }
  | { readonly type: 'masks'; readonly description: string }
  | {
      readonly type: 'choices'
      readonly choices: Readonly<Record<string, string>>
      readonly default: readonly string[]
      readonly description: string
    }
  | { readonly type: 'text'; readonly title: string; readonly description: string }
  | { readonly type: 'dtypes' | 'names'; readonly required: boolean; readonly description: string }
  | { readonly type: 'statistics'; readonly of: 'elements' | 'inputs'; readonly description: string }
  | { readonly type: 'layers'; readonly required: boolean; readonly description: string }
  | { readonly type: 'gaussian'; readonly description: string }
  | { readonly type: 'layer-range'; readonly description: string }
  | {
      readonly type: 'numbers'
      readonly required: boolean
      readonly min?: number
      readonly max?: number
      readonly description: string
    }
  | { readonly type: 'blocks'; readonly description: string }
  | { readonly type: 'preset'; readonly description: string }
  | { readonly type: 'prompts'; readonly description: string }

/**
 * The TypeScript type of a parameter's value inside `build`, for one tensor. Without a default it may be absent, unless
 * it is required.
 */
export type ParamValue<S extends ParamSpec> = S extends
  | { type: 'number' | 'integer'; default: number }
  | { type: 'number' | 'integer'; required: true }
  ? number
  : S extends { type: 'number' | 'integer' }
    ? number | undefined
    : S extends { type: 'boolean'; default: boolean }
      ? boolean
      : S extends { type: 'boolean' }
        ? boolean | undefined
        : S extends { type: 'choice'; choices: infer C }
          ? keyof C & string
          : S extends { type: 'gaussian' }
            ? Gaussian | undefined
            : S extends { type: 'numbers'; required: true }
              ? readonly number[]
              : S extends { type: 'numbers' }
                ? readonly number[] | undefined
                : never

/** The parameters of an operator, or of each model of a list, by their keys. */
export type ParamSpecs = Readonly<Record<string, ParamSpec>>

/** A normal draw compared with a threshold: true where `mean + std·z > above`. */
export interface Gaussian {
  readonly mean: number
  readonly std: number
  readonly above: number
}

interface Bounds {
  readonly min?: number
  readonly max?: number
  readonly description: string
}
type Numeric = Bounds & { readonly default?: number; readonly required?: boolean }

/** A number, the same for every tensor. */
export const number = <const B extends Numeric>(bounds: B) => ({ type: 'number', per: 'recipe', ...bounds }) as const
/** A whole number, the same for every tensor. */
export const integer = <const B extends Numeric>(bounds: B) => ({ type: 'integer', per: 'recipe', ...bounds }) as const
/** A number that may differ by tensor: a number, a weights step, or rules written in place. */
export const perLayer = <const B extends Numeric>(bounds: B) => ({ type: 'number', per: 'layer', ...bounds }) as const
/** True or false. */
export const flag = (fallback: boolean, description: string) =>
  ({ type: 'boolean', default: fallback, description }) as const
/** True or false, or neither. */
export const optionalFlag = (description: string) => ({ type: 'boolean', description }) as const
/** One of several words, each with what it means. */
export const choice = <const C extends Readonly<Record<string, string>>, const D extends keyof C & string>(
  choices: C,
  fallback: D,
  description: string,
) => ({ type: 'choice', choices, default: fallback, description }) as const
/** One of several words, each with what it means, or a list of them. */
export const choices = <const C extends Readonly<Record<string, string>>, const D extends keyof C & string>(
  all: C,
  fallback: readonly D[],
  description: string,
) => ({ type: 'choices', choices: all, default: fallback, description }) as const
/** A string; `title` says what of. */
export const text = (title: string, description: string) => ({ type: 'text', title, description }) as const
/** A dtype, or dtypes by layer. */
export const dtypes = (description: string) => ({ type: 'dtypes', required: true, description }) as const
/** New names by patterns of old ones, in order. */
export const names = (description: string) => ({ type: 'names', required: false, description }) as const
/** A mask that belongs to one model of a list. */
export const ownMask = (description: string) => ({ type: 'masks', description }) as const
/**
 * A file of statistics that belongs to one model of a list: of each element, a tensor of the same name and shape; or of
 * the inputs of each layer, a Gram matrix of the name of its weight.
 */
export const statistics = <const O extends 'elements' | 'inputs'>(of: O, description: string) =>
  ({ type: 'statistics', of, description }) as const
/** Layer patterns, for operators whose subject they are. */
export const layers = (description: string, required = true) => ({ type: 'layers', required, description }) as const
/** A range of layers by number, its end left out: `[8, 32]`. */
export const layerRange = (description: string) => ({ type: 'layer-range', description }) as const
/** `{mean, std, above}`, each optional. */
export const gaussian = (description: string) => ({ type: 'gaussian', description }) as const
/** A list of numbers. */
export const numbers = <const B extends Bounds & { readonly required: boolean }>(bounds: B) =>
  ({ type: 'numbers', ...bounds }) as const
/** Numbers by block of the architecture: a list in the field's order, or `{IN04: 0.3}`. */
export const blocks = (description: string) => ({ type: 'blocks', description }) as const
/** Prompts, each a text or the ids of its tokens. */
export const prompts = (description: string) => ({ type: 'prompts', description }) as const
/** The name of a curve over the blocks. */
export const preset = (description: string) => ({ type: 'preset', description }) as const

/** Describes one input of an operator. `many` inputs are lists: of models with their own parameters, of masks, or of adapters. */
export type InputSpec =
  | {
      readonly type: 'model'
      readonly many: false
      readonly optional: boolean
      readonly space: 'weights' | 'delta' | 'any'
      /** True for a model that is not compared with the others: nothing is filled in where it has fewer tensors. */
      readonly aside?: true
      readonly description: string
    }
  | {
      readonly type: 'model'
      readonly many: true
      readonly least: number
      readonly space: 'weights' | 'delta' | 'any'
      readonly each: Readonly<Record<string, ParamSpec>>
      readonly description: string
    }
  | { readonly type: 'mask'; readonly many: boolean; readonly optional: boolean; readonly description: string }
  | { readonly type: 'adapter'; readonly many: boolean; readonly optional: false; readonly description: string }

/** The inputs of an operator by their keys. */
export type InputSpecs = Readonly<Record<string, InputSpec>>

/** One model. */
export const model = (description: string, space: 'weights' | 'delta' | 'any' = 'weights') =>
  ({ type: 'model', many: false, optional: false, space, description }) as const
/** One model, or none. */
export const optionalModel = (description: string, space: 'weights' | 'delta' | 'any' = 'weights') =>
  ({ type: 'model', many: false, optional: true, space, description }) as const
/** One model, or none, that gives tensors which are not compared with those of the other inputs. */
export const modelAside = (description: string, space: 'weights' | 'delta' | 'any' = 'weights') =>
  ({ type: 'model', many: false, optional: true, space, aside: true, description }) as const
/** Several models, each with parameters of its own: `[{model, weight, …}]` or `{name: weight}`. */
export const models = <const E extends Readonly<Record<string, ParamSpec>>>(
  description: string,
  each: E,
  least = 1,
  space: 'weights' | 'delta' | 'any' = 'weights',
) => ({ type: 'model', many: true, least, space, each, description }) as const
/** One adapter. */
export const adapter = (description: string) =>
  ({ type: 'adapter', many: false, optional: false, description }) as const
/** Several adapters. */
export const adapters = (description: string) =>
  ({ type: 'adapter', many: true, optional: false, description }) as const
/** One mask. */
export const mask = (description: string) => ({ type: 'mask', many: false, optional: false, description }) as const
/** One mask, or none. */
export const optionalMask = (description: string) =>
  ({ type: 'mask', many: false, optional: true, description }) as const
/** Several masks. */
export const masks = (description: string) => ({ type: 'mask', many: true, optional: false, description }) as const
/** Several masks, or none. */
export const optionalMasks = (description: string) =>
  ({ type: 'mask', many: true, optional: true, description }) as const
