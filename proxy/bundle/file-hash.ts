// a file of a bundle -> the hash that OPA's bundle signatures name: of the bytes, or of JSON documents in one fixed spelling
// https://www.openpolicyagent.org/docs/management-bundles#signature-format ; v1/bundle/hash.go
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { err, ok, type Result } from "../../engine/lib/result.ts";

/** OPA reads these into memory and hashes what it read, so that white space and the order of keys don't matter. */
const structured: ReadonlySet<string> = new Set(["data.json", ".manifest"]);

/** 64 hex digits (SHA-256). */
export function hashFile(name: string, bytes: Uint8Array): Result<string, string> {
  if (!structured.has(basename(name))) return ok(createHash("sha256").update(bytes).digest("hex"));
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const json: unknown = JSON.parse(text, keepNumbers);
    return ok(createHash("sha256").update(spell(json)).digest("hex"));
  } catch {
    return err(`\`${name}\` is not JSON in UTF-8`);
  }
}

/** A number as it is written: OPA doesn't turn `1.0` to `1` either. */
class NumberText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function keepNumbers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === "number" ? new NumberText(context?.source ?? String(value)) : value;
}

function spell(value: unknown): string {
  if (value instanceof NumberText) return value.text;
  if (Array.isArray(value)) return `[${value.map(spell).join(",")}]`;
  if (typeof value !== "object" || value === null) return spellPrimitive(value);
  const entries = Object.entries(value).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${entries.map(([key, inner]) => `${spellPrimitive(key)}:${spell(inner)}`).join(",")}}`;
}

/** As Go's encoder without HTML escapes: it also escapes the two line separators. */
const spellPrimitive = (value: unknown): string =>
  JSON.stringify(value).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
