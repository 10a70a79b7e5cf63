import tab from '@bomb.sh/tab/commander'
import type { Command } from 'commander'
import { operators } from '../operators/index.js'

/** Commands whose first word is an operator; those that are true also know it by its aliases. */
const TAKING_OPERATORS = { run: false, ops: true } as const

/**
 * Adds `smelt completion SHELL`, which prints a script for the shell, and the hidden command by which such a script
 * asks what may come next. `typed` is the start of the word to complete.
 * Operators are completed where one is wanted; files are left to the shell.
 */
export const addCompletion = (program: Command, description: string, typed: string): void => {
  const completion = tab(program, { completionCommandName: 'completion' })
  program.commands.find((c) => c.name() === 'completion')?.description(description)
  for (const [name, byAlias] of Object.entries(TAKING_OPERATORS)) {
    const argument = [...(completion.commands.get(name)?.arguments.values() ?? [])][0]
    if (argument === undefined) continue
    argument.handler = (complete) => {
      for (const { id, summary } of operators) complete(id, summary.replaceAll('`', ''))
      // Aliases are many: they are offered to those who begin to type one.
      if (!byAlias || typed === '') return
      for (const { id, aliases = [] } of operators)
        for (const alias of aliases.filter((a) => !a.name.includes(' '))) complete(alias.name, `${alias.from}: ${id}`)
    }
  }
}
