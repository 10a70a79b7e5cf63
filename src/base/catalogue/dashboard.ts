/** What the dashboard and the report on a build say about progress. Figures are passed already formatted. */
export const progressWords = {
  back: (lines: string): string => `scrolled back ${lines}`,
  copied: (count: string): string => `${count} copied from inputs`,
  downloading: (repository: string): string => `downloading ${repository}`,
  downloadOf: (repository: string, files: number, bytes: string): string =>
    `downloading ${files} ${files === 1 ? 'file' : 'files'} of ${repository}, ${bytes}`,
  notFinished: (time: string): string => `not finished after ${time}`,
  problems: (count: number): string => `${count} ${count === 1 ? 'problem' : 'problems'}, see the log`,
  report: (path: string, bytes: string): string => `wrote ${path}: ${bytes}, a report`,
  reused: (count: string): string => `${count} reused from the last build`,
  started: (recipe: string, device: string, workers: string, read: string, written: string): string =>
    `started ${recipe} on ${device} with ${workers}: reads ${read}, writes ${written}`,
  stopping: 'stopping after this chunk',
  throughput: 'read and written, last minutes',
  upToDate: (path: string): string => `${path} is up to date`,
  waiting: 'waiting for the plan',
  workerTime: (time: string): string => `${time} of worker time`,
} as const

/** The help of the dashboard. */
export const dashboardHelp = {
  keys: {
    move: 'move over steps and lines',
    page: 'move by pages, to the first, to the last',
    open: 'the tensors and numbers of a step',
    log: 'the log',
    find: 'find a tensor by part of its name, or by its step',
    back: 'back to the steps',
    shell: 'suspend to the shell; `fg` returns',
    help: 'this page',
  },
  output: 'an output or a report',
  reused: 'reused from the last build',
  times: [
    'Times of steps and tensors are worker time, summed over all workers.',
    'Steps that make a tensor together run as one program and share its time by their operations.',
  ],
} as const

/** What the report on a build says about its figures. */
export const reportWords = {
  cached: 'cached thresholds and sums',
  copied: 'tensors copied from inputs',
  pause: 'longest pause of the main thread',
  reused: 'tensors reused from the last build',
  seconds:
    'Seconds are worker time. Steps that made a tensor together run as one program and share its time by their number of operations.',
} as const

/** What a chart shows, for screen readers, and the line in place of a table too long for a picture. */
export const chartWords = {
  curve: (points: string): string => `Curve over ${points}`,
  graph: (steps: string): string => `Graph of ${steps}; the table of steps has its numbers.`,
  heatmap: (rows: number, columns: number, low: string, high: string): string =>
    `Heat map of ${rows} rows and ${columns} columns, from ${low} to ${high}`,
  histogram: (low: string, high: string): string => `Histogram from ${low} to ${high}`,
  longTable: (rows: string): string => `${rows}, which the HTML, JSON and text forms of this report list`,
  tags: (tags: string): string => `The most frequent of ${tags}, as bars`,
} as const
