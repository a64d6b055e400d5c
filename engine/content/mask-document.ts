// a JSON document, the places that masks name -> the document with what stands there masked, or gone
import type { Json } from "../lib/json.ts";
import { isObject } from "../lib/read-json.ts";
import { type MaskKey, maskJsonValue } from "./mask-value.ts";
import { elementPlace, fieldPlace, isRemoved, type Place } from "./path-states.ts";

/**
 * A copy; parts without a mask are shared. Indexes are those of the document as it came. As deep as the document, which its
 * reader has bounded. The root isn't removed: `readContentMasks` has refused such a mask.
 */
export function maskDocument(value: Json, place: Place, key: MaskKey): Json {
  if (place.mask !== undefined) return maskJsonValue(value, place.mask, key);
  if (place.states.length === 0) return value;
  if (Array.isArray(value)) {
    return value.flatMap((item: Json, i): readonly Json[] => {
      const inner = elementPlace(place, i);
      return isRemoved(inner) ? [] : [maskDocument(item, inner, key)];
    });
  }
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, item]): readonly (readonly [string, Json])[] => {
      const inner = fieldPlace(place, name);
      return isRemoved(inner) ? [] : [[name, maskDocument(item, inner, key)]];
    }),
  );
}
