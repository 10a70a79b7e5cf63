import { escapeControls } from '../../base/excerpt.js'
import type { Format } from '../../operators/report-document.js'
import { formatCount } from '../text.js'

const plain = (value: number): string => {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1e6 || size < 1e-3)
    return value
      .toExponential(2)
      .replace(/\.?0+e/, 'e')
      .replace('e+', 'e')
  return String(Number(value.toPrecision(4)))
}

/** A share of 1 in percent. A share that is nearly 0 or 1 is not rounded to 0 % or 100 %. */
const percent = (value: number): string => {
  if (value > 0 && value < 0.0005) return '<0.1%'
  if (value < 1 && value > 0.9995) return '>99.9%'
  return `${Number((100 * value).toFixed(1))}%`
}

/** A cell or fact of a report as text; nothing is a dash. */
export const formatValue = (value: string | number | null, format: Format): string => {
  if (value === null) return '–'
  if (typeof value === 'string') return escapeControls(value)
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞'
  return (format === 'count' ? formatCount(value) : format === 'share' ? percent(value) : plain(value)).replaceAll(
    '-',
    '−',
  )
}

/** A number in as few characters as a small cell has room for. */
export const formatShort = (value: number, format: Format): string => {
  if (!Number.isFinite(value)) return formatValue(value, format)
  if (format === 'share') return percent(value > 0.01 && value < 0.99 ? Math.round(100 * value) / 100 : value)
  if (format === 'count') return formatCount(value)
  const size = Math.abs(value)
  const text =
    value === 0
      ? '0'
      : size >= 1e4 || size < 1e-3
        ? value.toExponential(0).replace('e+', 'e')
        : String(Number(value.toPrecision(2)))
  return text.replaceAll('-', '−')
}

/** The d3 format that axes and legends use for numbers. */
export const axisFormat = (format: Format): string => (format === 'share' ? '.0%' : format === 'count' ? '~s' : '~g')

/** A text for SVG and HTML. */
export const escapeMarkup = (text: string): string =>
  escapeControls(text).replace(/[&<>"']/g, (c) => `&#${c.codePointAt(0)!};`)
