import { noChatTemplate, noChatTemplates } from '../base/catalogue/model-folders.js'
import type { Place } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import { find, type Value } from '../document/value.js'
import type { ChatTemplate } from '../recipe/recipe.js'
import { replaceText } from './model-config.js'
import type { ModelFolder } from './model-folder.js'

const [FILE, OLDER, CONFIG] = ['chat_template.jinja', 'chat_template.json', 'tokenizer_config.json']

const textOf = (value: Value | undefined): string | undefined => (value?.type === 'string' ? value.value : undefined)

/** The template of a JSON file: a text, or the default one of a list. */
const templateIn = (bytes: Uint8Array | undefined): string | undefined => {
  const text = bytes === undefined ? '' : Buffer.from(bytes).toString('utf8')
  if (!text.includes('"chat_template"')) return undefined
  const read = readDocument({ path: CONFIG, text })
  const value = read.type === 'ok' ? find(read.value, ['chat_template']) : undefined
  if (value?.type !== 'list') return textOf(value)
  const named = value.items.find((item) => textOf(find(item, ['name'])) === 'default')
  return named && textOf(find(named, ['template']))
}

/** The chat template that stands beside a model; undefined where there is none. */
const templateOf = (folder: ModelFolder | undefined): string | undefined => {
  const own = folder?.files.get(FILE)
  const text =
    own === undefined
      ? (templateIn(folder?.files.get(CONFIG)) ?? templateIn(folder?.files.get(OLDER)))
      : Buffer.from(own).toString('utf8')
  return text === '' ? undefined : text
}

/** The template that most models have, the first of several; undefined where none has one. */
const mostCommon = (templates: readonly (string | undefined)[]): string | undefined => {
  // Blanks around it make no other template.
  const counts = new Map<string, { readonly text: string; readonly count: number }>()
  for (const text of templates) {
    if (text === undefined) continue
    const key = text.trim()
    const known = counts.get(key)
    counts.set(key, { text: known?.text ?? text, count: (known?.count ?? 0) + 1 })
  }
  return [...counts.values()].sort((x, y) => y.count - x.count)[0]?.text
}

/** Puts a chat template among the files of an output; `used` are the models that it is made of. */
export const setChatTemplate = (
  files: Map<string, Uint8Array>,
  wanted: ChatTemplate,
  folders: ReadonlyMap<string, ModelFolder>,
  used: readonly string[],
): Result<void> => {
  const { at } = wanted
  const text =
    wanted.type === 'text'
      ? wanted.text
      : wanted.type === 'model'
        ? templateOf(folders.get(wanted.name))
        : mostCommon(used.map((name) => templateOf(folders.get(name))))
  if (text === undefined)
    return wanted.type === 'model' ? failed(noChatTemplate(at, wanted.name)) : ok(undefined, [noChatTemplates(at)])
  files.delete(OLDER)
  files.set(FILE, Buffer.from(text))
  return setInConfig(files, text, at)
}

/** Programs that do not know the file of its own read the template of the tokenizer's settings. */
const setInConfig = (files: Map<string, Uint8Array>, text: string, at: Place): Result<void> => {
  const config = files.get(CONFIG)
  if (templateIn(config) === undefined) return ok(undefined)
  const edited = replaceText(config!, CONFIG, ['chat_template'], text, at)
  if (edited.type === 'failed') return edited
  files.set(CONFIG, edited.value)
  return ok(undefined)
}
