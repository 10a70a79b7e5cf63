import { a1111Lacks, a1111Says } from '../../base/catalogue/import-a1111.js'
import { isPreset } from '../../operators/presets.js'
import { createDraft, type DraftBuilder } from '../draft.js'
import type { Field, Importer, ImportInput, ImportResult } from '../importer.js'
import { oneMinus } from '../numbers.js'
import { blockWeights, isBlockList } from './blocks.js'
import { readElemental, withElemental, type Elemental } from './elements.js'

const NUMBER = String.raw`[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?`
const LIST = new RegExp(String.raw`^\s*${NUMBER}(?:\s*,\s*${NUMBER}){18,109}\s*$`, 'i')
const NAMED = new RegExp(String.raw`^([^\t:,]+)[\t:]\s*(${NUMBER}(?:\s*,\s*${NUMBER}){18,109})\s*$`, 'i')
const HEADING = /^preset_name\tpreset_weights\s*$/
const ELEMENTAL = /^[A-Z0-9 -]*:[^:\t]*:\s*[-+]?[\d.]+\s*$/i

/** Lines that are neither empty nor comments, with their numbers. */
const linesOf = (text: string): readonly (readonly [string, number])[] =>
  text.split(/\r?\n/).flatMap((line, i) => (line.trim() === '' || line.startsWith('#') ? [] : [[line, i + 1] as const]))

/** Entries of elemental merge: commas stand between them as ends of lines do. */
const entriesOf = (line: string): readonly string[] => line.split(',').filter((entry) => entry.trim() !== '')

const kindOf = (text: string): 'presets' | 'list' | 'elemental' | undefined => {
  const [first, ...rest] = linesOf(text.slice(0, 100_000)).map(([line]) => line)
  if (first === undefined) return undefined
  if (HEADING.test(first) || NAMED.test(first)) return 'presets'
  if (LIST.test(first) && rest.length === 0) return 'list'
  return [first, ...rest].every((line) => entriesOf(line).some((entry) => ELEMENTAL.test(entry)))
    ? 'elemental'
    : undefined
}

/** Adds the two models that a list of numbers is for, which the file does not name. */
const addModels = (draft: DraftBuilder): readonly [string, string] => {
  const [first, second] = [
    draft.param('first_file', 'first.safetensors', a1111Says.presetFirst),
    draft.param('second_file', 'second.safetensors', a1111Says.presetSecond),
  ]
  return [
    draft.model({ path: `$${first}`, title: 'first', where: 'the file' }),
    draft.model({ path: `$${second}`, title: 'second', where: 'the file' }),
  ]
}

const addBlend = (draft: DraftBuilder, title: string, [a, b]: readonly [string, string], keep: Field): void => {
  const step = draft.step('blended', 'merge.blend', [['a', a], ['b', b], keep, ['missing', 'keep']])
  draft.output('merged', step, `build/${title.replace(/[^\w.-]+/g, '-')}.safetensors`)
}

const numbersOf = (text: string): readonly number[] => text.split(',').map(Number)

const importPresets = (draft: DraftBuilder, input: ImportInput): void => {
  const found = linesOf(input.text).flatMap(([line, number]) => {
    const [, name, list] = NAMED.exec(line) ?? []
    if (name === undefined && !HEADING.test(line))
      draft.missing(`line ${number}`, `\`${line.trim().slice(0, 40)}\``, a1111Lacks.preset)
    return name === undefined ? [] : [{ name: name.trim(), list: numbersOf(list!), number }]
  })
  const usable = found.filter(({ name, list, number }) => {
    if (isBlockList(list)) return true
    draft.missing(`line ${number}`, name, a1111Lacks.blockCount(list.length))
    return false
  })
  if (usable.some(({ name }) => isPreset(name))) draft.header(a1111Says.presetBuiltIn)
  draft.header(...a1111Says.presetUse)
  const lines = new Map<string, number>()
  for (const { name, list, number } of usable) {
    const before = lines.get(name)
    if (before !== undefined) draft.note(`line ${number}`, a1111Says.presetAgain(name, before))
    lines.set(name, number)
    draft.preset(name, list)
  }
}

const importElemental = (draft: DraftBuilder, input: ImportInput): void => {
  const entries: Elemental[] = []
  for (const [line, number] of linesOf(input.text))
    for (const text of entriesOf(line)) {
      const entry = readElemental(text)
      if (entry === undefined) draft.note(`line ${number}`, a1111Says.passedOver(text.trim()))
      else if ('why' in entry) draft.missing(`line ${number}`, `\`${text.trim()}\``, entry.why)
      else {
        if (entry.note !== undefined) draft.note(`line ${number}`, entry.note)
        entries.push(entry)
      }
    }
  if (entries.length === 0) return
  addBlend(draft, input.title, addModels(draft), ['keep', withElemental(1, entries, true), a1111Says.elements])
}

const importText = (input: ImportInput): ImportResult => {
  const draft = createDraft(input)
  const kind = kindOf(input.text)
  if (kind === 'presets') importPresets(draft, input)
  else if (kind === 'elemental') importElemental(draft, input)
  else {
    const [[line, number]] = linesOf(input.text) as readonly [readonly [string, number]]
    const list = numbersOf(line)
    if (isBlockList(list))
      addBlend(draft, input.title, addModels(draft), ['keep', blockWeights(list, oneMinus), a1111Says.blocks])
    else draft.missing(`line ${number}`, 'the list', a1111Lacks.blockCount(list.length))
  }
  return draft.finish()
}

/** Files of presets, lists of block weights, and elemental merge, as supermerger has them. */
export const supermergerPresets: Importer = {
  name: 'supermerger',
  recognises: ({ type, text }) => type === 'text' && kindOf(text) !== undefined,
  import: importText,
}
