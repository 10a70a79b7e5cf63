import { unknownOperator } from '../base/catalogue/cli.js'
import { exitCode } from '../base/diagnostic.js'
import { operators } from '../operators/index.js'
import { operatorLike } from '../recipe/advice.js'
import { renderOperator, renderOperators } from '../view/operators.js'
import type { Console } from './console.js'

const [FAMILIES, SHORT] = [0, 1].map((part) => operators.map((o) => o.id.split('.')[part]!)) as [string[], string[]]

/** `smelt ops`: all operators, those of a family, or one in full; `ties` is as good as `merge.ties`. */
export const ops = (console: Console, name: string | undefined): number => {
  const look = console.look('out')
  const family = name === undefined ? operators : operators.filter((_, i) => FAMILIES[i] === name)
  const one = family.length > 0 ? undefined : operators.find((o, i) => o.id === name || SHORT[i] === name)
  if (one !== undefined) console.out(renderOperator(one, look))
  else if (family.length > 0) console.out(renderOperators(family, look))
  else {
    const problem = unknownOperator(
      name!,
      name!.includes('.') ? operators.map((o) => o.id) : new Set([...FAMILIES, ...SHORT]),
      operatorLike(name!),
    )
    console.tell([problem])
    return exitCode([problem])
  }
  return 0
}
