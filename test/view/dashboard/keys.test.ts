import { describe, expect, it } from 'vitest'
import { readKeys } from '#src/view/dashboard/keys.js'
import { FIRST_LOOK, press, type Extent, type Ui } from '#src/view/dashboard/ui.js'

const EXTENT: Extent = { steps: 5, lines: 100, page: 20 }

/** The screen after some input, and what was wished for on the way. */
const after = (
  input: string,
  from: Partial<Ui> = {},
  extent: Extent = EXTENT,
): { readonly ui: Ui; readonly wishes: readonly (string | undefined)[] } =>
  readKeys(input).reduce<{ readonly ui: Ui; readonly wishes: readonly (string | undefined)[] }>(
    ({ ui, wishes }, key) => {
      const pressed = press(ui, key, extent)
      return { ui: pressed.ui, wishes: pressed.wish === undefined ? wishes : [...wishes, pressed.wish] }
    },
    { ui: { ...FIRST_LOOK, ...from }, wishes: [] },
  )

describe('keys', () => {
  it('are read from what terminals send for them, in both of their modes', () => {
    expect(readKeys('\u001b[A\u001bOB\u001b[5~\u001b[6~\r\u001b').map((k) => k.type)).toEqual([
      'up',
      'down',
      'page-up',
      'page-down',
      'enter',
      'escape',
    ])
    expect(readKeys('\u0003\u001a\u007f').map((k) => k.type)).toEqual(['interrupt', 'suspend', 'backspace'])
  })

  it('are letters of any script otherwise', () => {
    expect(readKeys('aé日🙂')).toEqual(['a', 'é', '日', '🙂'].map((text) => ({ type: 'text', text })))
  })

  it('are nothing where a sequence means nothing here: a mouse, a function key, a paste', () => {
    expect(readKeys('\u001b[<0;10;20M\u001b[15~\u001b[200~\t\u0000')).toEqual([])
  })
})

describe('moving about', () => {
  it.each(['jj', '\u001b[B\u001b[B'])('goes down over the steps with %j', (input) => {
    expect(after(input).ui.step).toBe(2)
  })

  it('stops at the first and the last step', () => {
    expect(after('kk').ui.step).toBe(0)
    expect(after('jjjjjjjj').ui.step).toBe(4)
    expect(after('G').ui.step).toBe(4)
    expect(after('Gg').ui.step).toBe(0)
    expect(after('j', {}, { steps: 0, lines: 0, page: 1 }).ui.step).toBe(0)
  })

  it('opens a step with Enter, moves over its tensors, and comes back to it with Esc', () => {
    expect(after('j\rjjj').ui).toMatchObject({ page: 'step', step: 1, at: 3 })
    expect(after('j\rjjj\u001b').ui).toEqual({ ...FIRST_LOOK, step: 1 })
    expect(after('j\r\r').ui).toEqual({ ...FIRST_LOOK, step: 1 })
  })

  it('goes back in the log from its end, and no farther than its beginning', () => {
    expect(after('lkk').ui).toMatchObject({ page: 'log', at: 2 })
    expect(after('lkkj').ui.at).toBe(1)
    expect(after('lg').ui.at).toBe(80)
    expect(after('lgG').ui.at).toBe(0)
    expect(after('lg', {}, { ...EXTENT, lines: 5 }).ui.at).toBe(0)
    expect(after('ll').ui.page).toBe('steps')
  })

  it('finds: letters are letters while one types, also those that are keys elsewhere', () => {
    expect(after('/jql?').ui).toMatchObject({ page: 'find', query: 'jql?', typing: true })
    expect(after('/jql?').wishes).toEqual([])
    expect(after('/ab\u007fc\r').ui).toMatchObject({ query: 'ac', typing: false, page: 'find' })
    expect(after('/ab\rjj').ui).toMatchObject({ query: 'ab', at: 2 })
    expect(after('/ab\r/c').ui).toMatchObject({ query: 'abc', typing: true })
    expect(after('/ab\u001b').ui).toEqual(FIRST_LOOK)
  })

  it('shows and hides the help', () => {
    expect(after('?').ui.page).toBe('help')
    expect(after('??').ui.page).toBe('steps')
  })
})

describe('stopping', () => {
  it('is asked for with q, and with Ctrl-C wherever one is', () => {
    expect(after('q').wishes).toEqual(['stop'])
    expect(after('/ab\u0003').wishes).toEqual(['stop'])
    expect(after('\u0003\u0003').wishes).toEqual(['stop', 'stop'])
    expect(after('\u001a').wishes).toEqual(['suspend'])
  })
})
