// What random methods do over many seeds, in numbers that two programs with different random bits must have in common.

/** Shares of each row's elements, by the magnitude of the first fine-tune's difference. */
const DECILES = 10

const mean = (list) => list.reduce((x, y) => x + y, 0) / list.length
const meanAndError = (list) => {
  const at = mean(list)
  return [at, Math.sqrt(mean(list.map((x) => (x - at) ** 2)) / list.length)]
}

/** The decile of each element by the rank of its difference within its row; a vector is one row. */
const decilesOf = (shape, before, after) => {
  const columns = shape.length < 2 ? before.length : before.length / shape[0]
  const deciles = new Uint8Array(before.length)
  for (let begin = 0; begin < before.length; begin += columns) {
    const order = Array.from({ length: columns }, (_, i) => begin + i).sort(
      (i, j) => Math.abs(after[i] - before[i]) - Math.abs(after[j] - before[j]),
    )
    order.forEach((i, rank) => (deciles[i] = Math.floor((DECILES * rank) / columns)))
  }
  return deciles
}

/** Statistics of one program's results: `add` takes the tensors of one seed. */
export const createStatistics = (base, first) => {
  const names = [...base.keys()]
  const elements = names.reduce((n, name) => n + base.get(name).values.length, 0)
  const [sums, squares] = [new Float64Array(elements), new Float64Array(elements)]
  const [above, moved] = [new Uint16Array(elements), new Uint16Array(elements)]
  const [shares, sizes] = [[], []]
  const add = (file) => {
    let [at, count, sum] = [0, 0, 0]
    for (const name of names) {
      const before = base.get(name).values
      file.get(name).values.forEach((x, i) => {
        const change = x - before[i]
        sums[at] += change
        squares[at] += change * change
        above[at] += change > 0 ? 1 : 0
        moved[at] += change === 0 ? 0 : 1
        count += change === 0 ? 0 : 1
        sum += change * change
        at += 1
      })
    }
    shares.push(count / elements)
    sizes.push(Math.sqrt(sum / elements))
  }
  const deciles = names.flatMap((name) => {
    const { shape, values } = base.get(name)
    return [decilesOf(shape, values, first.get(name).values)]
  })
  /** The share that moved in each decile. */
  const byRank = () => {
    const [hits, all] = [new Float64Array(DECILES), new Float64Array(DECILES)]
    let at = 0
    for (const tensor of deciles)
      for (const decile of tensor) {
        hits[decile] += moved[at]
        all[decile] += shares.length
        at += 1
      }
    return [...hits].map((n, i) => n / all[i])
  }
  return {
    add,
    elements,
    seeds: () => shares.length,
    meanOf: (i) => sums[i] / shares.length,
    varianceOf: (i) => Math.max(0, squares[i] / shares.length - (sums[i] / shares.length) ** 2),
    shareAbove: (i) => above[i] / shares.length,
    moved: () => meanAndError(shares),
    size: () => meanAndError(sizes),
    byRank,
  }
}

/** The root mean square, over the elements, of a difference in units of its standard error: 1 where nothing differs. */
const standardised = (theirs, ours, value, variance) => {
  let [sum, count] = [0, 0]
  for (let i = 0; i < theirs.elements; i++) {
    const error = variance(theirs, i) / theirs.seeds() + variance(ours, i) / ours.seeds()
    if (!(error > 1e-18)) continue
    sum += (value(ours, i) - value(theirs, i)) ** 2 / error
    count += 1
  }
  return Math.sqrt(sum / count)
}

/** All that is compared of two programs' statistics. */
export const compareStatistics = (theirs, ours) => {
  let [variance, theirVariance] = [0, 0]
  for (let i = 0; i < theirs.elements; i++) {
    variance += ours.varianceOf(i)
    theirVariance += theirs.varianceOf(i)
  }
  const [ranks, theirRanks] = [ours.byRank(), theirs.byRank()]
  return {
    moved: [theirs.moved(), ours.moved()],
    size: [theirs.size(), ours.size()],
    means: standardised(
      theirs,
      ours,
      (one, i) => one.meanOf(i),
      (one, i) => one.varianceOf(i),
    ),
    signs: standardised(
      theirs,
      ours,
      (one, i) => one.shareAbove(i),
      (one, i) => one.shareAbove(i) * (1 - one.shareAbove(i)),
    ),
    variance: variance / theirVariance,
    ranks: Math.max(...ranks.map((share, i) => Math.abs(share - theirRanks[i]))),
  }
}
