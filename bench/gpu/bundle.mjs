// Packs everything a check needs for a machine that has a GPU and nothing else: no Node.js, no npm, no network. Carried
// in a few pieces, unpacked and run by one command.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { prepareCases } from './prepare.mjs'
import { trimProvider } from './trim-provider.mjs'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const RUN = fileURLToPath(new URL('run.sh', import.meta.url))
const BINARIES = 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64'
const PROVIDER = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so']
const MIB = 2 ** 20
/** Most of one piece, whatever is carried at once. */
const PIECE = 60 * MIB

const has = (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0

/**
 * Packages that the program needs at run time, by their folders, as the lock file tells; those of other platforms are
 * not installed.
 */
const productionFolders = () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
  return Object.entries(packages)
    .filter(([folder, { dev }]) => folder !== '' && dev !== true && existsSync(join(ROOT, folder)))
    .map(([folder]) => folder)
}

/** What of a package is of no use where it only runs. */
const isNeeded = (path) => {
  if (path.includes('/onnxruntime-node/bin/'))
    return path.endsWith('/napi-v6') || path.endsWith('/linux') || path.includes('/linux/x64')
  if (path.endsWith('/onnxruntime-node/bin')) return true
  return !/\.(d\.[cm]?ts|map|md|markdown)$/.test(path)
}

const copyPackages = (to) => {
  for (const folder of productionFolders()) {
    cpSync(join(ROOT, folder), join(to, folder), {
      recursive: true,
      dereference: true,
      // A package's own node_modules are packages of the lock file themselves; the provider travels apart.
      filter: (path) =>
        !path.slice(join(ROOT, folder).length).includes('/node_modules') &&
        !PROVIDER.some((name) => path.endsWith(name)) &&
        isNeeded(path),
    })
  }
}

/** The program, what it needs, the checks and their data, as they lie in the repo. */
const copyProgram = (to) => {
  for (const part of ['dist', 'schema', 'package.json', 'LICENSE', 'bench/gpu'])
    cpSync(join(ROOT, part), join(to, part), { recursive: true, filter: (path) => !path.endsWith('.d.ts') })
  for (const file of readdirSync(join(ROOT, 'bench')).filter((name) => name.endsWith('.mjs')))
    cpSync(join(ROOT, 'bench', file), join(to, 'bench', file))
  cpSync(join(ROOT, 'test/data/arch/sd15.json.gz'), join(to, 'test/data/arch/sd15.json.gz'))
  copyPackages(to)
}

const providerFolder = (named) => {
  const folder = named === undefined ? join(ROOT, BINARIES) : resolve(named)
  const missing = PROVIDER.find((name) => !existsSync(join(folder, name)))
  if (missing !== undefined)
    throw new Error(
      `${folder} has no ${missing}: run \`npm run cuda\` first, or name a folder that has it with --provider`,
    )
  return folder
}

/**
 * The provider must be that of the ONNX Runtime that is packed: nothing else would tell, and it would compute garbage.
 */
const checkVersion = (file, named) => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'node_modules/onnxruntime-node/package.json'), 'utf8'))
  if (!file.includes(Buffer.from(`\0${version}\0`)))
    throw new Error(`${named} is not the provider of ONNX Runtime ${version}, which is installed`)
}

const copyProvider = (to, { provider, arch, say }) => {
  const folder = providerFolder(provider)
  mkdirSync(join(to, BINARIES), { recursive: true })
  const path = realpathSync(join(folder, PROVIDER[0]))
  const library = readFileSync(path)
  checkVersion(library, path)
  const { kept, zeroed, archs } = trimProvider(library, arch)
  say(
    `the provider has GPU code for ${archs.join(', ')}: kept ${(kept / 1e6).toFixed(0)} MB for ${arch}, left out ${(zeroed / 1e6).toFixed(0)} MB`,
  )
  writeFileSync(join(to, BINARIES, PROVIDER[0]), library)
  cpSync(realpathSync(join(folder, PROVIDER[1])), join(to, BINARIES, PROVIDER[1]))
}

const ended = (child, name) =>
  new Promise((done, fail) => {
    child.on('error', fail)
    child.on('close', (code) => (code === 0 ? done() : fail(new Error(`${name} ended with ${code}`))))
  })

/** A folder as one compressed archive, sorted and without times, so that the same files give the same archive. */
const archive = async (folder, path) => {
  const tar = spawn(
    'tar',
    ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-C', folder, '-cf', '-', '.'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const xz = spawn('xz', ['-T0', '-6', '-c'], { stdio: ['pipe', 'pipe', 'inherit'] })
  await Promise.all([
    ended(tar, 'tar'),
    ended(xz, 'xz'),
    pipeline(tar.stdout, xz.stdin),
    pipeline(xz.stdout, createWriteStream(path)),
  ])
}

/** Cuts a file into pieces of at most {@link PIECE}, named in order; gives their names, bytes and digests. */
const cut = async (path, folder, name) => {
  const pieces = []
  const { size } = statSync(path)
  for (let begin = 0; begin < size; begin += PIECE) {
    const piece = `${name}.tar.xz.${String(pieces.length).padStart(2, '0')}`
    const digest = createHash('sha256')
    const from = createReadStream(path, { start: begin, end: Math.min(begin + PIECE, size) - 1 })
    from.on('data', (bytes) => digest.update(bytes))
    await pipeline(from, createWriteStream(join(folder, piece)))
    pieces.push({ piece, bytes: Math.min(PIECE, size - begin), sha256: digest.digest('hex') })
  }
  return pieces
}

/** Puts pieces together that may be carried at once, in order, none above the limit. */
const groupsOf = (pieces, limit) =>
  pieces.reduce((groups, piece) => {
    const last = groups.at(-1)
    const sum = (last ?? []).reduce((n, { bytes }) => n + bytes, 0)
    if (last === undefined || sum + piece.bytes > limit) groups.push([piece])
    else last.push(piece)
    return groups
  }, [])

/**
 * Writes a bundle: folders `1`, `2`, … of which each is carried by itself and holds `run.sh`, the list of all pieces
 * with their digests, and its pieces.
 * `sh run.sh` in each of them, in any order; the one that finds all the others unpacked runs the check.
 */
export const makeBundle = async ({ bundle, provider, arch, limit }) => {
  const say = (line) => process.stderr.write(`${line}\n`)
  for (const program of ['tar', 'xz'])
    if (!has(program)) throw new Error(`\`${program}\` is needed to pack, and is not there: install it`)
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('a bundle takes the Node.js and the packages of this machine with it: make it on Linux x64')
  const target = resolve(bundle)
  if (existsSync(target) && readdirSync(target).length > 0 && !existsSync(join(target, '1/pieces.txt')))
    throw new Error(`${target} is not empty and no bundle: name another folder`)
  providerFolder(provider)
  const stage = mkdtempSync(join(tmpdir(), 'smelt-bundle-'))
  try {
    const parts = {
      node: (to) => cpSync(process.execPath, join(to, 'bin/node')),
      smelt: copyProgram,
      cases: async (to) => say(`cases: ${JSON.stringify(await prepareCases(join(to, 'cases')))}`),
      provider: (to) => copyProvider(to, { provider, arch, say }),
    }
    const pieces = []
    for (const [name, fill] of Object.entries(parts)) {
      const folder = join(stage, name)
      mkdirSync(folder)
      await fill(folder)
      const file = join(stage, `${name}.tar.xz`)
      await archive(folder, file)
      rmSync(folder, { recursive: true })
      const made = await cut(file, stage, name)
      say(`${name}: ${(statSync(file).size / MIB).toFixed(1)} MiB`)
      rmSync(file)
      pieces.push(...made)
    }
    rmSync(target, { recursive: true, force: true })
    const list = pieces.map(({ piece, sha256 }) => `${sha256}  ${piece}\n`).join('')
    groupsOf(pieces, limit * MIB).forEach((group, i) => {
      const folder = join(target, String(i + 1))
      mkdirSync(folder, { recursive: true })
      cpSync(RUN, join(folder, 'run.sh'))
      writeFileSync(join(folder, 'pieces.txt'), list)
      for (const { piece } of group) cpSync(join(stage, piece), join(folder, piece))
      say(`${folder}: ${group.map(({ piece, bytes }) => `${piece} (${(bytes / MIB).toFixed(1)} MiB)`).join(', ')}`)
    })
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}
