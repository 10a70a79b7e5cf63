import { runWords } from '../base/catalogue/cluster.js'
import { escapeControls } from '../base/excerpt.js'
import type { RunProgress } from '../cluster/progress.js'
import { formatBytes, plural } from './text.js'

/** How far a run on many machines is, in one line. */
export const renderRunProgress = ({ parts, done, bytes, doneBytes, working, again, state }: RunProgress): string =>
  [
    `${done} of ${plural(parts, 'part')}`,
    `${formatBytes(doneBytes)} of ${formatBytes(bytes)}`,
    ...(state === 'open' ? [`${working.length} running`] : [runWords.states[state]]),
    ...(again === 0 ? [] : [`${again} begun again`]),
  ].join(' · ')

/** The machines that work on a run, and on which parts. */
export const renderRunHosts = ({ working }: RunProgress): string => {
  const hosts = new Map<string, number[]>()
  for (const { host, part } of working) hosts.set(host, [...(hosts.get(host) ?? []), part])
  return [...hosts]
    .sort(([x], [y]) => (x < y ? -1 : 1))
    .map(
      ([host, parts]) =>
        `  ${escapeControls(host)}  ${plural(parts.length, 'part')}: ${parts.slice(0, 12).join(', ')}${parts.length > 12 ? ', …' : ''}\n`,
    )
    .join('')
}
