import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import type { CudaPlaces } from '../run/devices/places.js'

const isWord = (text: string | undefined): text is string => text !== undefined && text !== ''

/** Folders of Python environments: the active ones, that of `python3`, those of pyenv, and the user's site packages. */
const pythonsOf = (env: Readonly<Record<string, string | undefined>>, home: string): string[] => {
  const programs = (env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => isAbsolute(folder) && existsSync(join(folder, 'python3')))
  // What pyenv puts on the path are stand-ins, beside no packages.
  const versions = join(env['PYENV_ROOT'] ?? join(home, '.pyenv'), 'versions')
  const pyenv = existsSync(versions)
    ? readdirSync(versions)
        .sort()
        .reverse()
        .map((version) => join(versions, version))
    : []
  return [
    ...new Set(
      [env['VIRTUAL_ENV'], env['CONDA_PREFIX'], ...programs.map(dirname), ...pyenv, join(home, '.local')].filter(
        isWord,
      ),
    ),
  ]
}

/**
 * Where to look for CUDA, as the environment says: SMELT_CUDA_LIBRARIES, XDG_DATA_HOME, CUDA_HOME, CUDA_PATH,
 * VIRTUAL_ENV, CONDA_PREFIX, and where `python3` lies.
 */
export const placesOf = (env: Readonly<Record<string, string | undefined>>, home: string = homedir()): CudaPlaces => {
  const { SMELT_CUDA_LIBRARIES: libraries, XDG_DATA_HOME: data } = env
  return {
    ...(isWord(libraries) ? { libraries } : {}),
    data: join(isWord(data) && isAbsolute(data) ? data : join(home, '.local', 'share'), 'smelt', 'cuda'),
    toolkits: [...new Set([env['CUDA_HOME'], env['CUDA_PATH']].filter(isWord))],
    pythons: pythonsOf(env, home),
  }
}

/** Where to look for CUDA on this machine, for this user. */
export const cudaPlaces = (): CudaPlaces => placesOf(process.env)
