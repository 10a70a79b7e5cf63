import type { RunProgress } from '../cluster/progress.js'
import { createTaskFollower, renderRunScreen } from '../view/run-tasks.js'
import type { Console } from './console.js'
import { enterTerminal } from './terminal.js'

/** A screen of a run on the terminal of this process. */
export interface RunScreenHandle {
  show(progress: RunProgress): void
  /** Gives the terminal back. May be called more than once. */
  leave(): void
}

/** To the upper left corner; the rest of a line; the rest of the screen. */
const [HOME, END_OF_LINE, REST] = ['\u001b[H', '\u001b[K', '\u001b[J']

/** Opens the screen of a run; `close` is called for `q`, Escape and Ctrl-C. */
export const openRunScreen = async (
  console: Console,
  run: string,
  name: string,
  close: () => void,
): Promise<RunScreenHandle> => {
  const tasksOf = createTaskFollower(run)
  let last: RunProgress | undefined
  const draw = (): void => {
    if (last === undefined) return
    const { size, color, unicode } = terminal.port
    const lines = renderRunScreen(name, last, tasksOf(last), { ...size(), color, unicode })
    terminal.port.write(`${HOME}${lines.map((line) => line + END_OF_LINE).join('\r\n')}${REST}`)
  }
  const terminal = await enterTerminal(console.look('err').color, {
    keys: (keys) => {
      for (const key of keys) {
        if (key.type === 'suspend') terminal.suspend()
        else if (key.type === 'interrupt' || key.type === 'escape' || (key.type === 'text' && key.text === 'q')) close()
      }
    },
    resized: draw,
  })
  return {
    show: (progress) => {
      last = progress
      draw()
    },
    leave: terminal.leave,
  }
}
