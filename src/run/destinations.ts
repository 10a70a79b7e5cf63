import { basename, dirname, resolve } from 'node:path'
import type { Diagnostic } from '../base/diagnostic.js'
import { resolvePath } from '../base/resolve-path.js'
import {
  blamed,
  destinationProblems,
  destinationsOf,
  LOCK,
  reservedFor,
  reservedInputs,
  type Destination,
  type NamesOf,
} from '../plan/destinations.js'
import type { Plan } from '../plan/plan.js'
import { namesOnDisk } from '../safetensors/file-names.js'
import { folderObstacle, obstacleAt } from '../safetensors/obstacle.js'

/** The lock as something that a command writes. */
export const lockDestination = (path: string): Destination => ({
  name: LOCK,
  label: basename(path),
  at: { type: 'file', path },
  paths: [path],
})

/** A file that an option of the command line asks for. */
export const optionDestination = (option: string, label: string, cwd = ''): Destination => ({
  name: `\`${option}\``,
  label,
  at: { type: 'option', name: option },
  paths: [resolvePath(cwd, label)],
})

/**
 * Destinations where a link, a folder or something else that is no regular file stands; `written` are those that the
 * command writes in any case, whose folders must take them.
 */
export const obstacles = (destinations: readonly Destination[], written: readonly Destination[]): Diagnostic[] =>
  destinations.flatMap((destination) => {
    const { paths, label, at } = destination
    const inTheWay = paths.map(
      (path) => obstacleAt(path, label, at) ?? folderObstacle(path, label, at, written.includes(destination)),
    )
    const [first] = inTheWay.filter((problem) => problem !== undefined)
    return first === undefined ? [] : [blamed(first, destination)]
  })

/**
 * Problems with the paths of a plan's files, given what is on disk now: every plan passes this check before it runs,
 * whoever made it. `lock` is the path of the lock if one is written.
 */
export const checkDestinations = (
  plan: Pick<Plan, 'settings' | 'outputs' | 'reports' | 'models'>,
  lock: string | undefined,
  namesOf: NamesOf = namesOnDisk(),
): Diagnostic[] => {
  const { recipe } = plan.settings[0]!
  const planned = destinationsOf(plan.settings, plan.outputs, plan.reports)
  const more = lock === undefined ? [] : [lockDestination(lock)]
  const unkept = planned.filter((_, i) =>
    i < plan.outputs.length ? plan.outputs[i]!.kept === undefined : !plan.reports[i - plan.outputs.length]!.kept,
  )
  const reserved = [...reservedInputs(plan.models), ...reservedFor(dirname(resolve(recipe.source.path)), recipe)]
  const all = [...more, ...planned]
  return [...destinationProblems(all, reserved, namesOf, plan.settings), ...obstacles(all, [...unkept, ...more])]
}
