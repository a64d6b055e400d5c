/** Thrown when an invariant of our own broke: a bug. The session closes and a deny is recorded. */
export class BugError extends Error {
  override readonly name = "BugError";
}

/** @throws BugError when `condition` does not hold. */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new BugError(`invariant broken: ${what}`);
}

/** Ends every switch over a union: a new member becomes a compile error here. */
export function unreachable(x: never): never {
  throw new BugError(`unreachable value: ${String(x)}`);
}
