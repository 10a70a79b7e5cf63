import { extname } from 'node:path'
import {
  bothGoals,
  pictureEnding,
  recipeMoved,
  SEARCH_NUMBERS,
  searchFoundNothing,
  searchNumberWrong,
  searchWords,
} from '../base/catalogue/search.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { resolvePath } from '../base/resolve-path.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import { setNumbers } from '../document/set-scalars.js'
import { find } from '../document/value.js'
import { obstacles, optionDestination } from '../run/destinations.js'
import { defaultWorkers } from '../run/machine.js'
import { readSource } from '../run/parts.js'
import { writeOutput } from '../safetensors/output.js'
import { search, type Found } from '../search/search.js'
import { renderReport } from '../view/report/render.js'
import { drawSearch, renderBestSettings, renderFound, renderTrial } from '../view/search.js'
import type { Console } from './console.js'
import { cudaPlaces } from './cuda-places.js'
import { readDevice, readSet, readWorkers } from './options.js'
import { listenForStop } from './signals.js'
import { userHub } from './hub.js'
import { userStore } from './store.js'

/** What `smelt search` takes besides the recipe. */
export interface SearchFlags {
  readonly over: readonly string[]
  readonly score: string
  readonly set: readonly string[]
  readonly trials: string
  readonly time?: string
  readonly seed: string
  readonly maximize?: boolean
  readonly minimize?: boolean
  readonly restart?: boolean
  readonly write?: boolean
  readonly picture?: string
  readonly device: string
  readonly workers?: string
  readonly quiet?: boolean
}

const MOST_TRIALS = 100_000

const readTrials = (text: string): Result<number> => {
  const trials = /^\d+$/.test(text) ? Number(text) : 0
  return trials >= 1 && trials <= MOST_TRIALS
    ? ok(trials)
    : failed(searchNumberWrong('--trials', text, SEARCH_NUMBERS.trials(MOST_TRIALS)))
}

const readMinutes = (text: string | undefined): Result<number> => {
  const minutes = text === undefined ? Infinity : text.trim() === '' ? NaN : Number(text)
  return minutes > 0 ? ok(minutes) : failed(searchNumberWrong('--time', text ?? '', SEARCH_NUMBERS.minutes))
}

/** The forms of pictures: none is one of a recipe or an input. */
const PICTURE_FORMATS = ['html', 'svg', 'png'] as const

/** Where a picture goes, and in which form. */
interface Picture {
  readonly path: string
  readonly format: (typeof PICTURE_FORMATS)[number]
}

const readPicture = (text: string | undefined, cwd: string): Result<Picture | undefined> => {
  if (text === undefined) return ok(undefined)
  const format = PICTURE_FORMATS.find((f) => f === extname(text).slice(1).toLowerCase())
  if (format === undefined) return failed(pictureEnding(text, PICTURE_FORMATS))
  const destination = optionDestination('--picture', text, cwd)
  const problems = obstacles([destination], [destination])
  return problems.length > 0 ? failed(...problems) : ok({ path: resolvePath(cwd, text), format })
}

/** Puts the best values into the recipe, unless it is no longer the one that was searched. */
const writeBest = async (recipe: string, { dimensions, trials, text }: Found, best: number): Promise<Result<void>> => {
  const source = await readSource(recipe, 'a recipe')
  if (source.type === 'failed') return source
  const document = readDocument(source.value)
  if (source.value.text !== text || document.type === 'failed') return failed(recipeMoved(recipe))
  const changed = setNumbers(
    source.value,
    dimensions.map(({ name }, i) => ({
      path: ['params', name, ...(find(document.value, ['params', name])?.type === 'map' ? ['default'] : [])],
      value: trials[best]!.values[i]!,
    })),
  )
  return changed === undefined
    ? failed(recipeMoved(recipe))
    : writeOutput(resolvePath('', recipe), new TextEncoder().encode(changed))
}

/** Prints the best settings, and writes them and the picture where they are asked for. */
const finish = async (
  console: Console,
  recipe: string,
  found: Found,
  flags: SearchFlags,
  picture: Picture | undefined,
): Promise<number> => {
  if (found.best === undefined) {
    const nothing = [searchFoundNothing(found.trials.length)]
    console.tell(nothing)
    return exitCode(nothing)
  }
  if (flags.quiet !== true) console.err(`${renderFound(found, found.best)}\n`)
  console.out(`${renderBestSettings(found, found.best)}\n`)
  const problems: Diagnostic[] = []
  const write = async (path: string, work: () => Promise<Result<void>>): Promise<void> => {
    const { type, diagnostics } = await work()
    append(problems, diagnostics)
    if (type === 'ok' && flags.quiet !== true) console.err(`${searchWords.wrote(path)}\n`)
  }
  if (picture !== undefined)
    await write(flags.picture!, async () =>
      writeOutput(picture.path, await renderReport(drawSearch(recipe, found), picture.format)),
    )
  const best = found.best
  if (flags.write === true) await write(recipe, () => writeBest(recipe, found, best))
  console.tell(problems)
  return exitCode(problems)
}

/** `smelt search`: looks for the params of a recipe that a command scores best. */
export const searchRecipe = async (console: Console, recipe: string, flags: SearchFlags): Promise<number> => {
  const [set, workers, device, trials, minutes, picture] = [
    readSet(flags.set),
    readWorkers(flags.workers, defaultWorkers),
    readDevice(flags.device),
    readTrials(flags.trials),
    readMinutes(flags.time),
    readPicture(flags.picture, console.cwd),
  ]
  const refuse = (problems: readonly Diagnostic[]): number => {
    console.tell(problems)
    return exitCode(problems)
  }
  if (flags.maximize === true && flags.minimize === true) return refuse([bothGoals()])
  if (
    set.type === 'failed' ||
    workers.type === 'failed' ||
    device.type === 'failed' ||
    trials.type === 'failed' ||
    minutes.type === 'failed' ||
    picture.type === 'failed'
  )
    return refuse([set, workers, device, trials, minutes, picture].flatMap((r) => r.diagnostics))
  const began = performance.now()
  const interruption = listenForStop(() => undefined)
  try {
    const found = await search(recipe, {
      over: flags.over,
      set: set.value,
      score: flags.score,
      folder: console.cwd,
      windows: process.platform === 'win32',
      goal: flags.minimize === true ? 'minimize' : 'maximize',
      seed: flags.seed,
      trials: trials.value,
      isOver: () => performance.now() - began >= 60_000 * minutes.value,
      restart: flags.restart === true,
      signal: interruption.signal,
      build: {
        workers: workers.value,
        device: device.value,
        store: userStore(),
        hub: userHub(),
        places: cudaPlaces(),
        render: renderReport,
      },
      resumed: (count, journal) => {
        if (flags.quiet !== true) console.err(`${searchWords.resumed(count, journal)}\n`)
      },
      tried: (now, problems) => {
        if (flags.quiet !== true) console.err(`${renderTrial(now)}\n`)
        console.tell(problems)
      },
    })
    if (found.type === 'failed') return interruption.exitCode ?? refuse(found.diagnostics)
    return await finish(console, recipe, found.value, flags, picture.value)
  } finally {
    interruption.end()
  }
}
