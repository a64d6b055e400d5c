// request to a model -> how many tokens its input can come to at most
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject, textField } from "../lib/read-json.ts";
import { type Fact, Unknown } from "../lib/truth.ts";
import { limits } from "../limits.ts";

/**
 * A token stands for one byte of text or more, and the JSON around a text is longer than what the provider puts around
 * it: so the bytes of the request are a bound, about four times what is counted for English. An image counts as the
 * largest one. Unknown where the length says nothing: files that are not text, and what the provider adds by itself.
 */
export function inputBound(body: JsonObject, canonical: string, isAddedTo: boolean): Fact<number> {
  if (isAddedTo) return new Unknown("the provider adds to the input by itself");
  const images = imagesIn(field(body, "messages") ?? []);
  if (images === undefined) return new Unknown("the length of a file says nothing about its tokens");
  const bytes = Buffer.byteLength(canonical) - images.chars;
  return bytes + images.count * limits.llmImageTokensMax + limits.llmToolPromptTokensMax;
}

type Images = { readonly count: number; readonly chars: number };

/** undefined: something else than text and images. */
function imagesIn(value: Json): Images | undefined {
  if (Array.isArray(value)) {
    let sum: Images = { count: 0, chars: 0 };
    for (const item of value) {
      const found = imagesIn(item);
      if (found === undefined) return undefined;
      sum = { count: sum.count + found.count, chars: sum.chars + found.chars };
    }
    return sum;
  }
  if (!isObject(value)) return { count: 0, chars: 0 };
  const source = field(value, "source");
  if (isObject(source) && textField(source, "type") === "base64") {
    const data = textField(source, "data");
    return textField(value, "type") === "image" && data !== undefined ? { count: 1, chars: data.length } : undefined;
  }
  const inner = [field(value, "content"), isObject(source) ? field(source, "content") : undefined];
  return imagesIn(inner.filter((part) => part !== undefined));
}
