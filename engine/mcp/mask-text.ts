// a string, masks -> the string with nothing unmasked in it, also inside of JSON that it holds
import type { Json } from "../lib/json.ts";
import { isObject, readJson } from "../lib/read-json.ts";
import { limits } from "../limits.ts";

/** The masks of one decision, ready to use: engine/content makes them. */
export type ContentMasker = {
  /** Some mask names JSON paths: text that isn't JSON can't be read by it. */
  readonly readsJson: boolean;
  /** What stands at the paths. */
  readonly maskPaths: (document: Json) => Json;
  /** Every kind of text that is looked for. */
  readonly maskText: (text: string) => string;
};

/** What no mask can look into. `what` is a few words for the refusal: `an image`. */
export class UnmaskableError extends Error {
  override readonly name = "UnmaskableError";
  readonly what: string;
  constructor(what: string) {
    super(what);
    this.what = what;
  }
}

export class TextMasker {
  readonly masker: ContentMasker;
  #nested = 0;

  constructor(masker: ContentMasker) {
    this.masker = masker;
  }

  /** Detectors look at it, and into it where it is JSON. Its own spelling is kept where nothing was found. */
  string(text: string): string {
    const parsed = readNested(text);
    if (parsed === undefined) return this.plain(text);
    return this.inner(() => {
      const masked = JSON.stringify(this.values(parsed));
      return masked === JSON.stringify(parsed) ? text : masked;
    });
  }

  plain(text: string): string {
    if (/^\s*data:[^,]{0,200};base64,/i.test(text)) throw new UnmaskableError("an encoded file in a URI");
    return this.masker.maskText(text);
  }

  /** Every string of a document, keys too. */
  values(value: Json): Json {
    if (typeof value === "string") return this.string(value);
    if (typeof value === "number") return this.number(value);
    if (Array.isArray(value)) return value.map((item: Json) => this.values(item));
    return isObject(value) ? this.entries(value, (_, item) => this.values(item)) : value;
  }

  /** A card or account number without quotes: zero keeps the document's shape. */
  number(value: number): number {
    if (!Number.isInteger(value) || Math.abs(value) < 1e7) return value;
    const text = String(value);
    return this.masker.maskText(text) === text ? value : 0;
  }

  entries(
    value: { readonly [key: string]: Json },
    map: (key: string, item: Json) => Json,
  ): { readonly [key: string]: Json } {
    const entries = Object.entries(value).map(([key, item]): readonly [string, Json] => [
      this.masker.maskText(key),
      map(key, item),
    ]);
    if (new Set(entries.map(([key]) => key)).size < entries.length) {
      throw new UnmaskableError("keys that are one after masking");
    }
    return Object.fromEntries(entries);
  }

  inner(mask: () => string): string {
    this.#nested += 1;
    if (this.#nested > limits.nestedJsonDepthMax) throw new UnmaskableError("JSON nested in too many strings");
    const masked = mask();
    this.#nested -= 1;
    return masked;
  }
}

/** Objects, arrays and quoted strings: a bare number or word is text like any other. */
export function readNested(text: string): Json | undefined {
  if (!/^\s*[{["]/.test(text)) return undefined;
  const parsed = readJson(text, limits.mcpJsonDepthMax);
  if (parsed.ok) return parsed.value;
  if (parsed.error.code !== "json-malformed") throw new UnmaskableError("JSON that can't be held exactly");
  return undefined;
}
