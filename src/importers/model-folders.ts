import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { readForeign, type ForeignMap, type ForeignValue } from '../document/foreign.js'
import { readRegularSync } from '../safetensors/regular-file.js'

/** A folder in which models are looked for. */
export interface ModelFolder {
  /** Absolute. */
  readonly path: string
  /** What ComfyUI keeps in it, by the name of its own folder for that, such as `checkpoints`; any models without it. */
  readonly kind?: string
}

/** Keys of ComfyUI's file that are no folders of models. */
const OTHER_KEYS: ReadonlySet<string> = new Set(['base_path', 'is_default', 'custom_nodes'])

/** The largest such file that is read, in bytes. */
const MOST = 1024 * 1024

const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

const mapOf = (value: ForeignValue | undefined): ForeignMap =>
  value?.value instanceof Map ? (value.value as ForeignMap) : new Map<string, ForeignValue>()

const textOf = (value: ForeignValue | undefined): string => (typeof value?.value === 'string' ? value.value : '')

/** Variables by name. */
type Environment = Readonly<Record<string, string | undefined>>

/** A path with `~` and variables of the environment written out, as ComfyUI does for `base_path`. */
const expanded = (path: string, environment: Environment): string =>
  path
    .replace(/^~(?=\/|$)/, () => homedir())
    .replace(
      /\$(?:\{(\w+)\}|(\w+))/g,
      (whole, braced: string | undefined, bare: string | undefined) => environment[braced ?? bare!] ?? whole,
    )

/** The folders that ComfyUI's `extra_model_paths.yaml` names; those that are not there are left out. */
const extraFolders = (file: string, environment: Environment): readonly ModelFolder[] => {
  const text = statSync(file).size > MOST ? undefined : readRegularSync(file)
  const found: ModelFolder[] = []
  for (const document of readForeign(text ?? '').documents)
    for (const section of mapOf(document).values()) {
      const paths = mapOf(section)
      const base = textOf(paths.get('base_path'))
      const root = base === '' ? dirname(file) : resolve(dirname(file), expanded(base, environment))
      for (const [kind, value] of paths)
        if (!OTHER_KEYS.has(kind))
          for (const line of textOf(value)
            .split('\n')
            .map((l) => l.trim()))
            if (line !== '') found.push({ path: isAbsolute(line) ? line : join(root, line), kind })
    }
  return found.filter(({ path }) => isFolder(path))
}

/**
 * The folders of models that a path stands for: itself, or those of ComfyUI's `extra_model_paths.yaml`. Empty for what is
 * neither. Never throws.
 */
export const modelFolders = (path: string, environment: Environment = {}): readonly ModelFolder[] => {
  if (isFolder(path)) return [{ path }]
  try {
    return /\.ya?ml$/i.test(path) ? extraFolders(path, environment) : []
  } catch {
    return []
  }
}
