// a JSON answer that must be held whole -> the same with its items filtered and its values masked, still of its schema

import type { AnswerSchema } from "../http/api-description.ts";
import type { Json } from "../lib/json.ts";
import { readJson } from "../lib/read-json.ts";
import { Unknown } from "../lib/truth.ts";
import { limits } from "../limits.ts";
import type { ItemFilter } from "../model/decision.ts";
import { ContentFaultError, type CountLimit, type Transformer, unreadable } from "./content-fault.ts";
import { maskWithSchema } from "./fit-schema.ts";
import { JsonTransformer } from "./json-stream.ts";
import { keepItems } from "./keep-items.ts";
import type { ContentMasks } from "./masker.ts";
import { isDescribed } from "./schema-place.ts";

/** Filters first: what isn't shown isn't counted. */
export class DocumentTransformer implements Transformer {
  readonly #filters: readonly ItemFilter[];
  readonly #masks: ContentMasks;
  readonly #schema: AnswerSchema | undefined;
  readonly #json: JsonTransformer;
  #text = "";

  constructor(
    filters: readonly ItemFilter[],
    masks: ContentMasks,
    items: CountLimit | undefined,
    schema: AnswerSchema | undefined,
  ) {
    this.#filters = filters;
    this.#masks = masks;
    this.#schema = schema;
    this.#json = new JsonTransformer({
      masks: schema === undefined ? masks : { ...masks, paths: [], kinds: [], tags: [] },
      items,
    });
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
    return this.#json.push(JSON.stringify(this.#fitted(document.value, kept))) + this.#json.end();
  };

  /** What wasn't of its schema before needn't be afterwards. */
  #fitted(document: Json, kept: Json): Json {
    if (this.#schema === undefined) return kept;
    const { schema, check, described } = this.#schema;
    const isTagged = this.#masks.tags.length > 0;
    if (isTagged && (described.isOpaque || !isDescribed(described, kept))) {
      throw unreadable("an answer that its schema doesn't describe");
    }
    const masked = maskWithSchema(kept, schema, this.#masks, described);
    const isBroken = (): boolean =>
      check !== undefined && check(document) === undefined && check(masked.document) !== undefined;
    if (masked.isUnfit || isBroken()) {
      throw new ContentFaultError("answer-schema", "no neutral value stands for what is hidden");
    }
    return masked.document;
  }
}
