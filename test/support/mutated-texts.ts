import { expect } from 'vitest'
import seedrandom from 'seedrandom'
import { readDocument } from '#src/document/read.js'
import { find } from '#src/document/value.js'
import { NO_MODELS } from '#src/importers/find-models.js'
import { importFile } from '#src/importers/index.js'
import type { ImportInput } from '#src/importers/importer.js'
import { textInput } from '#src/importers/read-input.js'

const MERGEKIT = `name: one
slices:
  - sources:
      - model: org/a@main+org/lora
        layer_range: [0, 8]
        parameters: { scale: 0.5 }
  - sources:
      - { model: org/b, layer_range: [4, 12] }
merge_method: passthrough
dtype: bfloat16
---
merge_method: dare_ties
base_model: one
models:
  - model: org/c
    parameters:
      weight:
        - filter: self_attn
          value: [0, 0.5, 1]
        - filter: mlp
          value: 0.25
        - value: 1
      density: 0.5
  - model: {model: {path: org/d}}
    parameters: &p { weight: 1e-1, density: [1, 0.5] }
parameters: { normalize: on, int8_mask: true, lambda: 1.1 }
tokenizer_source: union
`
const MECHA = `version 0.1.0
# a comment
model "a.safetensors" model_config="sdxl-sgm" merge_space="weight"
model "b \\"x\\".safetensors" model_config="sdxl-sgm" merge_space="weight"
dict BASE=0.5 IN00=0.25
literal &2 model_config="sdxl-supermerger_blocks" merge_space="param"
merge "fallback" &3 0.5
merge "weighted_sum" &0 &1 alpha=&4
merge "subtract" &5 &0
merge "ties_sum" &6 &6 k=0.5 vote_sgn=true
merge "add_difference" &0 &7 alpha=1.0
`
const OLD_MECHA = `model "a" "sd1" "base"
model "b" "sd1" "lora"
dict sd1_unet_block_in0=0.5 sd1_txt_default=0
merge "add_difference" &0 &1 alpha=0.5
merge "weighted_sum" &3 &0 alpha=&2
`
const SUPERMERGER = JSON.stringify({
  sd_merge_recipe: {
    type: 'sd-webui-supermerger',
    weights_alpha: Array.from({ length: 25 }, (_, i) => i / 25),
    model_a: 'aa',
    model_b: 'bb',
    model_c: 'aa',
    base_alpha: 0.5,
    base_beta: 0,
    mode: 'Weight sum',
    mbw: true,
    elemental_merge: ['IN00-IN03:attn1.to_q ff:0.5'],
    calcmode: 'normal',
    Exclude: ['OUT03', 'attn2'],
  },
  sd_merge_models: { aa: { name: 'a.safetensors' }, bb: { name: 'b', sd_merge_recipe: { type: 'webui' } } },
})
const PRESETS = `preset_name\tpreset_weights\nX\t${Array.from({ length: 26 }, () => '0.5').join(',')}\n`
const ELEMENTAL = 'IN00-IN04 M00:attn:0.5\nNOT OUT00::1\n'

const TEXTS = [MERGEKIT, MECHA, OLD_MECHA, SUPERMERGER, PRESETS, ELEMENTAL]
/** What is put into a text: what its grammars give a meaning to, and what is hostile. */
const PIECES = [
  '[',
  ']',
  '{',
  '}',
  ':',
  ',',
  '"',
  '- ',
  '\n',
  '&0',
  '&99',
  'null',
  '1e999',
  '-1',
  '$x',
  '../',
  '\0',
  '*',
  '!!x',
  '\u202e',
  '__proto__',
  'NaN',
  '9'.repeat(40),
  '[['.repeat(60),
  '&a *a',
  '|\n',
  '%',
  '#',
  '+',
  '@',
  '\t',
]

const mutate = (text: string, random: () => number): string => {
  let now = text
  const pick = (n: number): number => Math.floor(random() * n)
  for (let i = 0; i <= pick(3); i++) {
    const [at, length] = [pick(now.length + 1), pick(12)]
    const kind = pick(4)
    const lines = now.split('\n')
    if (kind === 0) now = now.slice(0, at) + now.slice(at + length)
    else if (kind === 1) now = now.slice(0, at) + PIECES[pick(PIECES.length)]! + now.slice(at)
    else if (kind === 2) now = now.slice(0, at) + now.slice(at, at + length) + now.slice(at)
    else {
      const [x, y] = [pick(lines.length), pick(lines.length)]
      ;[lines[x], lines[y]] = [lines[y]!, lines[x]!]
      now = lines.join('\n')
    }
  }
  return now
}

const inputOf = (text: string, i: number): ImportInput =>
  i % 5 === 4
    ? {
        ...textInput('x', '', NO_MODELS),
        type: 'safetensors',
        metadata: new Map([[text.startsWith('{') ? 'sd_merge_recipe' : 'mecha_recipe', text]]),
      }
    : textInput(`dir/${i}.yml`, text, NO_MODELS)

/**
 * Imports damaged texts: each is imported or refused, every recipe is valid YAML, and none writes outside of `build`.
 * Gives how many came to what.
 */
export const importMutated = (count: number, seed: string): { readonly recipe: number; readonly empty: number } => {
  const random = seedrandom(seed)
  const seen = { refused: 0, empty: 0, recipe: 0 }
  for (let i = 0; i < count; i++) {
    const text = mutate(TEXTS[i % TEXTS.length]!, random)
    const result = importFile(inputOf(text, i))
    if (result.type === 'failed') seen.refused++
    else if (result.value.recipe === undefined) {
      seen.empty++
      expect(result.value.missing, text).not.toEqual([])
    } else {
      seen.recipe++
      const { recipe } = result.value
      const document = readDocument({ path: '', text: recipe })
      expect(document.diagnostics, `${text}\n${recipe}`).toEqual([])
      const outputs = document.type === 'ok' ? find(document.value, ['outputs']) : undefined
      for (const { value } of outputs?.type === 'map' ? outputs.entries.values() : []) {
        const path = find(value, ['path'])
        expect(path?.type === 'string' && path.value, text).toMatch(/^build\/(?!.*\.\.(\/|$))/)
      }
    }
  }
  return seen
}
