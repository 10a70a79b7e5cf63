import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** A file of a run that is not there, where this process looks. */
export const runFileMissing = (path: string): Diagnostic =>
  entry('run-missing', `there is no ${path}`, {
    at: { type: 'file', path },
    blame: 'run',
    help: 'give the folder of a run, `.smelt/runs/ID` beside its recipe; every machine has to see it under this path',
  })

/** The folder of a run vanished while somebody worked with it. */
export const runGone = (run: string): Diagnostic =>
  entry('run-gone', `the folder of the run is gone: ${run}`, {
    at: { type: 'file', path: run },
    blame: 'run',
    help: 'if its file system is away, mount it; then run the same `smelt build --on` again, which begins a new run if the folder was deleted',
  })

/** A file of a run that is not as smelt writes it. */
export const runFileInvalid = (path: string, reason: string): Diagnostic =>
  entry('run-invalid', `${path} is not a file of a run that this version of smelt can read: ${reason}`, {
    at: { type: 'file', path },
    blame: 'run',
    help: 'use the version of smelt that began the run, or delete the run’s folder and build again',
  })

/** Bytes of a run's file are not those that were written there. */
export const runFileAltered = (path: string): Diagnostic =>
  entry('run-altered', `${path} has changed since the run was laid out`, {
    at: { type: 'file', path },
    blame: 'run',
    help: 'delete the run’s folder and build again; if nobody has touched it, check the file system that holds it',
  })

/** What a task wrote is not there any more, or not as it was. */
export const partAltered = (path: string, tensor?: string): Diagnostic =>
  entry(
    'part-altered',
    tensor === undefined
      ? `${path} is not what the run wrote`
      : `\`${tensor}\` in ${path} is not what its task wrote, although the task read it back as done`,
    {
      at: { type: 'file', path },
      blame: 'run',
      help: 'check the file system, delete the run’s folder, and build again',
    },
  )

/** A part of a file that is needed for the commit is gone. */
export const partLost = (path: string): Diagnostic =>
  entry('part-lost', `${path} is gone, though the run’s results say that it was written`, {
    at: { type: 'file', path },
    blame: 'run',
    help: 'delete the run’s folder and build again; every machine has to see the outputs’ folders under the same paths',
  })

/** A machine has another version than the one that the run was planned with. */
export const runVersion = (what: 'smelt' | 'Node.js', here: string, planned: string, host: string): Diagnostic =>
  entry('run-version', `${host} has ${what} ${here}, and the run was planned with ${planned}`, {
    blame: 'run',
    help: `install ${what} ${planned} on ${host}, or leave it out of the run`,
  })

/** A machine lacks an input that the one which began the run has. */
export const runInputUnseen = (path: string, host: string): Diagnostic =>
  entry('run-input-unseen', `${host} sees no ${path}`, {
    at: { type: 'file', path },
    blame: 'run',
    help: 'put it where every machine sees it under this path, or mount its file system there',
  })

/** An input is not the file that the run was planned with. */
export const runInputDiffers = (path: string): Diagnostic =>
  entry('run-input-differs', `${path} is not the file that the run was planned with`, {
    at: { type: 'file', path },
    blame: 'run',
    help: 'restore it, or cancel the run and build again; if other machines see another file there, put it where all see the same',
  })

/** The copy of the recipe leads to another plan here. */
export const runPlanDiffers = (path: string): Diagnostic =>
  entry('run-plan-differs', `the run’s recipe comes to another plan here: ${path} would be another file`, {
    at: { type: 'file', path },
    blame: 'run',
    help: 'look whether this machine sees the same inputs, and files beside them, as the one that began the run',
  })

/** The recipe has changed since the run began. */
export const runRecipeChanged = (path: string): Diagnostic =>
  entry('run-recipe-changed', `${path} has changed since the run began: what was written is what it said then`, {
    at: { type: 'file', path },
    severity: 'warning',
    help: 'build again for what it says now',
  })

/** A part is asked for that the run does not have. */
export const runPartUnknown = (part: string, parts: number): Diagnostic =>
  entry('part-unknown', `the run has no part ${part}`, {
    at: { type: 'option', name: '--part' },
    blame: 'usage',
    help: `give a number from 0 to ${parts - 1}, or \`commit\``,
  })

/** Results that a part reads cannot be seen yet. */
export const runStageUnseen = (part: number): Diagnostic =>
  entry('run-stage-unseen', `the result of part ${part}, which this part reads, cannot be seen here`, {
    blame: 'retry',
    help: 'wait until it is done, and try again; if it is done, look whether this machine sees the run’s folder',
  })

/** Parts are not done, so there is nothing to commit. */
export const runUnfinished = (missing: number, parts: number): Diagnostic =>
  entry('run-unfinished', `${missing} of ${parts} parts are not done, so nothing can be committed`, {
    blame: 'retry',
    help: 'wait until they are done, or run `smelt build` again with the same options: it goes on where the run stopped',
  })

/** The run was cancelled. */
export const runCancelled = (run: string): Diagnostic =>
  entry('run-cancelled', `the run was cancelled: ${run}`, {
    blame: 'run',
    help: 'build again: a new run begins',
  })

/** Two attempts at a part came to different results. */
export const runAlarmed = (part: number, hosts: readonly string[], differs: readonly string[]): Diagnostic =>
  entry(
    'run-alarm',
    `two attempts at part ${part} came to different results${hosts.length > 0 ? ` on ${hosts.join(' and ')}` : ''}: ${differs.join(', ')}`,
    {
      blame: 'run',
      help: 'trust neither: check the memory and the disks of these machines, then delete the run’s folder and build again',
    },
  )

/** Another driver works on the run. */
export const runDriven = (owner: string, claim: string): Diagnostic =>
  entry('run-driven', `another driver works on this run: ${owner}`, {
    at: { type: 'file', path: claim },
    blame: 'retry',
    help: `watch it with \`smelt follow\`; if it no longer runs, wait a minute and try again`,
  })

/** A device whose numbers no other gives cannot be shared by machines. */
export const runInexact = (device: string): Diagnostic =>
  entry('run-inexact', `${device} gives numbers of its own, so its parts cannot be put together with those of others`, {
    at: { type: 'option', name: '--device' },
    blame: 'usage',
    help: 'use `--device auto`, `cpu` or `cuda`, which all give the same bytes',
  })

/** An option does nothing, or harm, in a build on many machines. */
export const runWithout = (option: string, help: string): Diagnostic =>
  entry('run-option', `${option} does not go together with \`--on\``, {
    at: { type: 'option', name: option },
    blame: 'usage',
    help,
  })

/** A part that will not be tried again, and what its task said. */
export const runPartFailed = (
  part: number,
  reason: 'failed' | 'tried-enough' | 'held',
  ended: string | undefined,
  complaint: string,
): Diagnostic => (reason === 'held' ? partHeld(part, ended ?? '') : partEnded(part, reason, ended, complaint))

const partHeld = (part: number, why: string): Diagnostic =>
  entry('part-held', `Slurm still holds part ${part} (${why}) after three attempts`, {
    blame: 'run',
    help: 'run `squeue --me` and `scontrol show job` to see why, or ask the administrators of the cluster; then run the same command again',
  })

/** What a task said last, in one line, and its own advice. */
const gist = (complaint: string): { readonly said: string; readonly help: string | undefined } => {
  const lines = complaint.split('\n').map((line) => line.trim())
  const help = lines.find((line) => line.startsWith('help: '))?.slice('help: '.length)
  const said = lines.find((line) => /^error\[[\w-]+\]: /.test(line)) ?? lines.findLast((line) => line !== '') ?? ''
  return { said, help }
}

const partEnded = (
  part: number,
  reason: 'failed' | 'tried-enough',
  ended: string | undefined,
  complaint: string,
): Diagnostic => {
  const { said, help = 'repair what it says' } = gist(complaint)
  return entry(
    'part-failed',
    `part ${part} ${reason === 'failed' ? 'failed' : 'was tried three times, and is not done'}${ended === undefined ? '' : ` (${ended})`}${said === '' ? '' : `: ${said}`}`,
    {
      blame: 'run',
      help:
        REMEDIES[ended ?? ''] ??
        `${help}${help.endsWith('same command again') ? '' : '; then run the same command again'}: what is done stays done`,
    },
  )
}

/** What helps where the scheduler ended a task, by its word for why. */
const REMEDIES: Readonly<Record<string, string>> = {
  OUT_OF_MEMORY:
    'raise `memory` in the cluster file (`smelt plan` says how much a build takes) and run the same command again: what is done stays done',
  TIMEOUT:
    'raise `time` in the cluster file and run the same command again: what is done stays done; or pass a larger `--parts`, which begins a new run of shorter tasks',
}

/** A template for the commands of tasks that cannot be filled in. */
export const execUnknown = (
  unknown: string | undefined,
  missing: string | undefined,
  names: readonly string[],
): Diagnostic =>
  entry(
    'exec-template',
    unknown === undefined
      ? `the command of \`--exec\` does not say {${missing ?? ''}}, so every task would do the same`
      : `the command of \`--exec\` says {${unknown}}, which stands for nothing`,
    {
      at: { type: 'option', name: '--exec' },
      blame: 'usage',
      help: `write it with ${names.map((name) => `{${name}}`).join(', ')}, such as: ssh {host} -- {smelt} work --run {run} --part {part}`,
    },
  )

/** A driver whose tasks are its own processes was asked to stop. */
export const stoppingTasks = (): Diagnostic =>
  entry('stopping', 'stopping the tasks', {
    severity: 'warning',
    blame: 'run',
    help: 'interrupt again to stop at once',
  })

/** What the screens of runs on many machines say. */
export const runWords = {
  states: { committed: 'written', cancelled: 'cancelled', alarm: 'stopped by an alarm' },
  begun: (id: string, parts: string, run: string): string => `run ${id}: ${parts} in ${run}\n`,
  resumed: (id: string, done: number, parts: string, run: string): string =>
    `run ${id} goes on: ${done} of ${parts} done in ${run}\n`,
  again: (part: number): string => `part ${part} is begun again\n`,
  waiting: (part: number, reason: string, run: string): string =>
    `Slurm lets part ${part} wait (${reason}): if that will not pass, run \`smelt cancel ${run}\`, change the cluster file and build again\n`,
  released: (part: number): string => `Slurm holds part ${part}: releasing it\n`,
  unanswered: (seconds: number): string =>
    `Slurm has not answered for ${seconds} seconds: waiting; its tasks go on, and Ctrl-C leaves them running\n`,
  handedOver: 'Slurm has all of it: unless a task fails, it writes the outputs even if this command ends\n',
  awaited: 'Slurm does not answer: retrying for two minutes; after Ctrl-C, the same command resumes the run\n',
  answered: 'Slurm answers again\n',
  left: (run: string, isWithTasks: boolean): string =>
    isWithTasks
      ? `stopped, with its tasks; the same command resumes the run, and \`smelt cancel ${run}\` gives it up\n`
      : `stopped watching; Slurm continues with the tasks: the same command watches them again, and \`smelt cancel ${run}\` ends them\n`,
  cancelled: (run: string): string => `cancelled ${run}\n`,
  verifyAfter: 'leave it out, and compare with the lock afterwards: `smelt verify`',
  trustsTimes: 'leave it out, or pass `--force`, which computes everything anew',
  onOneMachine: 'leave it out, or build on one machine, without `--on`',
  followInstead: 'leave it out, and watch the run with `smelt follow`',
  stageInManifest: 'leave it out, and add a volume and `--stage FOLDER` to the command in the manifest',
  workersInTemplate:
    'write it into the command of the tasks: `--exec "{smelt} work --run {run} --part {part} --workers 4"`',
} as const

/** No run of that name is there. */
export const runUnknown = (name: string): Diagnostic =>
  entry('run-unknown', `there is no run ${name}`, {
    blame: 'usage',
    help: 'give the folder of a run, or its name in the folder of its recipe: they are in .smelt/runs',
  })

/** A count that an option takes. */
export const runCount = (option: string, text: string, most: number): Diagnostic =>
  entry('run-count', `${option} ${text} is not a whole number from 1 to ${most}`, {
    at: { type: 'option', name: option },
    blame: 'usage',
    help: `give a number, such as \`${option} 4\``,
  })

/** Options of a build on many machines without the one that asks for it. */
export const runNeedsOn = (): Diagnostic =>
  entry(
    'run-needs-on',
    '`--exec`, `--hosts`, `--parallel`, `--parts`, `--run-dir`, `--stage` and `--cluster` mean nothing without `--on`',
    {
      at: { type: 'option', name: '--on' },
      blame: 'usage',
      help: 'add `--on exec` to have commands do the parts of the work',
    },
  )
