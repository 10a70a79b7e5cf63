import { adapterTitle } from '../architectures/adapters/guess.js'
import type { Graph } from '../graph/graph.js'
import type { Value } from '../operators/value.js'
import type { HubOrigin } from '../hub/reference.js'
import type { Input, InputKind } from '../recipe/recipe.js'
import type { AdapterFile } from '../safetensors/adapter-file.js'
import type { Model } from '../safetensors/model.js'
import type { LayerContext } from './context.js'
import { toLogical } from './logical-model.js'
import { hubIdOf } from './model-folder.js'

/** What an input of each kind is once it is opened. */
export interface FileOf {
  readonly model: Model
  readonly adapter: AdapterFile
}

/** An input of a recipe with its opened file. */
export type OpenedInput<K extends InputKind = InputKind> = K extends InputKind
  ? Extract<Input, { readonly kind: K }> & {
      readonly file: FileOf[K]
      /** Where it was found on a hub; undefined for files that are not of one. */
      readonly origin?: HubOrigin
      /** True where only its headers are at hand, and it must be downloaded before it is read. */
      readonly isRemote?: boolean
    }
  : never

/** The inputs of a recipe with their opened files, by name, in the order of the recipe. */
export type OpenedInputs = ReadonlyMap<string, OpenedInput>

/** Puts an opened file to its input, which is of the same kind. */
export const withFile = (
  input: Input,
  file: FileOf[InputKind],
  origin?: HubOrigin,
  isRemote: boolean = false,
): OpenedInput =>
  ({
    ...input,
    file,
    ...(origin === undefined ? {} : { origin }),
    ...(isRemote ? { isRemote } : {}),
  }) as OpenedInput

/** An input as a value that steps refer to: every tensor is what is stored of it. */
export const inputValue = (graph: Graph, input: OpenedInput): Value => {
  const label = `\`${input.name}\` (${input.path})`
  switch (input.kind) {
    case 'model': {
      const hub = input.origin?.repository ?? hubIdOf(input.path)
      return {
        kind: 'model',
        space: 'weights',
        label,
        ...toLogical(graph, input.file.tensors),
        ...(hub === undefined ? {} : { hub }),
      }
    }
    case 'adapter':
      return { kind: 'adapter', label, file: input.file, alpha: input.alpha }
  }
}

/** What a plan calls the network of an input; undefined for one that smelt does not know. */
export const inputTitle = (input: OpenedInput, layers: LayerContext): string | undefined => {
  switch (input.kind) {
    case 'model':
      return layers.architecture(input.file.tensors)?.title
    case 'adapter':
      return adapterTitle(input.file.tensors)
  }
}
