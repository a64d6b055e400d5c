/**
 * What stands in place of a column's value. `null` stays null under every mask but `redact` and `constant` of a NOT
 * NULL column. Which mask fits which type: mask-fit.ts. Of an array each element is masked.
 */
export type Mask = MaskShape & {
  /** A conjunct `column = constant` sees the real value (engine/sql/search.ts). Left out: it sees the mask like all else. */
  readonly searchable?: true;
};

type MaskShape =
  /** Keeps the first and last characters, or the domain of an e-mail address, and fills the rest. */
  | {
      readonly kind: "partial";
      readonly first: number;
      readonly last: number;
      readonly keepDomain: boolean;
      readonly fill: string;
    }
  /** Numbers to a multiple of `size` below; dates to the start of `unit`. */
  | { readonly kind: "bucket"; readonly size: number | undefined; readonly unit: DateUnit | undefined }
  /** Numbers to the nearest multiple of `to`, without noise: equal values stay equal. */
  | { readonly kind: "round"; readonly to: number }
  /** `**** **** **** 1234`: the last four digits of a payment card's number. */
  | { readonly kind: "card" }
  /** `+***34`: the last digits of a telephone number, 4 at most. */
  | { readonly kind: "phone"; readonly last: number }
  /** Hides what stands at these paths of a jsonb value, and keeps the rest. See `parseFieldPath`. */
  | { readonly kind: "fields"; readonly hide: readonly string[] }
  /** Keyed digest (hex); equal inputs stay equal. `salt` separates domains, the key is the connection's. */
  | { readonly kind: "hash"; readonly salt: string }
  /** Like hash, in the shape of the value: `tok_` and 16 characters. */
  | { readonly kind: "tokenize"; readonly salt: string }
  /** A fixed value of the column's type: `***`, 0, 1970-01-01, {} … */
  | { readonly kind: "redact" }
  /** A fixed value that the policy gives. */
  | { readonly kind: "constant"; readonly value: string | number | boolean }
  | { readonly kind: "nullify" }
  /** Of JSON answers only: the field isn't there, name and all; an element leaves its list. A column stays in its row. */
  | { readonly kind: "remove" };

export type MaskKind = Mask["kind"];
export type DateUnit = "year" | "quarter" | "month" | "week" | "day" | "hour";

const rank: Readonly<Record<MaskKind, number>> = {
  partial: 1,
  bucket: 1,
  round: 1,
  card: 1,
  phone: 1,
  fields: 1,
  hash: 2,
  tokenize: 2,
  constant: 3,
  redact: 3,
  nullify: 4,
  remove: 5,
};

/** Shows certainly no more than the other one; false for kinds that nobody knows. */
export const isStricterMask = (kind: string, other: string): boolean => rankOf(kind) > rankOf(other);

const rankOf = (kind: string): number => (Object.hasOwn(rank, kind) ? rank[kind as MaskKind] : Number.NaN);

/**
 * JOIN of a set of masks (section 6 of the language): of the highest rank, the only one, else `redact`. A function of
 * the set: order and repetition don't matter, and one more mask never shows more. Searchable only if every one is.
 */
export function joinMasks(masks: readonly Mask[]): Mask | undefined {
  let highest = 0;
  for (const mask of masks) highest = Math.max(highest, rank[mask.kind]);
  const distinct = new Map(masks.filter((m) => rank[m.kind] === highest).map((m) => [shapeKey(m), m]));
  const [first] = distinct.values();
  if (!first) return undefined;
  const shape: Mask = distinct.size === 1 ? first : highest === rank.nullify ? { kind: "nullify" } : { kind: "redact" };
  return masks.every((m) => m.searchable) ? { ...shape, searchable: true } : withoutSearch(shape);
}

/** The mask that no predicate sees through. */
export function withoutSearch(mask: Mask): Mask {
  if (!mask.searchable) return mask;
  const { searchable: _, ...shape } = mask;
  return shape;
}

/** Equal for masks that show the same, whether they are searchable or not. */
export const shapeKey = (mask: Mask): string => maskKey(withoutSearch(mask));

/**
 * Types of PostgreSQL's own whose `=` is leakproof (pg_proc.proleakproof) and whose values are too many to try them all
 * at once: those of a `boolean` are not.
 */
export const searchableTypes: ReadonlySet<string> = new Set([
  "int2",
  "int4",
  "int8",
  "text",
  "varchar",
  "date",
  "timestamp",
  "timestamptz",
  "uuid",
]);

export type FieldStep = { readonly key: string } | "any-key" | "any-element";

/**
 * `owner.iban`, `cards[*].number`, `*.secret`: keys with dots between them, `*` for every key, `[*]` for every element of an
 * array. A key that holds other characters than letters, digits, `_` and `-` stands in double quotes.
 */
export function parseFieldPath(path: string): readonly [FieldStep, ...FieldStep[]] | undefined {
  const steps: FieldStep[] = [];
  const pattern = /(?:^|\.)(?:(\*)|"([^"]+)"|([\p{L}\p{N}_-]+))|(\[\*\])/uy;
  let end = 0;
  for (let match = pattern.exec(path); match; match = pattern.exec(path)) {
    const key = match[2] ?? match[3];
    steps.push(key !== undefined ? { key } : match[1] !== undefined ? "any-key" : "any-element");
    end = pattern.lastIndex;
  }
  const [first, ...rest] = steps;
  return end === path.length && first !== undefined && steps.length <= fieldStepsMax ? [first, ...rest] : undefined;
}

const fieldStepsMax = 16;

/** Equal for equal masks. Keys are sorted: property order in a literal must not matter. */
export function maskKey(mask: Mask): string {
  return JSON.stringify(Object.entries(mask).sort(([a], [b]) => (a < b ? -1 : 1)));
}
