import { readFileSync, statSync } from 'node:fs'
import { dirname, basename } from 'node:path'
import { partAltered, partLost, runAlarmed, runRecipeChanged, runUnfinished } from '../base/catalogue/cluster.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { blake3, toDigest } from '../base/digest.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Plan, Target } from '../plan/plan.js'
import { gatherPriorState } from '../run/gather-prior-state.js'
import type { Listener } from '../run/events.js'
import type { Built, Gathered } from '../run/options.js'
import type { Drafted } from '../run/prepare.js'
import { run as runPlan } from '../run/run.js'
import type { Oddity } from '../run/oddities.js'
import { openPart, openStanding, takeTensor } from '../safetensors/part-file.js'
import type { OutputFile } from '../safetensors/output.js'
import { sweepParts } from '../safetensors/temporary.js'
import { lockPath } from '../store/lock.js'
import type { Store } from '../store/store.js'
import { writeAccount } from './account.js'
import { placesOf, raiseAlarm, readPlan, writeWhole, type PartResult, type RunAlarm, type RunPlan } from './layout.js'
import { complete, draftRun, knowledgeOf, type DraftAccess } from './ready.js'
import { partsIn, readResults, versionProblem } from './run-state.js'
import { haltOf } from './task.js'

/** How a commit tells and remembers. */
export interface CommitOptions extends Pick<DraftAccess, 'hub'> {
  readonly listener?: Listener
  readonly signal?: AbortSignal
  readonly store?: Store
  /** The recipe as this process has laid the run out with it, whose warnings have been told. */
  readonly drafted?: Drafted
  /** Called with the plan before anything is written. */
  readonly planned?: (plan: Plan, diagnostics: readonly Diagnostic[]) => void
}

/**
 * Puts a run's parts together, once all are done: checks them, and gives all outputs their names and writes the lock as
 * a build on one machine does. All or nothing, and if it is killed it can be begun again.
 */
export const commitRun = async (run: string, options: CommitOptions = {}): Promise<Result<Built>> => {
  const plan = readPlan(run)
  if (plan.type === 'failed') return plan
  const other = versionProblem(plan.value)
  if (other !== undefined) return failed(other)
  const halted = haltOf(run)
  if (halted.type === 'failed') return halted
  const parts = partsIn(plan.value)
  const found = readResults(run, parts)
  if (found.type === 'failed') return found
  const { results, missing } = found.value
  if (missing.length > 0) return failed(runUnfinished(missing.length, parts))
  const torn = disagreement(results)
  if (torn !== undefined) {
    raiseAlarm(run, torn)
    return failed(runAlarmed(torn.part, torn.hosts, torn.differs))
  }
  const drafted = options.drafted === undefined ? await draftRun(run, plan.value, options) : ok(options.drafted)
  if (drafted.type === 'failed') return drafted
  const { existing } = (await gatherPriorState(drafted.value.draft, undefined)).known
  const whole = await complete(
    drafted.value.draft,
    { ...knowledgeOf(drafted.value.draft, results), existing },
    options.signal,
  )
  if (whole.type === 'failed') return whole
  options.planned?.(whole.value, drafted.diagnostics)
  const gathered = gather(whole.value, results)
  const bases = [...basesOf(results)].flatMap(([path, { file }]) => (isThere(file) ? [[path, file] as const] : []))
  const built = await runPlan(
    { ...whole.value, jobs: [], undigested: [], programs: [], scratchBytes: 0, resumed: new Map(bases) },
    {
      workers: 1,
      device: 'cpu',
      gathered,
      lock: { path: lockPath(plan.value.recipe) },
      sha256: new Map(),
      ...(options.listener === undefined ? {} : { listener: options.listener }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.store === undefined ? {} : { memory: { store: options.store, since: drafted.value.since } }),
    },
  )
  const diagnostics = [...drafted.diagnostics, ...built.diagnostics, ...changedRecipe(run, plan.value)]
  if (built.type === 'failed') return failed(...diagnostics)
  writeAccount(run, results)
  writeWhole(placesOf(run).committed, { outputs: built.value.outputs })
  await removeParts(plan.value)
  return ok(built.value, diagnostics)
}

/** Two parts that read one tensor and found other numbers in it. */
const disagreement = (results: readonly PartResult[]): RunAlarm | undefined => {
  const known = new Map<string, { readonly digest: string; readonly by: PartResult }>()
  for (const by of results)
    for (const { path, tensor, digest } of by.read) {
      const key = `${path}\0${tensor}`
      const first = known.get(key)
      if (first === undefined) known.set(key, { digest, by })
      else if (first.digest !== digest)
        return {
          part: by.part,
          attempts: [by.attempt],
          hosts: [...new Set([first.by.host, by.host])],
          differs: [`${tensor} (${basename(path)})`],
        }
    }
  return undefined
}

/** Removes everything that tasks wrote beside the outputs of a run and that is no output. */
export const removeParts = async ({ id, outputs }: RunPlan): Promise<void> => {
  await Promise.all(outputs.map(({ path }) => sweepParts(dirname(path), basename(path), id)))
}

const isThere = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined

/** Warns if the recipe is not any more what the run has a copy of. */
const changedRecipe = (run: string, { recipe }: RunPlan): readonly Diagnostic[] => {
  const read = (path: string): string | undefined => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return undefined
    }
  }
  return read(recipe) === read(placesOf(run).recipe) ? [] : [runRecipeChanged(recipe)]
}

type PartFile = PartResult['files'][number] & { readonly part: number }

/** By output file, all its parts; the one that has most of its bytes first. */
const partsOf = (results: readonly PartResult[]): ReadonlyMap<string, readonly PartFile[]> => {
  const files = new Map<string, PartFile[]>()
  const shares = new Map<PartFile, number>()
  for (const { part, files: own, written } of results)
    for (const file of own) {
      const known = files.get(file.path) ?? []
      const placed = { ...file, part }
      files.set(file.path, known)
      known.push(placed)
      shares.set(placed, written.filter((w) => w.path === file.path).length)
    }
  for (const own of files.values()) own.sort((x, y) => shares.get(y)! - shares.get(x)! || x.part - y.part)
  return files
}

/** The part of each file that becomes the file. */
const basesOf = (results: readonly PartResult[]): ReadonlyMap<string, PartFile> =>
  new Map([...partsOf(results)].map(([path, [first]]) => [path, first!] as const))

const gather = (plan: Plan, results: readonly PartResult[]): Gathered => {
  const files = partsOf(results)
  const written = new Map(results.map((r) => [r.part, r.written] as const))
  const targets = new Map<string, Map<string, Target>>()
  for (const target of plan.targets.flat()) {
    const file = targets.get(target.path) ?? new Map<string, Target>()
    targets.set(target.path, file.set(target.tensor, target))
  }
  /** Checks the tensors of a part, and copies them to another one. */
  const take = (from: OutputFile, { part, path }: PartFile, to?: OutputFile): Result<void> => {
    for (const { path: own, tensor, digest } of written.get(part)!) {
      if (own !== path) continue
      const { begin, elements, dtype } = targets.get(path)!.get(tensor)!
      const taken = takeTensor(from, { tensor, begin, elements, dtype, digest }, to)
      if (taken.type === 'failed') return taken
    }
    return ok(undefined)
  }
  return {
    open: async (path, bytes) => {
      const [first, ...others] = files.get(path) ?? []
      if (first === undefined) return ok(undefined)
      const base = openPart(path, first.file)
      if (base.type === 'failed') return base
      if (base.value === undefined) {
        // A commit that was killed came so far with this file.
        const standing = openStanding(path, bytes)
        return standing.type === 'ok' && standing.value === undefined ? failed(partLost(first.file)) : standing
      }
      const { size, mtimeNs } = base.value.identity()
      const problem = async (): Promise<Result<void>> => {
        if (size !== bytes) return failed(partAltered(first.file))
        // Nobody has written to it since its task read the time: what is in it is what the task wrote.
        const own = String(mtimeNs) === first.mtime ? ok(undefined) : take(base.value!, first)
        if (own.type === 'failed') return own
        for (const other of others) {
          const opened = openPart(path, other.file)
          if (opened.type === 'failed') return opened
          if (opened.value === undefined) return failed(partLost(other.file))
          const taken = take(opened.value, other, base.value!)
          await opened.value.discard()
          if (taken.type === 'failed') return taken
        }
        return ok(undefined)
      }
      const done = await problem()
      if (done.type === 'ok') return base
      await base.value.discard()
      return done
    },
    fill: (ledger, oddities) => {
      for (const { read, written: own, odd } of results) {
        for (const finished of [...read, ...own]) ledger.enter(finished)
        for (const { path, tensor, oddity } of odd) oddities.add(path, tensor, oddity as Oddity)
      }
    },
    report: (path) => {
      const report = results.flatMap((r) => r.reports).find((r) => r.path === path)!
      const bytes = readFileSync(report.file)
      if (toDigest(blake3(bytes)) !== report.digest) throw new Error('a report of the run was altered')
      return bytes
    },
  }
}
