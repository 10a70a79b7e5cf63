/** Something of the recipe that is written once, after what it needs: its name is known then. */
export interface Task {
  /** What must be written before; asked once. */
  needs(): readonly Task[]
  /** Writes it, given the names of what it needs, and gives its own. */
  write(names: readonly string[]): string
}

/** A task that needs nothing, or only what is given. */
export const task = (write: (names: readonly string[]) => string, needs: readonly Task[] = []): Task => ({
  needs: () => needs,
  write,
})

/**
 * Gives tasks their names, each written once. Without recursion, since a workflow can be a chain of thousands of nodes.
 * Tasks must not need each other in a circle.
 */
export const createWriter = (): ((wanted: Task) => string) => {
  const names = new Map<Task, string>()
  return (wanted) => {
    const stack: { readonly task: Task; readonly needs: readonly Task[] }[] = [{ task: wanted, needs: wanted.needs() }]
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.needs.find((need) => !names.has(need))
      if (names.has(top.task)) stack.pop()
      else if (next !== undefined) stack.push({ task: next, needs: next.needs() })
      else {
        names.set(top.task, top.task.write(top.needs.map((need) => names.get(need)!)))
        stack.pop()
      }
    }
    return names.get(wanted)!
  }
}
