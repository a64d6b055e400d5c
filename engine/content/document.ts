// a JSON answer that must be held whole -> the same with its items filtered and its values masked
import type { Json } from "../lib/json.ts";
import { readJson } from "../lib/read-json.ts";
import { Unknown } from "../lib/truth.ts";
import { limits } from "../limits.ts";
import type { ItemFilter } from "../model/decision.ts";
import { type CountLimit, type Transformer, unreadable } from "./content-fault.ts";
import { JsonTransformer } from "./json-stream.ts";
import { keepItems } from "./keep-items.ts";
import type { ContentMasks } from "./masker.ts";

/** Filters first: what isn't shown isn't counted. */
export class DocumentTransformer implements Transformer {
  readonly #filters: readonly ItemFilter[];
  readonly #json: JsonTransformer;
  #text = "";

  constructor(filters: readonly ItemFilter[], masks: ContentMasks, items: CountLimit | undefined) {
    this.#filters = filters;
    this.#json = new JsonTransformer({ masks, items });
  }

  count = (): number => this.#json.count();

  push = (piece: string): string => {
    this.#text += piece;
    if (this.#text.length > limits.contentDocumentCharsMax)
      throw unreadable("a document that is too large to be filtered");
    return "";
  };

  end = (): string => {
    const document = readJson(this.#text, limits.jsonDepthMax);
    if (!document.ok) throw unreadable("text that is not JSON, or has a number that can't be held exactly");
    const kept: Json | Unknown = keepItems(document.value, this.#filters);
    if (kept instanceof Unknown) throw unreadable("a document without the list that a filter names");
    return this.#json.push(JSON.stringify(kept)) + this.#json.end();
  };
}
