/** How a number is to be read: counted things, a share of 1, any number, or text as it is. */
export type Format = 'text' | 'count' | 'share' | 'number'

/** One thing that a report says in words. */
export type Fact = {
  readonly label: string
  readonly value: string | number
  readonly format: Format
}

/**
 * A column of a table. What is wider than a page allows is shortened, with the whole at hand, or wrapped between words;
 * names stay whole.
 */
export type Column = {
  readonly label: string
  readonly format: Format
  readonly long?: 'shorten' | 'wrap'
}

/** A row of a table, its cells in the order of the columns; rows of one `group` stand together. */
export type Row = {
  readonly group?: string
  readonly cells: readonly (string | number | null)[]
}

/** A number with a name. */
export type Labelled = {
  readonly label: string
  readonly value: number
}

/** One part of a report. Nothing in it says how it is drawn. */
export type Section = { readonly title: string; readonly note?: string } & (
  | { readonly type: 'facts'; readonly facts: readonly Fact[] }
  | { readonly type: 'table'; readonly columns: readonly Column[]; readonly rows: readonly Row[] }
  /**
   * `values` by row, then column; null where there is nothing. `low` and `high` are the ends of the scale. `axes` names
   * rows and columns.
   */
  | {
      readonly type: 'heatmap'
      readonly axes: readonly [string, string]
      readonly rows: readonly string[]
      readonly columns: readonly string[]
      readonly values: readonly (readonly (number | null)[])[]
      readonly format: Format
      readonly low: number
      readonly high: number
    }
  /** Points in the order of the network; those without a number are left out of the line. */
  | {
      readonly type: 'curve'
      readonly axes: readonly [string, string]
      readonly format: Format
      readonly points: readonly { readonly label: string; readonly value: number | null }[]
      /** Stretches of the points with a name, from one index to before another. */
      readonly stretches?: readonly { readonly label: string; readonly from: number; readonly to: number }[]
    }
  | {
      readonly type: 'bars'
      readonly axes: readonly [string, string]
      readonly bars: readonly Labelled[]
      readonly format: Format
    }
  /** Counts in bins of equal width between `low` and `high`. */
  | {
      readonly type: 'histogram'
      readonly axis: string
      readonly low: number
      readonly high: number
      readonly counts: readonly number[]
    }
  | { readonly type: 'tags'; readonly tags: readonly { readonly label: string; readonly count: number }[] }
)

/**
 * A report as data: what it is about, what matters most, and its parts. Every view draws from this and from nothing
 * else. Types and not interfaces, since only those are known to be plain data.
 */
export type ReportDocument = {
  readonly title: string
  /** What is reported on. */
  readonly subject: string
  readonly facts: readonly Fact[]
  readonly sections: readonly Section[]
}

/** The forms in which a report can be written, which are also the endings of the files. */
export const REPORT_FORMATS = ['txt', 'json', 'svg', 'png', 'html'] as const
export type ReportFormat = (typeof REPORT_FORMATS)[number]

/** Columns of one format. */
export const columnsOf = (format: Format, ...labels: readonly string[]): readonly Column[] =>
  labels.map((label) => ({ label, format }))

/** What messages call a value, without the marks of Markdown. */
export const plainLabel = (label: string): string => label.replaceAll('`', '')

/** A count as a fact. */
export const count = (label: string, value: number): Fact => ({ label, value, format: 'count' })
/** A share of 1 as a fact. */
export const share = (label: string, value: number): Fact => ({ label, value, format: 'share' })
/** A number as a fact. */
export const figure = (label: string, value: number): Fact => ({ label, value, format: 'number' })
/** A text as a fact. */
export const words = (label: string, value: string): Fact => ({ label, value, format: 'text' })
