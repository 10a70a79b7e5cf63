import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { A_CLUSTER_FILE, clusterFileMissing } from '../base/catalogue/schedulers.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import { validate } from '../document/validate.js'
import { toPlain } from '../document/value.js'
import { readSource } from '../run/parts.js'
import { clusterSchema } from './cluster-schema.js'
import type { SlurmOptions } from './slurm.js'

/** How tasks are started by commands. */
export interface ExecSettings {
  readonly command?: string
  readonly hosts?: readonly string[]
  readonly at_most?: number
  readonly smelt?: string
  readonly stage?: string
}

/** How pods are made. */
export interface KubernetesSettings {
  readonly image?: string
  readonly claim?: string
  readonly mount?: string
  readonly namespace?: string
  readonly cpus?: number
  readonly memory?: string
  readonly gpus?: number
  readonly user?: number
  readonly group?: number
  readonly at_most?: number
  readonly smelt?: string
}

/** What a cluster file says. It is no part of a build’s identity. */
export interface ClusterFile {
  readonly slurm: SlurmOptions & Pick<ExecSettings, 'smelt' | 'stage'>
  readonly exec: ExecSettings
  readonly kubernetes: KubernetesSettings
}

/** The name of cluster files that are found by themselves. */
export const CLUSTER_FILE = 'smelt.cluster.yaml'

const NOTHING: ClusterFile = { slurm: {}, exec: {}, kubernetes: {} }
const SCHEMA = clusterSchema({ editor: false })

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )

/** The cluster file in the folder of a recipe, or in the nearest folder above it that has one. */
export const findClusterFile = async (recipe: string): Promise<string | undefined> => {
  for (let folder = dirname(resolve(recipe)); ; folder = dirname(folder)) {
    const path = join(folder, CLUSTER_FILE)
    if (await isFile(path)) return path
    if (dirname(folder) === folder) return undefined
  }
}

/** Reads a cluster file; all that is wrong with it is told at once, with its place. */
export const readClusterFile = async (path: string): Promise<Result<ClusterFile>> => {
  const source = await readSource(path, A_CLUSTER_FILE)
  if (source.type === 'failed') return source
  const document = readDocument(source.value)
  if (document.type === 'failed') return document
  // A file of comments alone asks for nothing.
  if (document.value.type === 'null') return ok(NOTHING)
  const valid = validate(document.value, SCHEMA)
  if (valid.type === 'failed') return valid
  const plain = toPlain(valid.value) as {
    readonly slurm?: Omit<ClusterFile['slurm'], 'time' | 'memory'> & {
      readonly time?: string | number
      readonly memory?: string | number
    }
    readonly exec?: ExecSettings
    readonly kubernetes?: KubernetesSettings
  }
  const { time, memory, ...slurm } = plain.slurm ?? {}
  return ok({
    slurm: {
      ...slurm,
      ...(time === undefined ? {} : { time: String(time) }),
      ...(memory === undefined ? {} : { memory: String(memory) }),
    },
    exec: { ...plain.exec },
    kubernetes: { ...plain.kubernetes },
  })
}

/** Reads the cluster file that `--cluster` names, else the one that is found for the recipe, if any. */
export const loadClusterFile = async (recipe: string, named: string | undefined): Promise<Result<ClusterFile>> => {
  if (named !== undefined && !(await isFile(named))) return failed(clusterFileMissing(named))
  const path = named ?? (await findClusterFile(recipe))
  return path === undefined ? ok(NOTHING) : readClusterFile(path)
}
