import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import type { Diagnostic } from '../base/diagnostic.js'
import { escapeJson } from '../base/excerpt.js'
import { readPackage } from '../base/version.js'
import { stateBuild, type StatedOutput } from '../plan/statement.js'
import { writeOutput } from '../safetensors/output.js'
import { encodeLock, lockPath } from '../store/lock.js'
import type { Drafted } from './prepare.js'
import { sha256Of } from './sha256.js'
import type { Built } from './options.js'

/** What an attestation states besides what was built. */
export interface AttestOptions {
  /** Where it is written. */
  readonly path: string
  readonly set: Readonly<Record<string, string>>
  /** The settings of `--set-file`. */
  readonly rows: readonly Readonly<Record<string, string>>[]
  readonly device: string
  /** sha256 of the inputs' files, by path. */
  readonly sha256: ReadonlyMap<string, string>
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/**
 * Writes an in-toto statement with SLSA provenance of what was built, for others to sign and to check. Reads the
 * outputs once more.
 */
export const attest = async (
  { draft, settings, path: recipe }: Drafted,
  built: Built,
  options: AttestOptions,
): Promise<readonly Diagnostic[]> => {
  const { lock } = built
  if (lock === undefined) return []
  const outputs: StatedOutput[] = []
  for (const [i, { paths, digest }] of built.outputs.entries()) {
    const files = []
    for (const file of paths) {
      const found = await sha256Of(file)
      if (typeof found !== 'string') return [found]
      files.push({ name: basename(file), sha256: found })
    }
    outputs.push({ label: draft.outputs[i]!.output.label, files, digest })
  }
  const paths = new Map(draft.models.map((m) => [m.label, m.path] as const))
  const statement = stateBuild({
    version: readPackage().version,
    recipe: { name: basename(recipe), sha256: sha256(settings[0]!.recipe.source.text) },
    overrides: options.set,
    rows: options.rows,
    internal: { device: options.device },
    inputs: Object.entries(lock.inputs).map(([label, { digest, sha256: pinned }]) => ({
      label,
      digest,
      sha256: pinned ?? options.sha256.get(paths.get(label) ?? ''),
    })),
    outputs,
    lock: { name: basename(lockPath(recipe)), sha256: sha256(encodeLock(lock)) },
  })
  const bytes = Buffer.from(`${escapeJson(JSON.stringify(statement, undefined, 2))}\n`)
  return (await writeOutput(options.path, bytes)).diagnostics
}
