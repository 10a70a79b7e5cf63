import { seenInstead } from '../base/catalogue/architectures.js'
import type { PatternContext } from '../tensor/pattern.js'
import { findRoot } from '../tensor/roots.js'
import type { Architecture } from './detect.js'
import { TEXT_ENCODERS } from './parts.js'
import { lookAtUnknown } from './unknown.js'

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>

/**
 * What layer patterns may ask of these tensors: blocks, groups and components by id. Without an architecture, nothing
 * but names, and where the network hangs.
 */
export const patternContext = (architecture: Architecture | undefined, tensors: Tensors): PatternContext => {
  const names = [...tensors.keys()]
  if (architecture === undefined)
    return { diffusionPrefix: findRoot(names), seen: () => seenInstead(lookAtUnknown(tensors)) }
  const { title, diffusionPrefix, blocks } = architecture
  const parts = {
    block: new Map<string, string[]>(blocks.map((id) => [id, []])),
    group: new Map<string, string[]>(),
    component: new Map<string, string[]>(),
  }
  for (const name of names) {
    const { component, block, groups } = architecture.locate(name)
    add(parts.block, block, name)
    for (const group of groups) add(parts.group, group, name)
    add(parts.component, component, name)
    if (TEXT_ENCODERS.includes(component)) add(parts.component, 'clip', name)
    if (diffusionPrefix !== undefined && (component === 'unet' || component === 'transformer'))
      add(parts.component, 'diffusion', name)
  }
  return { architecture: title, ...(diffusionPrefix === undefined ? {} : { diffusionPrefix }), parts }
}

const add = (lists: Map<string, string[]>, id: string, name: string): void => {
  const list = lists.get(id)
  if (list === undefined) lists.set(id, [name])
  else list.push(name)
}
