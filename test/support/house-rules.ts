import { posix } from 'node:path'
import type { SourceFile } from './source-file.js'

/** The rooms in the order data passes: a room imports only from those before it. What stands above them is the package. */
export const ROOMS = [
  'base',
  'document',
  'tensor',
  'safetensors',
  'pytorch',
  'hub',
  'tokenizers',
  'graph',
  'kernels',
  'architectures',
  'operators',
  'recipe',
  'importers',
  'store',
  'plan',
  'run',
  'cluster',
  'search',
  'view',
  'cli',
] as const

type Files = readonly SourceFile[]

const isRelative = (specifier: string): boolean => /^\.{1,2}(\/|$)/.test(specifier)

/** The path that a relative import means, below `src/`. */
const meant = (file: SourceFile, specifier: string): string => posix.join(posix.dirname(file.path), specifier)

const rankOf = (room: string): number => {
  const rank = ROOMS.findIndex((r) => r === room)
  return rank === -1 ? ROOMS.length : rank
}

const targetsIn = (files: Files): ((file: SourceFile) => readonly SourceFile[]) => {
  const byPath = new Map(files.map((f) => [f.path, f]))
  return (file) =>
    file.imports.filter(isRelative).flatMap((specifier) => {
      const path = meant(file, specifier).replace(/\.js$/, '')
      return byPath.get(`${path}.ts`) ?? byPath.get(`${path}.tsx`) ?? []
    })
}

/** Imports of rooms below, or of the package itself, as `run/a.ts → ../view/b.js`. */
export const upwardImports = (files: Files): string[] =>
  files
    .filter((f) => f.room !== 'index')
    .flatMap((file) =>
      file.imports
        .filter((i) => isRelative(i) && rankOf(meant(file, i).split('/')[0]!) > rankOf(file.room))
        .map((i) => `${file.path} → ${i}`),
    )

/** Files from which imports lead back to themselves, types and `import()` included. */
export const circles = (files: Files): string[] => {
  const targetsOf = targetsIn(files)
  return files
    .filter((file) => {
      const [seen, queue] = [new Set<SourceFile>(), [file]]
      for (const next of queue)
        for (const target of targetsOf(next)) {
          if (target === file) return true
          if (!seen.has(target)) {
            seen.add(target)
            queue.push(target)
          }
        }
      return false
    })
    .map((f) => f.path)
}

/** Imports that the other rules cannot follow: of nothing that is there, by an alias, or of what a value says. */
export const unfollowed = (files: Files): string[] => {
  const targetsOf = targetsIn(files)
  const isFollowed = (file: SourceFile, specifier: string): boolean =>
    isRelative(specifier)
      ? targetsOf({ ...file, imports: [specifier] }).length > 0
      : !/^(#|\/|file:|smelt(\/|$))/.test(specifier)
  return files.flatMap((file) => [
    ...file.unclear,
    ...file.imports.filter((i) => !isFollowed(file, i)).map((i) => `${file.path} → ${i}`),
  ])
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

/** The rooms that know each package. */
export const packageRooms = (files: Files): ReadonlyMap<string, ReadonlySet<string>> => {
  const rooms = new Map<string, Set<string>>()
  for (const file of files)
    for (const specifier of file.imports.filter((i) => !isRelative(i) && !i.startsWith('node:'))) {
      const name = packageOf(specifier)
      rooms.set(name, (rooms.get(name) ?? new Set()).add(file.room))
    }
  return rooms
}

/** Packages that more than one room knows, as `yaml: document, recipe`. */
export const sharedPackages = (files: Files): string[] =>
  [...packageRooms(files)]
    .filter(([, owners]) => owners.size > 1)
    .map(([name, owners]) => `${name}: ${[...owners].join(', ')}`)

/** Files of more lines than `most`. */
export const longFiles = (files: Files, most: number): string[] =>
  files.filter((f) => f.text.trimEnd().split('\n').length > most).map((f) => f.path)

const OF_THE_COMMAND = new Set('process argv env exit exitCode stdout stderr stdin on once off chdir abort'.split(' '))

/** Files outside `cli/` that read arguments or environment, write to the terminal, or end the process. */
export const touchesProcess = (files: Files): string[] =>
  files
    .filter((f) => f.room !== 'cli')
    .flatMap((f) =>
      f.imports.some((i) => /^(node:)?process$/.test(i))
        ? [f.path]
        : [...f.process].filter((p) => OF_THE_COMMAND.has(p)).map((p) => `${f.path}: ${p}`),
    )

/** Files of a room that can read or write files. */
export const touchesFiles = (files: Files, room: string): string[] =>
  files.filter((f) => f.room === room && f.imports.some((i) => /^(node:)?fs(\/|$)/.test(i))).map((f) => f.path)

/** Files outside the catalogue that make diagnostics. */
export const makesDiagnostics = (files: Files): string[] =>
  files
    .filter((f) => !f.path.startsWith('base/catalogue/') && f.imports.some((i) => i.endsWith('catalogue/entry.js')))
    .map((f) => f.path)

/** Files that spread a list into a call that takes it whole: a call takes no more arguments than the stack holds. */
export const spreadsLists = (files: Files): string[] => {
  const spreads = /Math\.(max|min)\((?:[\w.]+, )?\.\.\.|\.(push|unshift|splice)\(\.\.\./
  return files.filter((f) => spreads.test(f.text)).map((f) => f.path)
}

/** Files outside the catalogue that may hold sentences: what they describe stands beside them. */
export const DESCRIBERS: readonly (readonly [path: RegExp, reason: string])[] = [
  [
    /^operators\/(?!reach\.ts$)/,
    'what operators and their parameters do, for their pages and the hover texts of editors',
  ],
  [/^recipe\/(?:(?:part|tokenizer)-)?schema\.ts$/, 'descriptions of keys in the schemas of recipes and parts'],
  [/^recipe\/(?:part-|presets-)?schema\.ts$/, 'descriptions of keys in the schemas of recipes and parts'],
  [/^recipe\/(?:part-)?schema\.ts$/, 'descriptions of keys in the schemas of recipes and parts'],
  [/^cluster\/cluster-schema\.ts$/, 'descriptions of keys in the schema of cluster files'],
  [/^store\/lock-schema\.ts$/, 'descriptions of keys in the schema of locks'],
  [
    /^architectures\/adapters\/peft-config\.ts$/,
    'what each setting of a config must be, and what it makes of an adapter',
  ],
  [/^(library|run\/check-options)\.ts$/, 'what each argument of the library must be'],
  [/^architectures\/parts\.ts$/, 'words of the names of tensors'],
  [/^cli\/program\.ts$/, 'help of commands and options'],
  [/^view\/starter\.ts$/, 'a recipe, with its comments'],
  [/^run\/devices\/cudart\.ts$/, 'declarations in C'],
]

/** Words that follow each other, a value among them counting as one. */
const WORDS = /(?<![\w./:_-])(?:a|[a-z][a-z'’-]+|\0)(?:[,;.]? (?:a|[a-z][a-z'’-]+|\0)(?![\w/_=-])){3,}/g

/** Four words in a row, three of them written out, are a sentence or a part of one; fewer are a label. */
const isSentence = (text: string): boolean =>
  (text.match(WORDS) ?? []).some((words) => words.split(' ').filter((word) => /[a-z]/.test(word)).length >= 3)

/** Sentences outside the catalogue, as `run/a.ts:3: the file is gone`, except those of `throw` and of `describers`. */
export const sentences = (files: Files, describers = DESCRIBERS): string[] =>
  files
    .filter((f) => !f.path.startsWith('base/catalogue/') && !describers.some(([path]) => path.test(f.path)))
    .flatMap((f) =>
      f.literals
        .filter((l) => !l.thrown && !l.list && isSentence(l.text))
        .map((l) => `${f.path}:${l.line}: ${l.text.replaceAll('\0', '…')}`),
    )
