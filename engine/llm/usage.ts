// `usage` of an answer -> tokens and what they cost
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject } from "../lib/read-json.ts";

export type Usage = {
  readonly input: number;
  readonly cacheWrite: number;
  readonly cacheRead: number;
  readonly output: number;
};

export const noUsage: Usage = { input: 0, cacheWrite: 0, cacheRead: 0, output: 0 };

/** Later figures of a stream are totals: they replace the earlier ones where they are given. */
export function addUsage(known: Usage, usage: Json | undefined): Usage {
  if (!isObject(usage)) return known;
  return {
    input: countIn(usage, "input_tokens") ?? known.input,
    cacheWrite: countIn(usage, "cache_creation_input_tokens") ?? known.cacheWrite,
    cacheRead: countIn(usage, "cache_read_input_tokens") ?? known.cacheRead,
    output: countIn(usage, "output_tokens") ?? known.output,
  };
}

function countIn(usage: JsonObject, name: string): number | undefined {
  const value = field(usage, name);
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

export const inputTokens = ({ input, cacheWrite, cacheRead }: Usage): number => input + cacheWrite + cacheRead;

export const totalTokens = (usage: Usage): number => inputTokens(usage) + usage.output;

/** US dollars for a million tokens. */
export type Price = {
  readonly input: number;
  readonly output: number;
  readonly cacheWrite: number;
  readonly cacheRead: number;
};

/** The first pattern that fits counts: `*` stands for any run of characters. */
export type PriceTable = readonly { readonly model: string; readonly price: Price }[];

export function costUsd(usage: Usage, model: string, table: PriceTable): number | undefined {
  const price = table.find((row) => fits(row.model, model))?.price;
  if (!price) return undefined;
  const { input, cacheWrite, cacheRead, output } = usage;
  return (
    (input * price.input + cacheWrite * price.cacheWrite + cacheRead * price.cacheRead + output * price.output) / 1e6
  );
}

function fits(pattern: string, model: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return pattern === model;
  const last = rest.at(-1) ?? "";
  if (model.length < first.length + last.length || !model.startsWith(first) || !model.endsWith(last)) return false;
  let from = first.length;
  const end = model.length - last.length;
  for (const piece of rest.slice(0, -1)) {
    const at = model.indexOf(piece, from);
    if (at < 0 || at + piece.length > end) return false;
    from = at + piece.length;
  }
  return true;
}
