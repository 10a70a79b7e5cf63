/** 1 − x as a person would write it: without the error of binary fractions. */
export const oneMinus = (x: number): number => Number((1 - x).toFixed(12))
