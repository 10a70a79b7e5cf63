/** Seconds in few characters that do not jump about: `0:07`, `12:34`, `1:02:03`. */
export const clock = (seconds: number): string => {
  const whole = Math.max(0, Math.floor(seconds))
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (n: number): string => String(n).padStart(2, '0')
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

/** Worker time, short: `0.8s`, `12s`, `3:20`. */
export const shortSeconds = (seconds: number): string =>
  seconds < 0.05
    ? ''
    : seconds < 9.95
      ? `${seconds.toFixed(1)}s`
      : seconds < 99.5
        ? `${Math.round(seconds)}s`
        : clock(seconds)
