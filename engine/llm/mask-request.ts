// request to the model, masks -> the request with nothing unmasked for the model to read
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject, textField, withField } from "../lib/read-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type ContentMasker, TextMasker, UnmaskableError } from "../mcp/mask-text.ts";

export type Unmaskable = { readonly what: string };

/**
 * Changes text values, never structure: same masks, same text, so that the provider's cache of a prefix holds. The first
 * system block, ids, signatures and thinking are the model's or the client's own and stay as they are; if a mask finds
 * something in what must stay (thinking apart, which the provider has signed), the request is refused.
 */
export function maskRequest(body: JsonObject, masker: ContentMasker): Result<JsonObject, Unmaskable> {
  try {
    return ok(new RequestMasker(masker).body(body));
  } catch (error) {
    if (error instanceof UnmaskableError) return err({ what: error.what });
    throw error;
  }
}

class RequestMasker {
  readonly #text: TextMasker;

  constructor(masker: ContentMasker) {
    this.#text = new TextMasker(masker);
  }

  body(body: JsonObject): JsonObject {
    return this.#fields(body, (key, value) => {
      switch (key) {
        case "messages":
          return this.#list(value, (message) => this.#message(message));
        case "system":
          return this.#system(value);
        case "tools":
          return this.#list(value, (tool) => this.#tool(tool));
        default:
          return this.#keep(value, `\`${key}\``);
      }
    });
  }

  #fields(value: JsonObject, map: (key: string, item: Json) => Json): JsonObject {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, map(key, item)]));
  }

  #list(value: Json, map: (item: Json) => Json): Json {
    return Array.isArray(value) ? value.map(map) : this.#keep(value, "a list");
  }

  #system(value: Json): Json {
    if (!Array.isArray(value)) return this.#blocks(value);
    return value.map((block: Json, i) => (i === 0 ? this.#keep(block, "the first system block") : this.#block(block)));
  }

  #message(message: Json): Json {
    if (!isObject(message)) return this.#keep(message, "a message");
    return this.#fields(message, (key, value) =>
      key === "content" ? this.#blocks(value) : this.#keep(value, "a message"),
    );
  }

  /** Names and types are what calls refer to; descriptions and schemas are text. */
  #tool(tool: Json): Json {
    if (!isObject(tool)) return this.#keep(tool, "a tool");
    return this.#fields(tool, (key, value) =>
      key === "description" || key === "input_schema" ? this.#text.values(value) : this.#keep(value, "a tool"),
    );
  }

  #blocks(value: Json): Json {
    if (typeof value === "string") return this.#text.string(value);
    return this.#list(value, (block) => this.#block(block));
  }

  #block(block: Json): Json {
    if (!isObject(block)) return this.#keep(block, "content");
    switch (textField(block, "type")) {
      case "thinking":
      case "redacted_thinking":
        return block;
      case "text":
        return this.#members(block, {
          text: (value) => this.#blocks(value),
          citations: (value) => this.#text.values(value),
        });
      case "tool_use":
        return this.#members(block, { input: (value) => this.#text.values(value) });
      case "tool_result":
        return this.#members(block, { content: (value) => this.#blocks(value) });
      case "document":
        return this.#document(block);
      case "search_result":
        return this.#members(block, {
          content: (value) => this.#blocks(value),
          title: (value) => this.#blocks(value),
          source: (value) => this.#blocks(value),
        });
      case "image":
        throw new UnmaskableError("an image");
      default:
        throw new UnmaskableError("content of an unknown kind");
    }
  }

  #document(block: JsonObject): Json {
    const source = field(block, "source");
    const type = isObject(source) ? textField(source, "type") : undefined;
    if (!isObject(source) || (type !== "text" && type !== "content"))
      throw new UnmaskableError("a document that is not text");
    const masked = this.#members(source, {
      data: (value) => this.#blocks(value),
      content: (value) => this.#blocks(value),
    });
    return this.#members(withField(block, "source", masked), {
      source: (value) => value,
      title: (value) => this.#text.values(value),
      context: (value) => this.#text.values(value),
    });
  }

  #members(block: JsonObject, maps: Readonly<Record<string, (value: Json) => Json>>): JsonObject {
    return this.#fields(block, (key, value) => {
      const map = Object.hasOwn(maps, key) ? maps[key] : undefined;
      return map ? map(value) : this.#keep(value, "a block");
    });
  }

  /** Must stay: looked at, not changed. */
  #keep(value: Json, where: string): Json {
    if (JSON.stringify(this.#text.values(value)) !== JSON.stringify(value)) {
      throw new UnmaskableError(`something to mask in ${where}, which must not be changed`);
    }
    return value;
  }
}
