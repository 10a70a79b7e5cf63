import { draws, dtypes, ignored, largeWorkflow } from '../../base/catalogue/import-comfyui.js'
import { createDraft } from '../draft.js'
import type { Importer, ImportInput } from '../importer.js'
import { isApiFormat, readApiFormat, unwrapPrompt } from './api-format.js'
import { COMFYROLL_MERGES } from './comfyroll-merges.js'
import { CORE_MERGES } from './core-merges.js'
import { DAREMERGE_MERGES } from './daremerge-merges.js'
import { DAREMERGE_NUMBERS } from './daremerge-numbers.js'
import { DAREMERGE_OTHERS } from './daremerge-others.js'
import { createEvaluation } from './evaluate.js'
import { MOST_NODES, type Workflow } from './graph.js'
import { createLanes } from './lanes.js'
import { LOADERS } from './loaders.js'
import { LORA_PACKS } from './lora-packs.js'
import { isSave, writeOutputs } from './outputs.js'
import { passSwitches } from './switches.js'
import { createWriter } from './task.js'
import { isUiFormat, readUiFormat } from './ui-format.js'

/** Every node that smelt can say, by its class. */
const CLASSES = new Map([
  ...LOADERS,
  ...LORA_PACKS,
  ...CORE_MERGES,
  ...COMFYROLL_MERGES,
  ...DAREMERGE_NUMBERS,
  ...DAREMERGE_MERGES,
  ...DAREMERGE_OTHERS,
])

const OUTSIDE_STRINGS = /"(?:[^"\\]+|\\.)*"|-?\b(?:NaN|Infinity)\b/g

/** Parses JSON as ComfyUI writes it, in which numbers that JSON does not have stand for nodes that run every time. */
const parse = (text: string | undefined): unknown => {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    // Read again below.
  }
  try {
    return /NaN|Infinity/.test(text)
      ? JSON.parse(text.replace(OUTSIDE_STRINGS, (found) => (found.startsWith('"') ? found : 'null')))
      : undefined
  } catch {
    return undefined
  }
}

/** The workflows of a file: what ran (API format), and what its user saw (UI format). */
interface Found {
  readonly prompt: Readonly<Record<string, unknown>> | undefined
  readonly workflow: Readonly<Record<string, unknown>> | undefined
}

/** A text that begins as JSON of a workflow does. */
const jsonIn = (text: string): string | undefined => (/^\s*\{/.test(text) ? text : undefined)

const found = (input: ImportInput): Found => {
  const isText = input.type === 'json' || input.type === 'text'
  const json = isText ? unwrapPrompt(input.type === 'json' ? input.json : parse(jsonIn(input.text))) : undefined
  const [prompt, workflow] = isText
    ? [json, json]
    : [unwrapPrompt(parse(input.metadata.get('prompt'))), parse(input.metadata.get('workflow'))]
  return {
    prompt: isApiFormat(prompt) ? prompt : undefined,
    workflow: isUiFormat(workflow) ? workflow : undefined,
  }
}

/** What ran, which has every value by name; but saves that were muted are in the UI format only. */
const chosen = ({ prompt, workflow }: Found): Workflow | 'large' => {
  const ran = prompt === undefined ? undefined : readApiFormat(prompt)
  if (ran === 'large') return ran
  if (ran !== undefined && (workflow === undefined || [...ran.nodes.values()].some((n) => isSave(n.type)))) return ran
  const seen = readUiFormat(workflow!)
  if (ran === undefined || seen === 'large') return seen
  return [...seen.nodes.values()].some((n) => isSave(n.type)) ? seen : ran
}

/** Makes recipes of the merging workflows of ComfyUI and ComfyUI-DareMerge. */
export const comfyui: Importer = {
  name: 'ComfyUI',
  recognises: (input) => {
    const { prompt, workflow } = found(input)
    return prompt !== undefined || workflow !== undefined
  },
  import: (input) => {
    const draft = createDraft(input)
    const workflow = chosen(found(input))
    if (workflow === 'large') {
      draft.missing(input.title, 'nodes', largeWorkflow(MOST_NODES))
      return draft.finish()
    }
    const lanes = createLanes(draft)
    const straight = passSwitches(workflow)
    const evaluation = createEvaluation(straight, CLASSES, draft, lanes)
    writeOutputs(straight, evaluation, lanes, createWriter(), draft)
    const { visited } = evaluation
    const others = [...workflow.nodes.values()].filter((n) => !visited.has(n.id) && !isSave(n.type)).length
    const result = draft.finish()
    const random = result.draft.steps.some(({ fields }) => fields.some(([key]) => key === 'seed'))
    return {
      ...result,
      draft: {
        ...result.draft,
        header: [
          ...result.draft.header,
          ...(others === 0 ? [] : [ignored(others)]),
          dtypes,
          ...(random ? [draws] : []),
        ],
      },
    }
  },
}
