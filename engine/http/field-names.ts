// names of parameters and fields -> whether two servers would read two of them, or one, differently

/** PHP trims names, cuts them at a NUL and at `[…]`, and writes `_` for blanks, dots and a lone `[`; .NET doesn't tell cases apart. */
export function foldName(name: string): { readonly base: string; readonly folded: string } {
  const folded = (name.split("\0", 1)[0] ?? "").trim().toLowerCase().replace(/[ .]/g, "_").replace(/^\[/, "_");
  return { base: folded.replace(/\[.*$/s, ""), folded };
}

/** Frameworks serve the method that this field names instead of the request's. */
export const isMethodField = (name: string): boolean => foldName(name).base === "_method";

/**
 * Whether some server would read an earlier name as this one. Different places of one list or object (`a[x]`, `a[y]`) are
 * apart.
 */
export function isTaken(names: Set<string>, name: string): boolean {
  const { base, folded } = foldName(name);
  const isPlace = base !== folded;
  const taken = names.has(`=${folded}`) || names.has(isPlace ? `=${base}` : `[${base}`);
  names.add(`=${folded}`);
  if (isPlace) names.add(`[${base}`);
  return taken;
}

/**
 * Fields of a form of which servers differ in what they are called: other spellings of one name, and names that are cut or
 * trimmed. One spelling that repeats is a list.
 */
export function areAmbiguous(names: readonly string[]): boolean {
  const spellings = new Set(names);
  const taken = new Set<string>();
  for (const name of spellings) {
    if (name !== name.trim() || /\p{C}/u.test(name) || isTaken(taken, name)) return true;
  }
  return false;
}
