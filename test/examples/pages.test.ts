import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runProgram, ROOT } from './program.js'

const pagesBelow = (folder: string): string[] =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  'bench/transformers/README.md',
  'examples/claims/README.md',
  'examples/gates/README.md',
  'examples/library/README.md',
  'examples/quickstart/data/README.md',
  'examples/statistics/README.md',
  ...pagesBelow('docs'),
]
const textOf = (page: string): string => readFileSync(join(ROOT, page), 'utf8')
const proseOf = (page: string): string => textOf(page).replace(/```.*?```/gs, '')

/** The anchors that a page's headings have. */
const anchorsOf = (page: string): string[] =>
  [...proseOf(page).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

describe.each(PAGES)('%s', (page) => {
  test('links to files and headings that are there', () => {
    for (const [, path, anchor] of proseOf(page).matchAll(/(?:\]\(|src=")(?!https?:)([^)#"]*)(?:#([^)"]*))?[)"]/g)) {
      const target = path === '' ? page : normalize(join(dirname(page), path!))
      expect(() => readFileSync(join(ROOT, target)), `${page} links to ${target}`).not.toThrow(/ENOENT/)
      if (anchor !== undefined) expect(anchorsOf(target), `${page} links to ${target}#${anchor}`).toContain(anchor)
    }
  })
})

test('the index names every page of the documentation', () => {
  const index = textOf('docs/README.md')
  expect(
    pagesBelow('docs')
      .map((page) => page.slice('docs/'.length))
      .filter((name) => name !== 'README.md' && !index.includes(`(${name})`)),
  ).toEqual([])
})

test('the page on commands names every command, and every option of a build', async () => {
  const page = textOf('docs/commands.md')
  const commands = [...(await runProgram(['dist/bin/smelt.js', '--help'])).stdout.matchAll(/^ {2}([a-z]+) .*$/gm)]
    .map(([, name]) => name!)
    .filter((name) => name !== 'help')
  expect(commands.length).toBeGreaterThan(15)
  expect(commands.filter((name) => !page.includes(`\`smelt ${name} `) && !page.includes(`\`smelt ${name}\``))).toEqual(
    [],
  )
  const options = [
    ...(await runProgram(['dist/bin/smelt.js', 'build', '--help'])).stdout.matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm),
  ]
    .map(([, name]) => name!)
    .filter((name) => name !== '--help')
  expect(options.length).toBeGreaterThan(10)
  expect(options.filter((name) => !page.includes(`\`${name}`))).toEqual([])
})

test('the glossary has at most twenty words', () => {
  const page = textOf('docs/architecture.md')
  const words = [...page.slice(page.indexOf('## Glossary')).matchAll(/^\| (?!word|-)/gm)]
  expect(words.length).toBeGreaterThan(10)
  expect(words.length).toBeLessThanOrEqual(20)
})

test('the architecture names only files and folders that are there', () => {
  const paths = [
    ...textOf('docs/architecture.md').matchAll(
      /(?<![\w./-])((?:base|document|tensor|safetensors|graph|kernels|architectures|operators|recipe|store|plan|run|view|cli)\/[a-z/-]*(?:\.ts)?)(?![\w<])/g,
    ),
  ].map(([, path]) => path!)
  expect(paths.length).toBeGreaterThan(40)
  for (const path of paths) expect(existsSync(join(ROOT, 'src', path)), path).toBe(true)
})
