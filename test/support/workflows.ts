import { parse } from 'yaml'
import { NO_MODELS } from '#src/importers/find-models.js'
import { importFile, type Imported } from '#src/importers/index.js'
import { textInput } from '#src/importers/read-input.js'
import type { PlainRecipe } from './recipe-run.js'

/** A widget's value; those of some packs are objects. */
export type WidgetValue = string | number | boolean | { readonly [key: string]: string | number | boolean | null }
/** An output of a node: its id, and the place of the output. */
export type Output = readonly [id: string, slot: number]

interface Entry {
  readonly type: string
  readonly widgets: Readonly<Record<string, WidgetValue>>
  readonly links: Readonly<Record<string, Output>>
  readonly title: string | undefined
  readonly mode: number
}

/** A workflow that a test puts together, to be written in the formats that ComfyUI has. */
export interface TestWorkflow {
  /** Adds a node: its widgets in the order in which the UI shows them, and its linked inputs. Gives its id. */
  add(
    type: string,
    widgets?: Entry['widgets'],
    links?: Entry['links'],
    more?: { readonly title?: string; readonly mode?: number },
  ): string
  /** What ran: every value by name. Muted nodes are not in it. */
  api(): Readonly<Record<string, unknown>>
  /** What the user saw: values in order, and links as lists (schema 0.4) or objects (schema 1). */
  ui(schema?: 0.4 | 1): Readonly<Record<string, unknown>>
}

/** The kind of link that an input takes, by what its name ends in. */
const kindOf = (input: string): string =>
  /clip/.test(input)
    ? 'CLIP'
    : /vae/.test(input)
      ? 'VAE'
      : /mask/.test(input)
        ? 'MODEL_MASK'
        : /gradient/.test(input)
          ? 'LAYER_GRADIENT'
          : 'MODEL'

/** Begins a workflow without nodes. */
export const createWorkflow = (): TestWorkflow => {
  const entries = new Map<string, Entry>()
  return {
    add: (type, widgets = {}, links = {}, { title, mode = 0 } = {}) => {
      const id = String(entries.size + 1)
      entries.set(id, { type, widgets, links, title, mode })
      return id
    },
    api: () =>
      Object.fromEntries(
        [...entries]
          .filter(([, { mode }]) => mode === 0)
          .map(([id, { type, widgets, links, title }]) => [
            id,
            {
              class_type: type,
              inputs: { ...widgets, ...links },
              ...(title === undefined ? {} : { _meta: { title } }),
            },
          ]),
      ),
    ui: (schema = 0.4) => {
      const links: unknown[] = []
      const nodes = [...entries].map(([id, { type, widgets, links: ends, title, mode }]) => ({
        id: Number(id),
        type,
        mode,
        ...(title === undefined ? {} : { title }),
        inputs: Object.entries(ends).map(([name, [from, slot]], i) => {
          const link = links.length + 1
          const kind = kindOf(name)
          links.push(
            schema === 1
              ? {
                  id: link,
                  origin_id: Number(from),
                  origin_slot: slot,
                  target_id: Number(id),
                  target_slot: i,
                  type: kind,
                }
              : [link, Number(from), slot, Number(id), i, kind],
          )
          return { name, type: kind, link }
        }),
        outputs: type.endsWith('Save') ? [] : [{ name: 'MODEL', type: 'MODEL' }],
        widgets_values: Object.entries(widgets).flatMap(([name, value]) =>
          name === 'seed' ? [value, 'fixed'] : [value],
        ),
      }))
      return { last_node_id: entries.size, nodes, links, groups: [], config: {}, extra: {}, version: schema }
    },
  }
}

/** Imports the JSON of a workflow. */
export const importJson = (json: unknown): Imported => {
  const imported = importFile(textInput('flow.json', JSON.stringify(json), NO_MODELS))
  if (imported.type === 'failed') throw new Error(imported.diagnostics.map((d) => d.message).join('\n'))
  return imported.value
}

/** The recipe of a workflow as plain data. */
export const recipeOf = (json: unknown): PlainRecipe => {
  const { recipe, missing } = importJson(json)
  if (recipe === undefined) throw new Error(missing.map((m) => `${m.where}: ${m.what}: ${m.why}`).join('\n'))
  return parse(recipe) as PlainRecipe
}
