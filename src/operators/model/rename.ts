import { COMMON, named } from '../aliases.js'
import { renamesWithoutRules, scaledRenamed } from '../../base/catalogue/rename.js'
import { failed, ok, type Result } from '../../base/result.js'
import { renamer, renameTensors, type RenameRule } from '../../tensor/rename.js'
import { labelOf, modelsOf, textsOf, valueOf } from '../call-arguments.js'
import type { Call, Operator } from '../operator.js'
import { model, names, text } from '../params.js'
import { renameSlot } from '../rename-slot.js'
import type { Slot, Value } from '../value.js'

/** The rules of a step in the order they apply; the roots are rules too. */
const rulesOf = (call: Call): readonly RenameRule[] => {
  const root = (key: string, rule: (root: string) => Omit<RenameRule, 'at'>): readonly RenameRule[] => {
    const value = valueOf(call, key)
    return value === undefined ? [] : [{ ...rule(String(value)), at: call.at(key) }]
  }
  return [
    ...root('remove_root', (path) => ({ pattern: { text: path, at: call.at('remove_root') }, to: '' })),
    ...textsOf(call, 'rules').entries.map(({ pattern, text: to, at }) => ({ pattern, to, at })),
    ...root('add_root', (path) => ({ pattern: { text: '*', at: call.at('add_root') }, to: `${path}.$1` })),
  ]
}

const lastOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1)

const evaluate = (call: Call): Result<readonly Value[]> => {
  const rules = rulesOf(call)
  if (rules.length === 0) return failed(renamesWithoutRules(call.at('op')))
  const { tensors, space, tensor } = modelsOf(call, 'model')[0]!.value
  const old = [...tensors.values()]
  const renamed = renameTensors(
    rules,
    old.map(({ name }) => name),
  )
  if (renamed.type === 'failed') return renamed
  const rename = renamer(rules)
  const slots = new Map<string, Slot>()
  const before = new Map<string, string>()
  for (const [i, slot] of old.entries()) {
    const name = renamed.value[i]!
    if (slot.scaled !== undefined && lastOf(name) !== lastOf(slot.name))
      return failed(scaledRenamed(slot.name, name, call.at('op')))
    slots.set(name, renameSlot(slot, name, rename))
    before.set(name, slot.name)
    call.note(name === slot.name ? { type: 'kept', tensor: name } : { type: 'renamed', tensor: name, from: slot.name })
  }
  return ok([
    { kind: 'model', space, label: labelOf(call), tensors: slots, tensor: (name) => tensor(before.get(name) ?? name) },
  ])
}

/** Gives tensors other names. */
export const rename: Operator = {
  id: 'model.rename',
  aliases: [
    {
      name: 'bake in VAE',
      from: 'AUTOMATIC1111 web UI',
      settings: '`add_root: first_stage_model`, then `model.combine`',
    },
    { name: 'bake in VAE', from: 'supermerger', settings: '`add_root: first_stage_model`, then `model.combine`' },
    { name: 'VAELoader', from: 'ComfyUI', settings: '`add_root: first_stage_model`' },
    { name: 'UNETLoader', from: 'ComfyUI', settings: '`add_root: model.diffusion_model`' },
    ...named(COMMON, ['bake_vae', 'add_prefix', 'remove_prefix']),
    { name: 'state_dict_prefix_replace', from: 'ComfyUI', settings: '`rules: { old: new }`' },
  ],
  version: 1,
  summary: 'Gives tensors other names, so that a file can become part of a checkpoint.',
  details: [
    'Programs find the parts of a checkpoint by how names begin: the VAE of Stable Diffusion under `first_stage_model`, its U-Net under `model.diffusion_model`. A VAE or U-Net in a file of its own has names without such a root. `add_root` puts one before every name, `remove_root` takes one off, and `model.combine` puts the parts together. Nothing is computed.',
    '',
    '`rules` changes names by pattern. A pattern is a path of segments, like those of `layers`: it matches names that begin with it, becomes the new name, and what lies below stays. So `"encoder": first_stage_model.encoder` moves everything below `encoder`, and an empty new name removes what the pattern matched.',
    '',
    '- In the new name, `$1`, `$2`, … are what the wildcards of the pattern matched, counted from the left: each `*`, `**`, `?`, `[…]` and `@(…)`. `"layers.*.attn": blocks.$1.attention`. Each takes as little as it can; a `**` at the end takes all that is left.',
    '- Braces are not counted: they stand for several patterns. Write `@(q|k)_proj` to use what matched.',
    '- A pattern begins where the names do. Write `**.gamma`, with `$1` for what comes before, to change names further in: `"**.gamma": $1.weight`.',
    '- Rules apply in order, each to the names as those before it left them; `remove_root` comes first, `add_root` last.',
    '- A rule that matches nothing is an error. Where it may match nothing, write the rules as a list: `{ match: "**.gamma", to: $1.weight, optional: true }`.',
    '- Two tensors with one new name are an error, and so is an empty name.',
    '',
    'Tensors that no rule matches keep their names. Scales of 8-bit weights go with their weights.',
  ].join('\n'),
  output: 'model',
  inputs: { model: model('The model.', 'any') },
  params: {
    remove_root: text('path', 'Taken off the beginning of the names that have it, before `rules`.'),
    rules: names('New names by patterns of the old ones, in order.'),
    add_root: text('path', 'Put before every name, after `rules`.'),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'a VAE as checkpoints have it',
      inputs: { model: { 'decoder.conv_in.bias': [1, 2], 'encoder.conv_in.bias': [3, 4] } },
      params: { add_root: 'first_stage_model' },
      expect: { 'first_stage_model.decoder.conv_in.bias': [1, 2], 'first_stage_model.encoder.conv_in.bias': [3, 4] },
    },
    {
      title: 'two rules, one after the other',
      inputs: { model: { 'bert.layer.0.norm.gamma': [1], 'bert.layer.1.norm.gamma': [2], 'bert.pooler.bias': [3] } },
      params: { rules: { 'bert.layer.*': 'layers.$1', '**.gamma': '$1.weight' } },
      expect: { 'layers.0.norm.weight': [1], 'layers.1.norm.weight': [2], 'bert.pooler.bias': [3] },
    },
    {
      title: 'part of a segment, and another order',
      inputs: { model: { 'down_0.conv_1.bias': [1] } },
      params: { remove_root: 'down_0', rules: { '*_?': 'block.$2.$1' } },
      expect: { 'block.1.conv.bias': [1] },
    },
  ],
  evaluate,
}
