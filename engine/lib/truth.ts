/**
 * Something that was looked for and could not be determined. `why` is one lower-case sentence for the audit trail.
 * It stands where a value would stand: a fact is `T | Unknown`, a condition `boolean | Unknown`.
 */
export class Unknown {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

/** A value or the stated absence of knowledge about it. `undefined` is a third thing: known to be absent. */
export type Fact<T> = T | Unknown;

/** Kleene's three truth values. An allow needs `true`; a restricting rule applies unless `false`. */
export type Truth = boolean | Unknown;

export const isKnown = <T>(fact: Fact<T>): fact is Exclude<T, Unknown> => !(fact instanceof Unknown);

export const notTruth = (a: Truth): Truth => (a instanceof Unknown ? a : !a);

/** False wins over unknown, unknown over true. */
export function andTruth(a: Truth, b: Truth): Truth {
  if (a === false || b === false) return false;
  return a instanceof Unknown ? a : b;
}

/** True wins over unknown, unknown over false. */
export function orTruth(a: Truth, b: Truth): Truth {
  if (a === true || b === true) return true;
  return a instanceof Unknown ? a : b;
}
