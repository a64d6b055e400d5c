// an MCP server's message, masks -> the message with nothing unmasked in any of its places
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject, textField } from "../lib/read-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { RpcMessage } from "./json-rpc.ts";
import { type ContentMasker, readNested, TextMasker, UnmaskableError } from "./mask-text.ts";

export type Unmaskable = { readonly what: string };

/**
 * Data can hide in content blocks (text, often JSON inside a string; embedded resources; links), `structuredContent`,
 * `_meta`, messages and data of errors, progress messages, log data, descriptions, and in keys: so every string of a
 * message is masked, wherever it stands, and what is no text is refused.
 */
export function maskMessage(message: RpcMessage, masker: ContentMasker): Result<RpcMessage, Unmaskable> {
  try {
    return ok(maskParts(message, new Walker(masker)));
  } catch (error) {
    if (error instanceof UnmaskableError) return err({ what: error.what });
    throw error;
  }
}

function maskParts(message: RpcMessage, walker: Walker): RpcMessage {
  switch (message.kind) {
    case "result":
      return { ...message, result: walker.root(message.result) };
    case "error": {
      const data = message.data === undefined ? undefined : walker.data(message.data);
      return { ...message, message: walker.prose(message.message), data };
    }
    case "notification":
    case "request":
      return message.params === undefined ? message : { ...message, params: walker.root(message.params) };
    default:
      return message satisfies never;
  }
}

/** Members that hold documents of their own: JSON paths start there. */
const documents: ReadonlySet<string> = new Set(["structuredContent", "data", "_meta"]);

const contentTypes: ReadonlySet<string> = new Set(["text", "resource", "resource_link", "tool_use", "tool_result"]);

class Walker {
  readonly #masker: ContentMasker;
  readonly #text: TextMasker;

  constructor(masker: ContentMasker) {
    this.#masker = masker;
    this.#text = new TextMasker(masker);
  }

  /** A document that JSON paths are about. */
  document(value: Json): Json {
    return this.#text.values(this.#masker.maskPaths(value));
  }

  /** A whole result: what stands in it beside MCP's own members is a document too. */
  root(value: JsonObject): JsonObject {
    const masked = this.#masker.maskPaths(value);
    if (!isObject(masked)) throw new UnmaskableError("nothing but what is masked");
    return this.object(masked);
  }

  /** Data of an error or a log line: a document, or a text for people. */
  data(value: Json): Json {
    return typeof value === "string" ? this.prose(value) : this.document(value);
  }

  object(value: JsonObject): JsonObject {
    const blob = field(value, "blob");
    if (blob !== undefined) return this.#resource(value, blob);
    return this.#fields(value);
  }

  /** Text for people: where masks read JSON only, it is left out as a whole. */
  prose(text: string): string {
    try {
      return this.text(text);
    } catch (error) {
      if (!(error instanceof UnmaskableError)) throw error;
      return "[withheld by the gateway: masks of JSON can't read this text]";
    }
  }

  /** JSON in a string is read as JSON, also JSON in its strings: an escape must not hide anything. */
  text(text: string): string {
    if (text.trim() === "") return text;
    const parsed = readNested(text);
    if (parsed !== undefined)
      return this.#text.inner(() => JSON.stringify(this.document(parsed), null, indentOf(text)));
    const lines = readLines(text);
    if (lines !== undefined) {
      return this.#text.inner(() => lines.map((line) => JSON.stringify(this.document(line))).join("\n"));
    }
    if (this.#masker.readsJson) throw new UnmaskableError("text that is not JSON, which masks of JSON can't read");
    return this.#text.plain(text);
  }

  #fields(value: JsonObject): JsonObject {
    const type = textField(value, "type");
    if (Object.hasOwn(value, "data") && (type === "image" || type === "audio" || Object.hasOwn(value, "mimeType"))) {
      throw new UnmaskableError(
        type === "image" ? "an image" : type === "audio" ? "a sound" : "a file that is not text",
      );
    }
    // The kind of a block, or its address, may be what a mask has removed.
    const isNamed = type === "text" || Object.hasOwn(value, "uri");
    const isText = isNamed || (this.#masker.readsJson && !Object.hasOwn(value, "type"));
    return this.#text.entries(value, (key, item) => {
      if (documents.has(key)) return this.data(item);
      if (isText && key === "text" && typeof item === "string") return this.text(item);
      if (key === "content" || key === "contents") return this.#content(item);
      if (key === "message" && typeof item === "string") return this.prose(item);
      return this.#value(item);
    });
  }

  /** Blocks of kinds that nobody knows are not passed: what is in them can't be told. */
  #content(value: Json): Json {
    const blocks: readonly Json[] = Array.isArray(value) ? value : [value];
    for (const block of blocks) {
      const type = isObject(block) ? field(block, "type") : undefined;
      if (type === undefined || type === "image" || type === "audio") continue;
      if (typeof type !== "string" || !contentTypes.has(type)) throw new UnmaskableError("content of an unknown kind");
    }
    return this.#value(value);
  }

  /** A file: text in base64 is masked like text, other bytes can't be. */
  #resource(value: JsonObject, blob: Json): JsonObject {
    const mime = textField(value, "mimeType") ?? "";
    if (typeof blob !== "string" || !/^(?:text\/|application\/(?:[\w.+-]*\+)?(?:json|xml|yaml)\b)/i.test(mime)) {
      throw new UnmaskableError("a file that is not text");
    }
    const text = decodeUtf8(Buffer.from(blob, "base64"));
    if (text === undefined) throw new UnmaskableError("a file that is not UTF-8 text");
    const masked = Buffer.from(this.text(text), "utf8").toString("base64");
    return this.#text.entries(value, (key, item) => (key === "blob" ? masked : this.#value(item)));
  }

  #value(value: Json): Json {
    if (Array.isArray(value)) return value.map((item: Json) => this.#value(item));
    return isObject(value) ? this.object(value) : this.#text.values(value);
  }
}

/** One JSON object a line. */
function readLines(text: string): readonly Json[] | undefined {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length < 2) return undefined;
  const parsed = lines.map((line) => (/^\s*[{[]/.test(line) ? readNested(line) : undefined));
  return parsed.every((line) => line !== undefined) ? parsed : undefined;
}

const indentOf = (text: string): number => (/^[{[]\n {2}\S/.test(text) ? 2 : 0);

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
