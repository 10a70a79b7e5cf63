import tab from '@bomb.sh/tab/commander'
import type { Command } from 'commander'
import { operators } from '../operators/index.js'

/** Commands whose first word is an operator. */
const TAKING_OPERATORS = ['run', 'ops']

/**
 * Adds `smelt completion SHELL`, which prints a script for the shell, and the hidden command by which such a script
 * asks what may come next.
 * Operators are completed where one is wanted; files are left to the shell.
 */
export const addCompletion = (program: Command, description: string): void => {
  const completion = tab(program, { completionCommandName: 'completion' })
  program.commands.find((c) => c.name() === 'completion')?.description(description)
  for (const name of TAKING_OPERATORS) {
    const argument = [...(completion.commands.get(name)?.arguments.values() ?? [])][0]
    if (argument !== undefined) {
      argument.handler = (complete) => {
        for (const { id, summary } of operators) complete(id, summary.replaceAll('`', ''))
      }
    }
  }
}
