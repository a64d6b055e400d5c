// masks of a decision -> what they do to documents, values and texts
import type { Json } from "../lib/json.ts";
import { type JsonPath, parseJsonPath } from "../lib/json-path.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { ContentMask } from "../model/decision.ts";
import { joinMasks, type Mask } from "../model/mask.ts";
import { type TextKind, textKinds } from "../model/text-kinds.ts";
import { detectors, type TextSpan } from "./detect.ts";
import { maskDocument } from "./mask-document.ts";
import { type MaskKey, maskString } from "./mask-value.ts";
import { rootPlace } from "./path-states.ts";

export type PathMask = { readonly path: JsonPath; readonly mask: Mask };
export type KindMask = { readonly kind: TextKind; readonly mask: Mask };
export type TagMask = { readonly tag: string; readonly mask: Mask };

/** The content masks of one decision, understood. */
export type ContentMasks = {
  readonly paths: readonly PathMask[];
  /** One mask per kind: of several the JOIN. */
  readonly kinds: readonly KindMask[];
  /** Of what the answer's schema tags: whoever has no schema can't carry them out. */
  readonly tags: readonly TagMask[];
  readonly key: MaskKey;
};

/** The error is one sentence: a mask that can't be carried out must not be passed over. */
export function readContentMasks(masks: readonly ContentMask[], key: MaskKey): Result<ContentMasks, string> {
  const paths: PathMask[] = [];
  const kinds = new Map<TextKind, Mask[]>();
  const tags: TagMask[] = [];
  for (const { content, mask } of masks) {
    if ((mask.kind === "hash" || mask.kind === "tokenize") && key.byteLength < 16) {
      return err(`\`${mask.kind}\` needs the connection's \`mask_key\``);
    }
    if (mask.kind === "fields") return err("`fields` masks columns of jsonb, not answers");
    for (const pattern of content.patterns) {
      if (content.format === "json") {
        const path = parseJsonPath(pattern);
        if (!path.ok) return err(`\`${pattern}\` is no path into JSON`);
        if (mask.kind === "remove" && path.value.length === 0) return err("`remove` can't take a whole answer away");
        paths.push({ path: path.value, mask });
      } else if (content.format === "tagged") {
        tags.push({ tag: pattern, mask });
      } else {
        if (mask.kind === "remove") return err("`remove` takes fields out of JSON, not words out of texts");
        const kind = kindOf(pattern);
        if (kind === undefined) return err(`there is no kind of text called \`${pattern}\``);
        kinds.set(kind, [...(kinds.get(kind) ?? []), mask]);
      }
    }
  }
  const joined = [...kinds].map(([kind, all]) => ({ kind, mask: joinMasks(all) ?? redact }));
  return ok({ paths, kinds: joined, tags, key });
}

const redact: Mask = { kind: "redact" };

const kindOf = (name: string): TextKind | undefined =>
  (Object.keys(textKinds) as readonly TextKind[]).find((kind) => kind === name);

/** Some place of an answer is to be gone: what stands around it is written anew. */
export const removes = ({ paths }: Pick<ContentMasks, "paths">): boolean =>
  paths.some(({ mask }) => mask.kind === "remove");

/** Every value of the kinds that are looked for, masked. */
export function maskText(text: string, { kinds, key }: Pick<ContentMasks, "kinds" | "key">): string {
  if (kinds.length === 0 || text === "") return text;
  const found: (TextSpan & { readonly masks: readonly Mask[] })[] = [];
  for (const { kind, mask } of kinds) {
    for (const span of detectors[kind](text)) found.push({ ...span, masks: [mask] });
  }
  if (found.length === 0) return text;
  let masked = "";
  let at = 0;
  for (const { start, end, masks } of merge(found)) {
    masked += text.slice(at, start) + maskString(text.slice(start, end), joinMasks(masks) ?? redact, key);
    at = end;
  }
  return masked + text.slice(at);
}

type Found = TextSpan & { readonly masks: readonly Mask[] };

/** What overlaps is one value, and nothing of it is shown unless both are the same span. */
function merge(found: readonly Found[]): readonly Found[] {
  const merged: Found[] = [];
  for (const span of found.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = merged.at(-1);
    if (last === undefined || span.start >= last.end) {
      merged.push(span);
      continue;
    }
    const isSame = span.start === last.start && span.end === last.end;
    const masks = [...last.masks, ...span.masks, ...(isSame ? [] : [redact])];
    merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, span.end), masks };
  }
  return merged;
}

/** A number that is a card, a telephone … by its digits: zero keeps the document's shape. */
export const maskNumberText = (text: string, masks: Pick<ContentMasks, "kinds" | "key">): string =>
  masks.kinds.length > 0 && text.length >= 8 && maskText(text, masks) !== text ? "0" : text;

/** For documents that are held as a whole. The same as `maskMessage` of engine/mcp asks for. */
export type DocumentMasker = {
  /** Some mask names JSON paths: text that isn't JSON can't be read by it. */
  readonly readsJson: boolean;
  /** What stands at the paths. */
  readonly maskPaths: (document: Json) => Json;
  /** Every kind of text that is looked for. */
  readonly maskText: (text: string) => string;
};

export function documentMasker(masks: ContentMasks): DocumentMasker {
  const { paths, key } = masks;
  const root = rootPlace(paths);
  return {
    readsJson: paths.length > 0,
    maskPaths: (document) => maskDocument(document, root, key),
    maskText: (text) => maskText(text, masks),
  };
}
