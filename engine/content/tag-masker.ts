// masks of tags; a document and its schema -> the document as the schema describes it, with what is tagged masked
import type { AnswerSchema } from "../http/api-description.ts";
import type { Json } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { maskWithSchema } from "./fit-schema.ts";
import type { ContentMasks } from "./masker.ts";
import { isDescribed } from "./schema-place.ts";

/** What describes a document, as its author wrote it and standing by itself. */
export type Describing = Pick<AnswerSchema, "schema" | "described">;

/** The error is a few words for the refusal: `a result that …`. */
export type MaskDescribed = (document: Json, by: Describing) => Result<Json, string>;

/** Undefined: no mask of them is about tags. Masks of paths and of text are not applied here. */
export function tagMasker(masks: ContentMasks): MaskDescribed | undefined {
  if (masks.tags.length === 0) return undefined;
  const own: ContentMasks = { ...masks, paths: [], kinds: [] };
  return (document, { schema, described }) => {
    if (described.isOpaque || !isDescribed(described, document)) return err("data that its schema doesn't describe");
    const masked = maskWithSchema(document, schema, own, described);
    return masked.isUnfit ? err("a tagged value for which no neutral one fits the schema") : ok(masked.document);
  };
}
