// content type + what a decision asks -> who reads the answer; or that nobody can

import type { AnswerSchema } from "../http/api-description.ts";
import type { ItemFilter } from "../model/decision.ts";
import type { CountLimit, Transformer } from "./content-fault.ts";
import { parseContentType } from "./content-type.ts";
import { CsvTransformer } from "./csv.ts";
import { DocumentTransformer } from "./document.ts";
import { EventStreamTransformer } from "./event-stream.ts";
import { JsonTransformer } from "./json-stream.ts";
import { TextTransformer } from "./lines.ts";
import { type ContentMasks, removes } from "./masker.ts";

export type ContentPlan = {
  readonly masks: ContentMasks;
  readonly filters: readonly ItemFilter[];
  readonly count: CountLimit | undefined;
  /** Of the answer at hand: with one, a JSON document is held whole, and what masks put into it fits. */
  readonly schema?: AnswerSchema | undefined;
};

/** `isLive`: what is read goes on at once, event by event. */
export type ContentReader = { readonly transformer: Transformer; readonly isLive: boolean };

/** Undefined: no mask can read this. Formats with escapes of their own (HTML, XML, YAML) are among what isn't read. */
export function readerFor(
  contentType: string | undefined,
  { masks, filters, count, schema }: ContentPlan,
): ContentReader | undefined {
  const type = contentType === undefined ? undefined : parseContentType(contentType);
  if (type === undefined || !/^(?:utf-?8|us-ascii)$/i.test(type.charset ?? "utf-8")) return undefined;
  const { mime, parameters } = type;
  const isJson = /^application\/(?:[\w.-]+\+)?json$/.test(mime);
  if (filters.length > 0 && !isJson) return undefined;
  if (masks.tags.length > 0 && (!isJson || schema === undefined)) return undefined;
  const isMasked = masks.paths.length > 0 || masks.kinds.length > 0 || masks.tags.length > 0;
  if (filters.length > 0 || (isJson && isMasked && schema !== undefined)) {
    return held(new DocumentTransformer(filters, masks, count, schema));
  }
  if (isJson) return held(new JsonTransformer({ masks, items: count }));
  if (/^application\/(?:x-ndjson|ndjson|jsonl|x-jsonlines|json-lines)$/.test(mime)) {
    return { transformer: new JsonTransformer({ masks, items: count, isSequence: true }), isLive: true };
  }
  if (mime === "text/event-stream") return { transformer: new EventStreamTransformer(masks, count), isLive: true };
  // Records of CSV have as many cells as their header: nothing is taken out of them.
  if (mime.startsWith("text/") && removes(masks)) return undefined;
  if (mime === "text/csv" || mime === "text/tab-separated-values") {
    const separator = mime === "text/csv" ? "," : "\t";
    const hasHeader = parameters.get("header") === "present";
    return held(new CsvTransformer({ masks, rows: count, separator, hasHeader }));
  }
  const isText = mime === "text/plain" || mime === "text/markdown" || mime === "text/x-log";
  return isText && masks.paths.length === 0 ? held(new TextTransformer(masks, count)) : undefined;
}

const held = (transformer: Transformer): ContentReader => ({ transformer, isLive: false });
