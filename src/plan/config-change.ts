import { CONFIG_DEFAULTS, isLike } from '../architectures/config-defaults.js'
import type { ConfigChange, ConfigValue } from '../architectures/moe-layouts.js'
import { configsDiffer, configUnfit } from '../base/catalogue/moe.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { isObject } from '../base/is-object.js'

type Plain = Readonly<Record<string, unknown>>

/** The JSON object of a config.json; undefined where it is none. */
export const parseConfig = (bytes: Uint8Array | undefined): Plain | undefined => {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes ?? []).toString('utf8'))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const typeOf = (config: Plain): string | undefined =>
  typeof config['model_type'] === 'string' ? config['model_type'] : undefined

/** True where a config says a key, or says it in the newer form that has all of `rope_*` under one key. */
const says = (config: Plain, key: string): boolean =>
  key in config ||
  (key === 'rope_theta' && isObject(config['rope_parameters']) && 'rope_theta' in config['rope_parameters'])

/**
 * The keys that a config gets where it becomes one of another type: those of the change, and what it left unsaid
 * because its own type has it by default.
 */
export const changedKeys = (config: Plain, { type, set }: ConfigChange): Readonly<Record<string, ConfigValue>> => {
  const own = typeOf(config)
  const defaults = own === undefined || own === type ? {} : (CONFIG_DEFAULTS[own] ?? {})
  const unsaid = Object.entries(defaults).flatMap(([key, value]): (readonly [string, ConfigValue])[] => {
    if (says(config, key)) return []
    const meant = isLike(value) ? (config[value.like] as ConfigValue | undefined) : value
    return meant === undefined ? [] : [[key, meant]]
  })
  return { ...Object.fromEntries(unsaid), ...set }
}

/** A model by its name in the recipe, with its config. */
interface Configured {
  readonly name: string
  readonly config: Plain | undefined
}

/** Types whose layers compute the same. */
const familyOf = (type: string | undefined): string | undefined => (type === 'mistral' ? 'llama' : type)

/** What keeps a config from being changed: another type than those that the change is for, or models that do not fit it. */
export const refuseChange = (
  donor: Configured,
  models: readonly Configured[],
  { type, from }: ConfigChange,
  at: Place,
): readonly Diagnostic[] => {
  const unfit = [donor, ...models].flatMap(({ name, config }) => {
    if (config === undefined) return []
    const own = typeOf(config)
    return own !== undefined && (own === type || from.includes(own)) ? [] : [configUnfit(at, name, own, from, type)]
  })
  if (unfit.length > 0) return [unfit[0]!]
  const own = donor.config
  if (own === undefined) return []
  const different = models.flatMap(({ name, config }) => {
    if (config === undefined) return []
    const [theirs, ours] = [typeOf(config), typeOf(own)]
    if (theirs !== type && ours !== type && familyOf(theirs) !== familyOf(ours))
      return [
        configsDiffer(at, 'model_type', { name, value: String(theirs) }, { name: donor.name, value: String(ours) }),
      ]
    const [act, wanted] = [config, own].map((c) => String(c['hidden_act'] ?? 'silu'))
    return act === wanted
      ? []
      : [configsDiffer(at, 'hidden_act', { name, value: act! }, { name: donor.name, value: wanted! })]
  })
  return different.slice(0, 1)
}
