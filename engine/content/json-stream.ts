// JSON text, cut anywhere -> the same text with masked values in place: nothing is held but the value at hand
import type { Json } from "../lib/json.ts";
import { limits } from "../limits.ts";
import type { Mask } from "../model/mask.ts";
import { Counted, type CountLimit, type Transformer, unreadable } from "./content-fault.ts";
import { maskJsonValue } from "./mask-value.ts";
import { type ContentMasks, maskNumberText, maskText, removes } from "./masker.ts";
import { elementPlace, fieldPlace, isRemoved, nowhere, type Place, rootPlace } from "./path-states.ts";

type Expect = "value" | "value-or-end" | "key" | "key-or-end" | "colon" | "comma-or-end" | "nothing";

type Frame = {
  readonly isArray: boolean;
  readonly place: Place;
  /** A masked container further out: nothing of this one is shown. */
  readonly isHidden: boolean;
  /** A removed container further out: nothing of this one is counted. */
  readonly isGone: boolean;
  /** Elements of this array are counted: no array is around it. */
  readonly isCounted: boolean;
  index: number;
  key: string;
  /** The field at hand is left out. */
  isLeaving: boolean;
  /** Something is written already: what comes next has a comma before it. */
  hasShown: boolean;
};

export type JsonTransformerOptions = {
  readonly masks: ContentMasks;
  readonly items: CountLimit | undefined;
  /** Several documents one after the other, each on lines of its own (NDJSON). */
  readonly isSequence?: boolean;
};

/**
 * RFC 8259, strictly: what another reader could read otherwise is unreadable here. Unmasked text goes through as it
 * is, so that numbers keep their spelling. Where a mask removes, commas and blanks are written anew: what is left must not
 * tell that there was more.
 */
export class JsonTransformer implements Transformer {
  readonly #masks: ContentMasks;
  readonly #root: Place;
  readonly #looksAtText: boolean;
  readonly #removes: boolean;
  readonly #counted: Counted;
  readonly #isSequence: boolean;
  readonly #stack: Frame[] = [];
  /** Names, and what stands in their place: documents repeat them. */
  readonly #keys = new Map<string, string | undefined>();
  #expect: Expect = "value";
  /** Before the value at hand, where commas are written anew. */
  #comma = "";
  /** Of a token that the last piece cut. */
  #rest = "";
  /** How far into `#rest` the search for the token's end has come. */
  #scanned = 0;

  constructor({ masks, items, isSequence = false }: JsonTransformerOptions) {
    this.#masks = masks;
    this.#root = rootPlace(masks.paths);
    this.#looksAtText = masks.kinds.length > 0;
    this.#removes = removes(masks);
    this.#counted = new Counted(items);
    this.#isSequence = isSequence;
  }

  count = (): number => this.#counted.count;

  push = (piece: string): string => this.#read(this.#rest + piece, false);

  end = (): string => {
    const out = this.#read(this.#rest, true);
    const isWhole =
      this.#stack.length === 0 && (this.#expect === "nothing" || (this.#isSequence && this.#expect === "value"));
    if (!isWhole || this.#rest !== "") throw unreadable("JSON that ends early");
    return out;
  };

  #read(text: string, isLast: boolean): string {
    let out = "";
    let at = 0;
    // Runs that go through as they are, are copied in one piece.
    let shown = 0;
    const flush = (to: number): void => {
      if (to > shown) out += text.slice(shown, to);
    };
    while (at < text.length) {
      const start = at;
      const c = text.charCodeAt(at);
      const wasHidden = this.#isHidden();
      let replaced: string | undefined;
      if (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09) {
        const isBreak = c === 0x0a && this.#isSequence && this.#stack.length === 0;
        if (isBreak) this.#nextDocument();
        if (this.#removes && !isBreak) replaced = "";
        at += 1;
      } else if (c === 0x22) {
        const end = this.#stringEnd(text, at, start);
        if (end < 0) {
          this.#keep(text, start, isLast);
          flush(start);
          return out;
        }
        at = end;
        replaced = this.#string(text.slice(start, end));
      } else if (c === 0x2d || (c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x7a)) {
        const end = wordEnd(text, at);
        if (end - start > limits.jsonScalarCharsMax) throw unreadable("a number that is too long");
        if (end === text.length && !isLast) {
          this.#keep(text, start, false);
          flush(start);
          return out;
        }
        at = end;
        replaced = this.#word(text.slice(start, end));
      } else {
        at += 1;
        replaced = this.#punctuation(c);
      }
      if (wasHidden || replaced !== undefined) {
        flush(start);
        shown = at;
        if (!wasHidden && replaced !== undefined) out += replaced;
      }
    }
    flush(at);
    this.#rest = "";
    this.#scanned = 0;
    return out;
  }

  #keep(text: string, start: number, isLast: boolean): void {
    if (isLast) throw unreadable("JSON that ends early");
    if (text.length - start > limits.jsonScalarCharsMax) throw unreadable("a string that is too long");
    this.#rest = text.slice(start);
    this.#scanned = this.#rest.length;
  }

  /** Behind the closing quote; -1 when it hasn't come yet. */
  #stringEnd(text: string, at: number, start: number): number {
    // The first token of a piece may be the rest of the last one, searched already but for an escape at its end.
    let from = Math.max(at + 1, start === 0 ? this.#scanned : 0);
    for (;;) {
      const quote = text.indexOf('"', from);
      if (quote < 0) return -1;
      let slashes = 0;
      while (text.charCodeAt(quote - 1 - slashes) === 0x5c) slashes += 1;
      if (slashes % 2 === 0) return quote + 1;
      from = quote + 1;
    }
  }

  #isHidden = (): boolean => this.#stack.at(-1)?.isHidden ?? false;

  /** What stands in place of the token; undefined: the token itself. */
  #string(raw: string): string | undefined {
    if (raw.length > limits.jsonScalarCharsMax) throw unreadable("a string that is too long");
    const frame = this.#stack.at(-1);
    if (this.#expect === "key" || this.#expect === "key-or-end") {
      const key = decode(raw);
      if (frame) frame.key = key;
      this.#expect = "colon";
      const shown = this.#looksAtText ? this.#maskedKey(key) : undefined;
      return this.#removes && frame ? this.#leadingKey(frame, shown ?? raw) : shown;
    }
    const place = this.#beginValue();
    const value = decode(raw);
    this.#endValue();
    if (place.mask !== undefined) return this.#written(place, raw, this.#masked(value, place.mask));
    const masked = this.#looksAtText ? maskNestedText(value, this.#masks, 0) : value;
    return this.#written(place, raw, masked === value ? undefined : JSON.stringify(masked));
  }

  #masked = (value: Json, mask: Mask): string => JSON.stringify(maskJsonValue(value, mask, this.#masks.key));

  #leadingKey(frame: Frame, shown: string): string {
    frame.isLeaving = isRemoved(fieldPlace(frame.place, frame.key));
    if (frame.isLeaving) return "";
    const comma = frame.hasShown ? "," : "";
    frame.hasShown = true;
    return comma + shown;
  }

  /** `raw`: the first token of the value. */
  #written(place: Place, raw: string, replaced: string | undefined): string | undefined {
    if (!this.#removes) return replaced;
    return isRemoved(place) ? "" : this.#comma + (replaced ?? raw);
  }

  #maskedKey(key: string): string | undefined {
    if (this.#keys.has(key)) return this.#keys.get(key);
    const masked = maskText(key, this.#masks);
    const replaced = masked === key ? undefined : JSON.stringify(masked);
    if (this.#keys.size < keysMax && key.length < 100) this.#keys.set(key, replaced);
    return replaced;
  }

  #word(raw: string): string | undefined {
    const place = this.#beginValue();
    const value = readWord(raw);
    this.#endValue();
    const masked = place.mask === undefined ? this.#maskedWord(raw, value) : this.#masked(value, place.mask);
    return this.#written(place, raw, masked);
  }

  #maskedWord(raw: string, value: Json): string | undefined {
    if (typeof value !== "number" || !this.#looksAtText) return undefined;
    // Its value has other digits than its spelling where that has an exponent or a fraction of zeros.
    const plain = String(value);
    if (plain !== raw && maskNumberText(plain, this.#masks) !== plain) return "0";
    const masked = maskNumberText(raw, this.#masks);
    return masked === raw ? undefined : masked;
  }

  #punctuation(c: number): string | undefined {
    switch (c) {
      case 0x7b:
        return this.#open(false);
      case 0x5b:
        return this.#open(true);
      case 0x7d:
        return this.#close(false);
      case 0x5d:
        return this.#close(true);
      case 0x3a:
        if (this.#expect !== "colon") throw notJson();
        this.#expect = "value";
        return this.#stack.at(-1)?.isLeaving ? "" : undefined;
      case 0x2c: {
        const frame = this.#stack.at(-1);
        if (this.#expect !== "comma-or-end" || frame === undefined) throw notJson();
        frame.index += 1;
        this.#expect = frame.isArray ? "value" : "key";
        return this.#removes ? "" : undefined;
      }
      default:
        throw notJson();
    }
  }

  /** A masked container is written whole at its start; its content is read, checked and dropped. */
  #open(isArray: boolean): string | undefined {
    const place = this.#beginValue();
    const outer = this.#stack.at(-1);
    if (this.#stack.length >= limits.jsonDepthMax) throw unreadable("JSON that is nested too deep");
    const isMasked = place.mask !== undefined;
    const isGone = isRemoved(place) || (outer?.isGone ?? false);
    this.#stack.push({
      isArray,
      place: isMasked ? nowhere : place,
      isHidden: isMasked || (outer?.isHidden ?? false),
      isGone,
      isCounted: isArray && !this.#isSequence && !isGone && !this.#stack.some((frame) => frame.isArray),
      index: 0,
      key: "",
      isLeaving: false,
      hasShown: false,
    });
    this.#expect = isArray ? "value-or-end" : "key-or-end";
    const shown = place.mask && this.#masked(isArray ? [] : {}, place.mask);
    return this.#written(place, isArray ? "[" : "{", shown);
  }

  #close(isArray: boolean): string | undefined {
    const frame = this.#stack.at(-1);
    const mayEnd = this.#expect === "comma-or-end" || this.#expect === (isArray ? "value-or-end" : "key-or-end");
    if (frame?.isArray !== isArray || !mayEnd) throw notJson();
    this.#stack.pop();
    this.#endValue();
    return undefined;
  }

  #beginValue(): Place {
    if (this.#expect !== "value" && this.#expect !== "value-or-end") throw notJson();
    const frame = this.#stack.at(-1);
    this.#comma = "";
    if (frame === undefined) return this.#root;
    const inner = frame.isArray ? elementPlace(frame.place, frame.index) : fieldPlace(frame.place, frame.key);
    const place = frame.isHidden ? nowhere : inner;
    // What isn't shown isn't counted: whether a limit refuses would tell.
    if (frame.isCounted && !isRemoved(place)) this.#counted.add();
    if (frame.isArray && !isRemoved(place)) {
      this.#comma = frame.hasShown ? "," : "";
      frame.hasShown = true;
    }
    return place;
  }

  #endValue(): void {
    if (this.#stack.length > 0) {
      this.#expect = "comma-or-end";
      return;
    }
    this.#expect = "nothing";
    if (this.#isSequence) this.#counted.add();
  }

  #nextDocument(): void {
    if (this.#expect === "nothing") this.#expect = "value";
  }
}

const keysMax = 1_000;

const notJson = () => unreadable("text that is not JSON");

function wordEnd(text: string, start: number): number {
  let at = start + 1;
  for (; at < text.length; at += 1) {
    const c = text.charCodeAt(at);
    const isPart =
      (c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x7a) || c === 0x2b || c === 0x2d || c === 0x2e || c === 0x45;
    if (!isPart) break;
  }
  return at;
}

function readWord(raw: string): number | boolean | null {
  if (raw === "true") return true;
  if (raw === "false") return false;
  if (raw === "null") return null;
  if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(raw)) throw notJson();
  return Number(raw);
}

function decode(raw: string): string {
  const inner = raw.slice(1, -1);
  if (!/[\\\u0000-\u001f]/.test(inner)) return inner;
  try {
    const value: unknown = JSON.parse(raw);
    if (typeof value === "string") return value;
  } catch {
    // The same refusal.
  }
  throw notJson();
}

const nestedDepthMax = 8;

/** JSON inside of a string may hide a value behind its escapes: it is read, too. */
export function maskNestedText(text: string, masks: ContentMasks, depth: number): string {
  if (!/^\s*["{[]/.test(text)) return maskText(text, masks);
  let parsed: Json;
  try {
    // SAFETY: JSON.parse without a reviver gives JSON values only.
    parsed = JSON.parse(text) as Json;
  } catch {
    return maskText(text, masks);
  }
  if (depth >= nestedDepthMax) throw unreadable("JSON in strings within strings");
  let isChanged = false;
  const visit = (value: Json, level: number): Json => {
    if (level > limits.jsonDepthMax) throw unreadable("JSON that is nested too deep");
    if (typeof value === "string") {
      const masked = maskNestedText(value, masks, depth + 1);
      isChanged ||= masked !== value;
      return masked;
    }
    if (typeof value === "number") {
      const isFound = maskNumberText(String(value), masks) !== String(value);
      isChanged ||= isFound;
      return isFound ? 0 : value;
    }
    if (Array.isArray(value)) return value.map((item: Json) => visit(item, level + 1));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const masked = maskText(key, masks);
        isChanged ||= masked !== key;
        return [masked, visit(item, level + 1)];
      }),
    );
  };
  const masked = visit(parsed, 0);
  return isChanged ? JSON.stringify(masked) : text;
}
