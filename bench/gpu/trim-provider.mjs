// Makes ONNX Runtime's CUDA provider small enough to carry: the code for other GPUs than one is overwritten with zeros,
// which compress to nothing.

/**
 * The first bytes of a fat binary: several builds of the same GPU code, of which the driver takes the one that fits.
 */
const MAGIC = Buffer.from([0x50, 0xed, 0x55, 0xba])
const HEADER = { size: 16, ownSize: 6, bodySize: 8 }
/** Fields of an entry: what it is, the size of its own header, the size of its code, and the GPU it is for. */
const ENTRY = { kind: 0, ownSize: 4, bodySize: 8, arch: 28, least: 64 }
const PTX = 1

/** The entries of the fat binary at an offset; undefined where the bytes only look like one. */
const readEntries = (file, at) => {
  if (at + HEADER.size > file.length) return undefined
  const [own, body] = [file.readUInt16LE(at + HEADER.ownSize), file.readBigUInt64LE(at + HEADER.bodySize)]
  const end = at + own + Number(body)
  if (own < HEADER.size || body > BigInt(file.length) || end > file.length) return undefined
  const entries = []
  for (let p = at + own; p + ENTRY.least <= end;) {
    const [header, size] = [file.readUInt32LE(p + ENTRY.ownSize), Number(file.readBigUInt64LE(p + ENTRY.bodySize))]
    if (header < ENTRY.least || p + header + size > end) return undefined
    entries.push({
      kind: file.readUInt16LE(p + ENTRY.kind),
      arch: file.readUInt32LE(p + ENTRY.arch),
      begin: p + header,
      end: p + header + size,
    })
    p += header + size
  }
  return entries
}

/**
 * Of several builds those a GPU runs: its own; else the newest of its generation; else the newest text that its driver
 * can compile.
 */
const chosenFor = (arch, entries) => {
  const newest = (list) => list.filter((entry) => entry.arch === Math.max(...list.map((other) => other.arch)))
  const binaries = entries.filter(
    ({ kind, arch: own }) => kind !== PTX && own <= arch && Math.floor(own / 10) === Math.floor(arch / 10),
  )
  return binaries.length > 0
    ? newest(binaries)
    : newest(entries.filter(({ kind, arch: own }) => kind === PTX && own <= arch))
}

/**
 * Zeroes in place all GPU code of a library that a GPU of `arch` (90 for 9.0) does not run; nothing moves. Gives bytes
 * kept and zeroed, the GPUs the library knew, and how many
 * of its fat binaries were made for other GPUs only. Throws where nothing would be left.
 */
export const trimProvider = (file, arch) => {
  const tally = { binaries: 0, forOthers: 0, kept: 0, zeroed: 0, archs: new Set() }
  for (let at = file.indexOf(MAGIC); at >= 0; at = file.indexOf(MAGIC, at + 4)) {
    const entries = readEntries(file, at)
    if (entries === undefined || entries.length === 0) continue
    const chosen = new Set(chosenFor(arch, entries))
    tally.binaries++
    if (chosen.size === 0) tally.forOthers++
    for (const entry of entries) {
      tally.archs.add(entry.arch)
      if (chosen.has(entry)) tally.kept += entry.end - entry.begin
      else {
        file.fill(0, entry.begin, entry.end)
        tally.zeroed += entry.end - entry.begin
      }
    }
  }
  const archs = [...tally.archs].sort((x, y) => x - y)
  if (tally.binaries === 0) throw new Error('no GPU code was found in the provider')
  if (tally.kept === 0)
    throw new Error(
      `the provider has code for GPUs of ${archs.join(', ')} and none that one of ${arch} runs; give --arch one of them`,
    )
  return { ...tally, archs }
}
