// `npm run bundle`: puts the compiled program into few files in dist/bin. Node.js takes longer to find and read hundreds
// of small ones than to run most commands. The library (dist/index.js) and the tests use the files as they are compiled.
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, defineConfig } from 'rolldown'

const ROOT = fileURLToPath(new URL('.', import.meta.url))

/** Packages with native code or files of their own, and those that few commands need. */
const EXTERNAL =
  /^(?:@expo-google-fonts|@huggingface|@napi-rs|@resvg|ajv|ink|koffi|onnxruntime-node|react|tar|vega|yauzl)(?:\/|$)/

const packageOf = (path) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path.replaceAll('\\', '/'))?.[0]

/** Writes the licences of the packages that are copied into the files, where any are. */
const licences = (fileName) => ({
  name: 'licences',
  generateBundle(_options, bundle) {
    const paths = Object.values(bundle).flatMap(({ modules }) => Object.keys(modules ?? {}))
    const folders = new Set(paths.map(packageOf).filter((folder) => folder !== undefined))
    const texts = [...folders].sort().map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
      const files = readdirSync(folder).filter((file) => /^licen[cs]e/i.test(file))
      return [
        `${name} ${version} (${license})`,
        ...files.map((file) => readFileSync(join(folder, file), 'utf8').trim()),
      ].join('\n\n')
    })
    if (texts.length > 0) this.emitFile({ type: 'asset', fileName, source: `${texts.join('\n\n----\n\n')}\n` })
  },
})

/**
 * What packages do when they are loaded and smelt needs late or never, as they have it and as it is bundled. V8 checks
 * regular expressions when it reads a file, even in functions that are never called; for this one it loads all emoji,
 * which takes longer than the rest of the file. A segmenter loads the rules of a language.
 */
const LATE = {
  'string-width/index.js': [
    [
      'const rgiEmojiRegex = /^\\p{RGI_Emoji}$/v;',
      "let emoji; const rgiEmojiRegex = { test: (text) => (emoji ??= new RegExp('^\\\\p{RGI_Emoji}$', 'v')).test(text) };",
    ],
    [
      'const segmenter = new Intl.Segmenter();',
      'let graphemes; const segmenter = { segment: (text) => (graphemes ??= new Intl.Segmenter()).segment(text) };',
    ],
  ],
  'commander/lib/command.js': [
    [
      "const childProcess = require('node:child_process');",
      "const childProcess = { spawn: (...args) => require('node:child_process').spawn(...args) };",
    ],
  ],
}

const late = {
  name: 'late',
  transform(code, id) {
    const file = Object.keys(LATE).find((path) => id.replaceAll('\\', '/').endsWith(`/node_modules/${path}`))
    if (file === undefined) return undefined
    return LATE[file].reduce((text, [before, after]) => {
      if (!text.includes(before)) this.error(`${file} has changed: see LATE`)
      return text.replace(before, () => after)
    }, code)
  },
}

/** What all commands need that read files or tell of problems, and nothing that reads recipes. */
const BASE = /dist\/(?:base\/[^/]*|safetensors\/.*)\.js$/

/** What `smelt import` shares with the commands that compute. */
const FILES =
  /dist\/(?:(?:base|safetensors)\/.*|document\/(?:foreign|value|write)|hub\/reference|recipe\/(?:inputs|one-off)|operators\/presets|tensor\/roots)\.js$/

const common = { cwd: ROOT, platform: 'node', external: EXTERNAL, logLevel: 'warn' }
// Comments would be read at every start; licences have files of their own.
const output = { comments: false, dir: 'dist/bin', entryFileNames: '[name].js', chunkFileNames: '[name].js' }

/**
 * What the main module loads in place of the program's: the scripts that the program is bundled into, of which Node.js
 * 20 can keep what V8 compiled. Of modules it cannot.
 */
const SCRIPTS = {
  './program.js': `import { createRequire } from 'node:module'
import { keepScripts } from ${JSON.stringify(join(ROOT, 'dist/cli/scripts.js'))}
const keep = keepScripts()
const program = createRequire(import.meta.url)('./program.cjs')
export const runCommand = async (args) => {
  const code = await program.runCommand(args)
  if (code === 0) keep()
  return code
}`,
  './crash.js': `import { createRequire } from 'node:module'
export const { BUG_EXIT_CODE, renderCrash } = createRequire(import.meta.url)('./crash.cjs')`,
}

/** What loads packages that are modules: Node.js lets only the scripts do so that it has loaded itself. */
const IMPORT = 'import-module.cjs'

const scripts = {
  name: 'scripts',
  renderChunk: (code, { dynamicImports }, { format }) =>
    format === 'cjs'
      ? dynamicImports.reduce(
          (text, id) =>
            text.replaceAll(`import(${JSON.stringify(id)})`, `require("./${IMPORT}")(${JSON.stringify(id)})`),
          code,
        )
      : undefined,
  generateBundle({ format }, bundle) {
    if (format !== 'cjs') return
    if (IMPORT in bundle) this.error(`another file of the bundle is called ${IMPORT}`)
    this.emitFile({ type: 'asset', fileName: IMPORT, source: 'module.exports = (id) => import(id)\n' })
    // A byte a character: read in a fifth of the time. Other characters stand in texts and patterns only.
    const escape = (x) => `\\u${x.charCodeAt(0).toString(16).padStart(4, '0')}`
    for (const file of Object.values(bundle))
      if (file.type === 'chunk') file.code = file.code.replaceAll(/[^\0-\x7f]/g, escape)
  },
  resolveId: (id, importer) =>
    id in SCRIPTS && importer?.replaceAll('\\', '/').endsWith('/dist/cli/main.js') === true ? `\0${id}` : undefined,
  load: (id) => SCRIPTS[id.slice(1)],
}

const bundles = defineConfig([
  {
    ...common,
    input: { smelt: 'dist/cli/main.js' },
    plugins: [scripts],
    output: { ...output, cleanDir: true },
  },
  {
    ...common,
    input: { program: 'dist/cli/program.js', crash: 'dist/cli/crash.js' },
    plugins: [licences('LICENSES.txt'), late, scripts],
    output: {
      ...output,
      format: 'cjs',
      entryFileNames: '[name].cjs',
      chunkFileNames: '[name].cjs',
      codeSplitting: {
        groups: [
          // All that help and the version need; of the rest what commands need that compute nothing and what a task needs,
          // which plans nothing; then all that most commands need.
          { name: 'start', test: /dist\/cli\/program\.js$/, priority: 2 },
          { name: 'base', test: BASE, priority: 1.8 },
          { name: 'task', test: /dist\/(?:cli\/work|cluster\/task)\.js$/, priority: 1.6 },
          { name: 'files', test: FILES, priority: 1.5 },
          { name: 'engine', test: /dist\/run\/(?:build|plan-now|prepare)\.js$/, priority: 1 },
        ],
      },
    },
  },
  // Each thread loads all of it again.
  {
    ...common,
    input: { worker: 'dist/run/worker.js' },
    plugins: [licences('LICENSES.worker.txt'), late],
    output: {
      ...output,
      chunkFileNames: 'worker-[name].js',
    },
  },
])

export default bundles

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const bundle of bundles) await build(bundle)
  chmodSync(join(ROOT, 'dist/bin/smelt.js'), 0o755)
}
