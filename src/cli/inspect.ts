import { patternContext } from '../architectures/context.js'
import { detectArchitecture } from '../architectures/detect.js'
import { hubNumbersAway } from '../base/catalogue/hub.js'
import { exitCode } from '../base/diagnostic.js'
import { ok } from '../base/result.js'
import { openCheckpoint } from '../pytorch/open.js'
import { createRemotely } from '../run/downloads.js'
import { locateInput } from '../run/locate-inputs.js'
import { selectLayers } from '../tensor/pattern.js'
import { findQuantised } from '../tensor/quantised.js'
import { inspectedToJson, renderInspected, type Inspected } from '../view/inspect.js'
import { toJsonText } from '../view/json.js'
import type { Console } from './console.js'
import { userHub } from './hub.js'
import { measureTensors } from './statistics.js'

/** What `smelt inspect` takes besides the file. */
export interface InspectFlags {
  readonly stats?: boolean
  readonly json?: boolean
}

/** `smelt inspect`: what a model holds; with patterns, of which of its tensors. */
export const inspect = async (
  console: Console,
  path: string,
  layers: readonly string[],
  flags: InspectFlags,
): Promise<number> => {
  const at = { type: 'option', name: path } as const
  const hub = userHub()
  const located = await locateInput(
    { kind: 'model', name: path, path, sha256: undefined, at },
    { folder: console.cwd, hub, notNow: 'planning', remotely: createRemotely(hub) },
  )
  console.tell(located.diagnostics)
  if (located.type === 'failed') return exitCode(located.diagnostics)
  const { remote, origin } = located.value
  if (remote !== undefined && flags.stats === true) {
    const problem = hubNumbersAway(at, { repository: origin!.repository, revision: undefined })
    console.tell([problem])
    return exitCode([problem])
  }
  const opened = remote === undefined ? await openCheckpoint(located.value.path) : ok(remote.file)
  console.tell(opened.diagnostics)
  if (opened.type === 'failed') return exitCode(opened.diagnostics)
  const model = opened.value
  const names = [...model.tensors.keys()]
  const architecture = detectArchitecture(model.tensors)
  const quantised = findQuantised(model.tensors)
  const selected =
    layers.length === 0
      ? ok(new Set(names))
      : selectLayers(
          layers.map((text) => ({ text, at: { type: 'option', name: text } as const })),
          names,
          patternContext(architecture, model.tensors),
        )
  const tensors = selected.type === 'ok' ? [...selected.value].map((name) => model.tensors.get(name)!) : []
  const statistics =
    flags.stats === true && selected.type === 'ok' ? measureTensors(tensors, quantised?.scaled) : ok(undefined)
  const problems = [...selected.diagnostics, ...statistics.diagnostics]
  console.tell(problems)
  if (selected.type === 'failed' || statistics.type === 'failed') return exitCode(problems)
  const inspected: Inspected = { path, model, architecture, quantised, tensors, statistics: statistics.value }
  console.out(
    flags.json === true ? toJsonText(inspectedToJson(inspected)) : renderInspected(inspected, console.look('out')),
  )
  return 0
}
