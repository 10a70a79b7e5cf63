/** Room for one unfinished block: whole blocks are computed there and only the part that is wanted is copied out. */
export const SCRATCH: usize = memory.data(64, 16)
