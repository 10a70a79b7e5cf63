import { ABSENT } from './absent.js'
import { COMMON, groupAliases } from './aliases.js'
import type { Alias } from './definition.js'
import type { Operator } from './operator.js'

/** The order of the tools; those that are not listed follow. */
const FIRST = ['mergekit', 'sd-mecha', 'MergeLM', 'supermerger', 'AUTOMATIC1111 web UI', 'ComfyUI']

const INTRODUCTION = `# Methods of other tools

Which operator is which method of another tool or paper, and the settings that make it the same. \`smelt ops NAME\` says the same of one name, and
\`smelt ops --search WORDS\` looks for words.

Three differences hold everywhere:

- smelt computes in float32 and rounds once, when it writes; sums and dot products over whole tensors are in float64. Tools that compute in the dtype of the
  models (mergekit unless \`dtype: float32\` is set) round after every operation.
- Random numbers depend on the seed, the step, the tensor and the position alone, so no build repeats the draws of another tool. Where a mask is given, as in the
  operators with \`kept\`, results can be compared number by number.
- Shares and quantiles are exact, and of equal magnitudes those of the lower index are kept, unless the operator has a choice for it.

[bench/parity](../bench/parity/README.md) compares the results with those of mergekit and sd-mecha, number by number, and random methods by
statistics over 200 seeds. The formula, the source and the known
differences of each operator are on [its page](operators.md).
`

const cell = (text: string): string => text.replaceAll('|', '\\|')

/** The page of other tools' methods, in Markdown. */
export const methodsDocument = (operators: readonly Operator[]): string => {
  const rows = operators.flatMap(({ id, aliases = [] }) => groupAliases(aliases).map((group) => ({ id, ...group })))
  const tools = [...new Set(rows.map(({ from }) => from))].filter((from) => from !== COMMON)
  const rank = (from: string): number => (FIRST.includes(from) ? FIRST.indexOf(from) : FIRST.length)
  const sorted = tools.sort((x, y) => rank(x) - rank(y) || (x.toLowerCase() < y.toLowerCase() ? -1 : 1))
  const papers = sorted.filter((from) => from.startsWith('arXiv'))
  const section = (title: string, of: readonly string[]): readonly string[] => [
    `## ${title}`,
    '',
    `| there | here | settings |`,
    '|---|---|---|',
    ...rows
      .filter(({ from }) => of.includes(from))
      .map(
        ({
          from,
          names,
          id,
          settings = '',
        }: { readonly id: string; readonly names: readonly string[] } & Omit<Alias, 'name'>) =>
          `| ${names.map((name) => `\`${cell(name)}\``).join(', ')}${of.length > 1 ? ` (${from})` : ''} | [\`${id}\`](operators.md#${id.replaceAll('.', '')}) | ${cell(settings)} |`,
      ),
    '',
  ]
  return [
    INTRODUCTION,
    ...sorted.filter((from) => !papers.includes(from)).flatMap((from) => section(from, [from])),
    ...section('Papers', papers),
    '## What is not here',
    '',
    '| method | of | why |',
    '|---|---|---|',
    ...ABSENT.map(({ name, from, why }) => `| \`${name}\` | ${from} | ${why} |`),
    '',
  ].join('\n')
}
