import type { Key } from './keys.js'

/** The screens there are. */
export type Page = 'steps' | 'step' | 'log' | 'find' | 'help'

/** What the user looks at. Nothing here changes the build. */
export interface Ui {
  readonly page: Page
  /** The step that is selected. */
  readonly step: number
  /** The line that is selected in a list of tensors; lines back from the end in the log. */
  readonly at: number
  readonly query: string
  /** True while the keys go into the query. */
  readonly typing: boolean
}

/** The initial screen. */
export const FIRST_LOOK: Ui = { page: 'steps', step: 0, at: 0, query: '', typing: false }

/** The sizes for scrolling: steps, lines of the list or log, and lines per page. */
export interface Extent {
  readonly steps: number
  readonly lines: number
  readonly page: number
}

/** An action beyond the screen: stopping the build, or suspending to the shell. */
export type DashboardAction = 'stop' | 'suspend' | undefined

const clamp = (value: number, count: number): number => Math.max(0, Math.min(count - 1, value))

const distance = (key: Key, { page }: Extent): number | undefined => {
  switch (key.type) {
    case 'up':
      return -1
    case 'down':
      return 1
    case 'page-up':
      return -page
    case 'page-down':
      return page
    case 'home':
      return -Infinity
    case 'end':
      return Infinity
    case 'text':
      return { k: -1, j: 1, g: -Infinity, G: Infinity, ' ': page }[key.text]
    default:
      return undefined
  }
}

const move = (ui: Ui, by: number, extent: Extent): Ui => {
  if (ui.page === 'steps') return { ...ui, step: clamp(ui.step + by, extent.steps) }
  // The log is counted from its end, which is where it grows.
  if (ui.page === 'log') return { ...ui, at: clamp(ui.at - by, Math.max(1, extent.lines - extent.page + 1)) }
  return { ...ui, at: clamp(ui.at + by, extent.lines) }
}

const type = (ui: Ui, key: Key, extent: Extent): Ui => {
  switch (key.type) {
    case 'text':
      return { ...ui, query: ui.query + key.text, at: 0 }
    case 'backspace':
      return { ...ui, query: [...ui.query].slice(0, -1).join(''), at: 0 }
    case 'enter':
      return { ...ui, typing: false }
    case 'escape':
      return { ...FIRST_LOOK, step: ui.step }
    case 'up':
    case 'down':
    case 'page-up':
    case 'page-down':
      return move(ui, distance(key, extent)!, extent)
    default:
      return ui
  }
}

const open = (ui: Ui, page: Page): Ui =>
  ui.page === page ? { ...FIRST_LOOK, step: ui.step } : { ...ui, page, at: 0, query: '', typing: page === 'find' }

/** The screen after a key, and the requested action. Pure. */
export const press = (ui: Ui, key: Key, extent: Extent): { readonly ui: Ui; readonly wish: DashboardAction } => {
  if (key.type === 'interrupt') return { ui, wish: 'stop' }
  if (key.type === 'suspend') return { ui, wish: 'suspend' }
  if (ui.typing) return { ui: type(ui, key, extent), wish: undefined }
  const by = distance(key, extent)
  if (by !== undefined) return { ui: move(ui, by, extent), wish: undefined }
  const stay = { ui, wish: undefined } as const
  switch (key.type) {
    case 'escape':
    case 'backspace':
      return { ui: { ...FIRST_LOOK, step: ui.step }, wish: undefined }
    case 'enter':
      return {
        ui: ui.page === 'steps' && extent.steps > 0 ? open(ui, 'step') : ui.page === 'step' ? open(ui, 'step') : ui,
        wish: undefined,
      }
    case 'text':
      break
    default:
      return stay
  }
  switch (key.text) {
    case 'q':
      return { ui, wish: 'stop' }
    case 'l':
      return { ui: open(ui, 'log'), wish: undefined }
    case '?':
    case 'h':
      return { ui: open(ui, 'help'), wish: undefined }
    case '/':
      return { ui: ui.page === 'find' ? { ...ui, typing: true } : open(ui, 'find'), wish: undefined }
    default:
      return stay
  }
}
