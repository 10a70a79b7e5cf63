import { inspectWords } from '../base/catalogue/screens.js'
import { greatest } from '../base/lists.js'
import type { Operator } from '../operators/operator.js'
import { operatorPage } from '../operators/page.js'
import { renderMarkdown } from './markdown.js'
import { paint, wrap, type Look } from './text.js'

const familyOf = (id: string): string => id.split('.')[0]!

/** Every operator with its summary, by family. */
export const renderOperators = (operators: readonly Operator[], look: Look): string => {
  const width = greatest(operators.map((o) => o.id.length))
  const families = [...new Set(operators.map((o) => familyOf(o.id)))]
  const row = ({ id, summary }: Operator): string[] =>
    wrap(look.color ? summary.replaceAll('`', '') : summary, look.width - width - 4).map(
      (line, i) => `  ${paint(look, 'name', (i === 0 ? id : '').padEnd(width))}  ${line}`,
    )
  const lines = families.flatMap((family, i) => [
    ...(i === 0 ? [] : ['']),
    paint(look, 'title', family),
    ...operators.filter((o) => familyOf(o.id) === family).flatMap(row),
  ])
  return `${[...lines, '', inspectWords.oneOperator].join('\n')}\n`
}

/** One operator's page. */
export const renderOperator = (operator: Operator, look: Look): string => renderMarkdown(operatorPage(operator), look)
