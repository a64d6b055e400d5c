// a path -> the value that a token's claims have there
import type { Claims } from "./jose.ts";

/** The claim of that very name (URLs with dots are usual), else a path into objects. Own properties only. */
export function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

export const isStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");

/** `*`: there at all. Of a claim that is a list, one element is enough. */
export function hasClaim(claims: Claims, path: string, values: readonly (string | number | boolean)[]): boolean {
  const said = claimAt(claims, path);
  if (said === undefined || said === null) return false;
  const list: readonly unknown[] = Array.isArray(said) ? said : [said];
  return values.some((value) => (value === "*" ? list.length > 0 : list.includes(value)));
}
