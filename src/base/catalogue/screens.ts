/** What `smelt plan`, and a build before it begins, say beside their columns. Figures are passed already formatted. */
export const planWords = {
  cached: (count: string): string => `${count} thresholds and sums from earlier builds`,
  cost: (read: string, written: string, memory: string): string =>
    `reads ${read}, writes ${written}, about ${memory} of memory`,
  deviceMemory: (most: string, free: string, chunk: string): string =>
    `at most about ${most} of ${free} free, in chunks of ${chunk} elements`,
  deviceRoom: (most: string, free: string): string => `at most about ${most} of ${free} free memory`,
  download: (bytes: string): string => `${bytes} into the Hugging Face cache; this plan is made of their headers`,
  hashed: (bytes: string): string => `${bytes} of input data that is read only to hash it for the lock`,
  kept: 'already up to date',
  notComputed: (tensors: string, skipped: string): string =>
    `${tensors}, copied as they are; ${skipped} of the models not read`,
  report: (from: string, tensors: string | undefined): string =>
    `from ${from}: a report${tensors === undefined ? '' : ` over ${tensors}`}`,
  reused: (tensors: string): string => `${tensors} from earlier builds`,
  sweeps: (count: number): string => `in up to ${count} passes over a tensor`,
  unscaled: (tensors: string, one: boolean): string =>
    `${tensors} stored with scales ${one ? 'becomes' : 'become'} plain numbers`,
  unused: (step: string): string => `${step}, which nothing uses`,
  vocabulary: (from: 'union' | 'base' | 'model', owner: string, tokens: string, added: string, rows: string): string =>
    `${from === 'union' ? `the tokens of all models, in the tokenizer of ${owner}` : `the tokenizer of ${owner}`}: ${tokens}${added === '' ? '' : `, ${added} of them added`}; ${rows}`,
  rowsFrom: {
    own: 'of its own',
    copied: 'of another model',
    averaged: 'averaged over other models',
    zero: 'of 0',
    unused: 'of no token',
  },
} as const

/** What commands say when they are done. */
export const doneWords = {
  cacheHolds: {
    file: 'digests of a file',
    mask: 'bits of a mask',
    outcomes: 'thresholds and sums',
    other: 'unfinished',
  },
  cacheFreed: (bytes: string, folder: string): string => `removed ${bytes} from ${folder}`,
  moved: (read: string, written: string): string => `read ${read} and wrote ${written} of tensors`,
  movedByTasks: 'tasks computed the parts, which are in place now',
  notMoved: 'nothing to compute',
  nothingToRepair: (tensors: string): string => `nothing to repair in ${tensors}`,
  reused: (what: readonly string[]): string => `reused ${what.join(' and ')} from earlier builds`,
  verified: (files: string, one: boolean, read: string, time: string): string =>
    `${files} ${one ? 'matches' : 'match'} the lock: read ${read} in ${time}`,
  watching: (files: string): string => `watching ${files}; rebuilding on change (Ctrl-C to stop)`,
} as const

/** What `smelt doctor` and `smelt cuda` say about CUDA. */
export const cudaWords = {
  correct: (pins: boolean): string => `computes correctly; memory can${pins ? '' : 'not'} be page-locked`,
  device: (name: string, capability: string, total: string, free: string): string =>
    `${name}, compute ${capability}, ${total}, ${free} free`,
  downloading: (what: string, bytes: string): string => `downloading ${what}, up to ${bytes}`,
  noProvider: (needed: string): string => `none; the one for ONNX Runtime ${needed} is needed`,
  onSystem: 'in the system’s library path',
  unpacking: (name: string, source: string, bytes: string): string => `unpacking ${name} of ${source}, ${bytes}`,
  unusable: 'must not be used',
  usableBut: (devices: string): string => `usable, except ${devices}`,
} as const

/** What `smelt inspect` and `smelt ops` say beside their columns, in Markdown where it is about operators. */
export const inspectWords = {
  alias: ({
    names,
    from,
    settings,
  }: {
    readonly names: readonly string[]
    readonly from: string
    readonly settings?: string
  }): string =>
    `${names.map((name) => `\`${name}\``).join(', ')} in ${from}${settings === undefined ? '' : `: ${settings}`}`,
  notHere: (why: string): string => `not here: it ${why}`,
  elsewhere: (name: string): string => `What other tools call \`${name}\`, and how to get it here:`,
  moreFound: (operators: string): string => `${operators} found; add a word to narrow the search.`,
  noArchitecture: (seen: string): string => `none that smelt knows${seen === '' ? '' : `; ${seen}`}`,
  onlyScaled: 'only those with scales can be merged',
  oneOperator: '`smelt ops NAME` shows one of them in full.',
} as const

/** The words of a table of outputs. */
export const OUTPUT_TABLE = {
  title: 'Outputs of a build',
  section: 'Outputs',
  columns: { output: 'output', path: 'path', bytes: 'bytes', digest: 'digest' },
} as const

/** What the report on a build on many machines says. */
export const RUN_ACCOUNT = {
  title: 'Build on many machines',
  subject: 'The attempt that counted; any other machine gives the same bytes.',
  sections: { machines: 'Machines', parts: 'Parts', copies: 'Copies of inputs on the machines’ disks' },
  facts: { run: 'run', parts: 'parts', again: 'attempts beyond the first', time: 'time of all parts together' },
  columns: {
    host: 'machine',
    device: 'device',
    reason: 'why that device',
    gpus: 'GPUs given',
    job: 'job',
    part: 'part',
    parts: 'parts',
    did: 'did',
    attempts: 'attempts',
    seconds: 'seconds',
    read: 'bytes read',
    written: 'bytes written',
    copied: 'bytes copied',
    found: 'bytes found there',
    unstaged: 'why not all',
  },
  did: { measures: 'measured', tensors: 'wrote tensors', report: 'drew a report' },
  moved: (read: string, written: string): string => `read ${read}, wrote ${written}`,
  staged: (copied: string, found: string): string => `; copied ${copied} to its disk, found ${found} there`,
} as const

/** What the screen of a run on many machines says. */
export const RUN_SCREEN = {
  keys: 'q closes this; the run goes on',
  part: (part: number, attempt: number): string => `part ${part}${attempt > 1 ? `, attempt ${attempt}` : ''}`,
  of: (moved: string, bytes: string): string => `${moved} of ${bytes}`,
  silent: (time: string): string => `silent for ${time}`,
  more: (tasks: number): string => `and ${tasks} more`,
} as const
