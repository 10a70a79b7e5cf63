import { execFileSync, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HANG } from '../../support/hang.js'

/** The real program, as a shell runs it. */
export const SMELT = `'${process.execPath}' '${fileURLToPath(new URL('../../../dist/bin/smelt.js', import.meta.url))}'`

/** Why there is no real terminal to test in; undefined where there is one. */
export const withoutTmux: string | undefined =
  spawnSync('tmux', ['-V']).status === 0 ? undefined : 'tmux is not installed'

/** A shell in a real terminal. */
export interface RealTerminal {
  /** Types text, or presses a key by tmux's name of it. */
  type(...keys: readonly string[]): void
  /** Types a line and Enter. */
  run(line: string): void
  resize(columns: number, rows: number): void
  /** What is on the screen, without spaces at the ends of lines; with colours where asked. */
  screen(colors?: boolean): string
  /** The screen and all that has scrolled out of it. */
  scrollback(): string
  /** Waits until the screen is as wanted; fails with what it shows instead. */
  until(wanted: (screen: string) => boolean, what: string): Promise<string>
  close(): void
}

let count = 0

/**
 * Opens a terminal of a size with a shell in a folder. The names and values of `env` are added to what the shell
 * inherits.
 */
export const openTerminal = (
  folder: string,
  columns: number,
  rows: number,
  env: Readonly<Record<string, string>> = {},
): RealTerminal => {
  const socket = join(tmpdir(), `smelt-test-${process.pid}-${count++}.tmux`)
  const { CI: _ci, NO_COLOR: _no, FORCE_COLOR: _force, TMUX: _tmux, ...inherited } = process.env
  const tmux = (...args: readonly string[]): string =>
    execFileSync('tmux', ['-u', '-S', socket, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      env: { ...inherited, LANG: 'C.UTF-8', PS1: '$ ', ENV: '', ...env },
    })
  tmux('new-session', '-d', '-s', 's', '-c', folder, '-x', String(columns), '-y', String(rows), 'sh')
  const screen = (colors = false): string => tmux('capture-pane', '-p', '-t', 's', ...(colors ? ['-e'] : []))
  return {
    type: (...keys) => void tmux('send-keys', '-t', 's', ...keys),
    run: (line) => {
      tmux('send-keys', '-t', 's', '-l', line)
      tmux('send-keys', '-t', 's', 'Enter')
    },
    resize: (c, r) => void tmux('resize-window', '-t', 's', '-x', String(c), '-y', String(r)),
    screen,
    scrollback: () => tmux('capture-pane', '-p', '-t', 's', '-S', '-'),
    until: async (wanted, what) => {
      for (const end = performance.now() + 0.9 * HANG; ;) {
        const now = screen()
        if (wanted(now)) return now
        if (performance.now() > end) throw new Error(`the terminal never showed ${what}, but:\n${now}`)
        await new Promise((resolve) => {
          setTimeout(resolve, 50)
        })
      }
    },
    close: () => {
      spawnSync('tmux', ['-S', socket, 'kill-server'])
      rmSync(socket, { force: true })
    },
  }
}
