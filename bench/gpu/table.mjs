// The record of a check as a short text.

const digits = (x) => (x === undefined || Number.isNaN(x) ? '–' : x >= 9.995 ? x.toFixed(1) : x.toFixed(2))
const rate = (x) => (x === undefined ? '–' : `${(x / 1e9).toFixed(1)} GB/s`)
const textOf = (problem) => (typeof problem === 'string' ? problem : (problem?.message ?? JSON.stringify(problem)))

const align = (rows) => {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)))
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i])))
      .join('  ')
      .trimEnd(),
  )
}

const verdict = (met) => (met === undefined ? 'not judged' : met ? 'met' : 'NOT met')

const mergeRow = (row) => {
  if (row.problem !== undefined) return [row.name, row.problem, '', '', '', '', '']
  const aim =
    row.share === undefined
      ? row.timesAsFast === undefined
        ? ''
        : `${digits(row.timesAsFast)} × cpu`
      : `${(row.share * 100).toFixed(0)} % of the bus`
  const longest = row.longest === undefined ? '' : `${row.longest.part} ${(row.longest.share * 100).toFixed(0)} %`
  return [
    row.name,
    digits(row.floor.seconds),
    digits(row.cpu.seconds),
    row.device.seconds === undefined ? 'failed' : digits(row.device.seconds),
    digits(row.device.runSeconds),
    aim,
    `${verdict(row.met)}${longest === '' ? '' : `; longest: ${longest}`}`,
  ]
}

const sections = ({ device, machine, bus, correctness, merges, fullDevice }) => [
  machine === undefined
    ? []
    : [
        `device: ${device === 'webgpu' ? 'WebGPU' : (machine.device?.name ?? 'none')}, ${machine.cores} cores, Node.js ${machine.node}, CUDA runtime ${machine.runtime ?? 'none'}, provider ${machine.provider?.version ?? 'none'}`,
      ],
  bus?.up === undefined
    ? bus?.problem === undefined
      ? []
      : [`bus: ${textOf(bus.problem)}`]
    : [
        `bus: up ${rate(bus.up.bytesPerSecond)}, down ${rate(bus.down.bytesPerSecond)}, both ${rate(bus.both.bytesPerSecond)}; pageable up ${rate(bus.pageableUp.bytesPerSecond)}, down ${rate(bus.pageableDown.bytesPerSecond)}${bus.intact ? '' : '; THE BYTES CAME BACK CHANGED'}`,
      ],
  correctness === undefined
    ? []
    : correctness.problem !== undefined
      ? [`correctness: ${textOf(correctness.problem)}`]
      : [
          `correctness: ${correctness.equal} of ${correctness.cases} cases equal on both, ${correctness.refusedAlike.length} of them refused alike, ${correctness.differences} differences`,
          ...correctness.listed
            .slice(0, 12)
            .map((found) =>
              `  ${found.kind}: ${found.case} (${found.set}) ${found.tensor ?? ''}${found.first === undefined ? '' : `[${found.first}]`} ${found.values.join(' / ')}`.slice(
                0,
                220,
              ),
            ),
        ],
  !Array.isArray(merges) || merges.length === 0
    ? merges?.problem === undefined
      ? []
      : [`merges: ${textOf(merges.problem)}`]
    : align([['merge, seconds', 'floor', 'cpu', 'device', 'its run', 'reached', 'aim'], ...merges.map(mergeRow)]),
  !Array.isArray(fullDevice)
    ? fullDevice?.problem === undefined
      ? []
      : [`full device: ${textOf(fullDevice.problem)}`]
    : fullDevice.map(({ name, scene, good, outcome }) =>
        `full device, ${name}, ${scene}: ${good ? 'good' : 'WRONG'}: ${outcome}`.slice(0, 200),
      ),
]

/** All that was found, in a few lines; the last says how it ended. */
export const renderCheck = (record) => {
  const last = record.reasons.length === 0 ? record.status : `${record.status}: ${record.reasons.join('; ')}`
  return `${[...sections(record).flat(), last].join('\n')}\n`
}
