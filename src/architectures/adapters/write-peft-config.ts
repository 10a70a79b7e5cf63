import { isObject } from '../../base/is-object.js'

/** A module of an adapter in PEFT's names: what its factors say, and what their product is multiplied by. */
export interface ScaledModule {
  readonly name: string
  readonly rank: number
  readonly scale: number
  /** True where the layer stores its weight transposed, [inputs, outputs]. */
  readonly inputsFirst?: boolean
}

/** What a config says besides its modules; null where it is not known. */
export interface PeftFacts {
  readonly base: string | null
  readonly task: string | null
}

const ROOT = 'base_model.model.'

/** The number whose quotient by the rank is the scale: the one that was stated, not one that rounding left beside it. */
export const alphaFor = ({ rank, scale }: Pick<ScaledModule, 'rank' | 'scale'>): number => {
  const single = Math.fround(scale * rank)
  return single / rank === scale ? single : scale * rank
}

/** The number that most modules have, of several the first. */
const commonest = (numbers: readonly number[]): number => {
  const counts = new Map<number, number>()
  for (const n of numbers) counts.set(n, (counts.get(n) ?? 0) + 1)
  return [...counts].sort(([, x], [, y]) => y - x)[0]![0]
}

/** Patterns are regular expressions, of which names are the plainest; only their dots mean more. */
const others = (usual: number, modules: readonly (readonly [path: string, value: number])[]): Record<string, number> =>
  Object.fromEntries(modules.filter(([, value]) => value !== usual))

/**
 * The `adapter_config.json` with which PEFT loads an adapter of these modules; undefined where one has no name of PEFT.
 * Modules are listed by their full paths.
 */
export const peftConfigOf = (
  modules: readonly ScaledModule[],
  { base, task }: PeftFacts,
): Readonly<Record<string, unknown>> | undefined => {
  if (modules.length === 0 || modules.some(({ name }) => !name.startsWith(ROOT))) return undefined
  const paths = modules.map(({ name }) => name.slice(ROOT.length))
  const alphas = modules.map(alphaFor)
  const [rank, alpha] = [commonest(modules.map((m) => m.rank)), commonest(alphas)]
  return {
    alpha_pattern: others(
      alpha,
      paths.map((path, i) => [path, alphas[i]!] as const),
    ),
    auto_mapping: null,
    base_model_name_or_path: base,
    bias: 'none',
    fan_in_fan_out: modules.some(({ inputsFirst }) => inputsFirst === true),
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: alpha,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: rank,
    rank_pattern: others(
      rank,
      paths.map((path, i) => [path, modules[i]!.rank] as const),
    ),
    target_modules: paths,
    task_type: task,
    use_dora: false,
    use_rslora: false,
  }
}

/** What the configs of adapters say alike of the model they are for and its task. */
export const peftFactsOf = (configs: readonly unknown[]): PeftFacts => {
  const alike = (key: string): string | null => {
    const values = new Set(configs.map((config) => (isObject(config) ? config[key] : undefined)))
    const [value] = values
    return values.size === 1 && typeof value === 'string' ? value : null
  }
  return { base: alike('base_model_name_or_path'), task: alike('task_type') }
}
