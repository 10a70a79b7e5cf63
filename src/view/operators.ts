import type { Operator } from '../operators/define.js'
import { operatorPage } from '../operators/page.js'
import { renderMarkdown } from './markdown.js'
import { paint, wrap, type Look } from './text.js'

const familyOf = (id: string): string => id.split('.')[0]!

/** Every operator with its summary, by family. */
export const renderOperators = (operators: readonly Operator[], look: Look): string => {
  const width = Math.max(...operators.map((o) => o.id.length))
  const families = [...new Set(operators.map((o) => familyOf(o.id)))]
  const lines = families.flatMap((family, i) => [
    ...(i === 0 ? [] : ['']),
    paint(look, 'title', family),
    ...operators.filter((o) => familyOf(o.id) === family).flatMap((o) =>
      wrap(look.color ? o.summary.replaceAll('`', '') : o.summary, look.width - width - 4).map((line, at) => `  ${at === 0 ? paint(look, 'name', o.id) + ' '.repeat(width - o.id.length) : ' '.repeat(width)}  ${line}`)),
  ])
  return `${[...lines, '', '`smelt ops NAME` shows one of them in full.'].join('\n')}\n`
}

/** One operator's page. */
export const renderOperator = (operator: Operator, look: Look): string => renderMarkdown(operatorPage(operator), look)
