import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

const ON = { at: { type: 'option', name: '--on' } } as const

/** What a cluster file is called in messages about files. */
export const A_CLUSTER_FILE = 'a cluster file'

/** A program of Slurm that is not there. */
export const slurmMissing = (program: string): Diagnostic =>
  entry('slurm-missing', `\`${program}\` is not installed here, so nothing can be handed to Slurm`, {
    ...ON,
    blame: 'usage',
    help: 'run this on a login node of the cluster, or pass `--on exec`',
  })

/** Slurm does not accept a job. */
export const slurmRefused = (answer: string): Diagnostic =>
  entry('slurm-refused', `Slurm refused the job: ${answer}`, {
    ...ON,
    blame: 'run',
    help: 'check `slurm` in the cluster file: partition, account, time, cpus, memory and gres; then run the same command again',
  })

/** Slurm did not answer a question about its settings. */
export const slurmSilent = (answer: string): Diagnostic =>
  entry('slurm-silent', `Slurm does not answer: ${answer}`, {
    ...ON,
    blame: 'retry',
    help: 'wait until `sinfo` works here, then run the same command again; a run that is laid out goes on',
  })

/** An option of one way to start tasks, with another. */
export const onlyOn = (option: string, where: string): Diagnostic =>
  entry('option-of-other', `${option} is for \`--on ${where}\``, {
    at: { type: 'option', name: option },
    blame: 'usage',
    help: `leave it out, or pass \`--on ${where}\``,
  })

/** There is no cluster file where the user said. */
export const clusterFileMissing = (path: string): Diagnostic =>
  entry('cluster-file-missing', `${path} does not exist`, {
    at: { type: 'option', name: '--cluster' },
    blame: 'usage',
    help: 'check the path, or leave the option out: smelt then looks for `smelt.cluster.yaml` in the folder of the recipe and those above it',
  })

/** A Kubernetes manifest without a place. */
export const manifestNeeded = (): Diagnostic =>
  entry('manifest-needed', '`--on kubernetes` needs a path for the manifest', {
    at: { type: 'option', name: '--manifest' },
    blame: 'usage',
    help: 'pass `--manifest job.yaml`, then run `kubectl apply -f job.yaml`',
  })

const NEEDED = {
  image: 'an image in which smelt is installed',
  claim: 'the PersistentVolumeClaim of the shared volume',
  mount: 'the path where the shared volume is mounted',
} as const

/** A Kubernetes manifest needs a value that nothing stands for. */
export const manifestIncomplete = (key: 'image' | 'claim' | 'mount'): Diagnostic =>
  entry('manifest-incomplete', `a Kubernetes manifest needs ${NEEDED[key]}`, {
    at: { type: 'option', name: '--on' },
    blame: 'usage',
    help: `write \`kubernetes: { ${key}: … }\` in \`smelt.cluster.yaml\``,
  })

/** More parts than a job can have. */
export const manifestTooLong = (parts: number, most: number): Diagnostic =>
  entry('manifest-too-long', `the run has ${parts} parts, and a job of Kubernetes has at most ${most}`, {
    at: { type: 'option', name: '--parts' },
    blame: 'usage',
    help: `pass \`--parts ${most}\` or less`,
  })

/** A path of the run that pods would not see. */
export const manifestUnmounted = (path: string, mount: string): Diagnostic =>
  entry('manifest-unmounted', `${path} is outside of ${mount}, where pods see the shared volume`, {
    at: { type: 'file', path },
    blame: 'usage',
    help: 'put the recipe, its inputs and its outputs on the volume, and set `kubernetes: { mount: … }` to where it is mounted here',
  })

/** What the screens of schedulers say. */
export const schedulerWords = {
  wroteManifest: (path: string): string => `wrote ${path}\n`,
  applyManifest: (path: string): string => `start it with: kubectl apply -f ${path}\n`,
} as const
