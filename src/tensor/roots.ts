/**
 * Where programs keep a diffusion model: checkpoint files, ComfyUI in memory, rarer layouts, and files with nothing
 * else.
 * A root that begins with another comes before it.
 */
export const DIFFUSION_ROOTS = ['model.diffusion_model', 'diffusion_model', 'model.model', 'net', ''] as const

/** A path below a root. */
export const under = (root: string, path: string): string => (root === '' ? path : `${root}.${path}`)

/** The part of a name after a root; undefined for a name without that root. */
export const below = (root: string, name: string): string | undefined =>
  root === '' ? name : name.startsWith(`${root}.`) ? name.slice(root.length + 1) : undefined

/** The root of most names, whatever the network; empty if no name has one. */
export const findRoot = (names: Iterable<string>): string => {
  const counts = new Map<string, number>()
  for (const name of names) {
    const start = STARTS.find((candidate) => name.startsWith(candidate))
    if (start !== undefined) counts.set(start, (counts.get(start) ?? 0) + 1)
  }
  return [...counts].sort(([, x], [, y]) => y - x)[0]?.[0].slice(0, -1) ?? ''
}

/** What names below the roots begin with. */
const STARTS = DIFFUSION_ROOTS.filter((root) => root !== '').map((root) => `${root}.`)

/** A path as any program shows it, below the root that it begins with, if it begins with one. */
export const withoutRoot = (path: string): string => {
  const root = DIFFUSION_ROOTS.find((candidate) => candidate !== '' && `${path}.`.startsWith(`${candidate}.`))
  return root === undefined ? path : path.slice(root.length + 1)
}
