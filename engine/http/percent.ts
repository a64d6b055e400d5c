// %XX <-> text, strictly: what can't be read one way only isn't read.

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One level of decoding; undefined for a bare `%`, or bytes that aren't UTF-8. */
export function percentDecode(text: string): string | undefined {
  if (!text.includes("%")) return text;
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit !== 0x25) {
      if (unit > 0x7f) return undefined;
      bytes.push(unit);
      continue;
    }
    const hex = text.slice(i + 1, i + 3);
    if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return undefined;
    bytes.push(Number.parseInt(hex, 16));
    i += 2;
  }
  try {
    return utf8.decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
}

/** A path segment: unreserved characters and harmless sub-delimiters stand for themselves. */
export const encodeSegment = (text: string): string =>
  encodeURIComponent(text).replace(/%(?:24|26|2B|2C|3D|3A|40)/g, (escaped) => decodeURIComponent(escaped));

/** A name or value of a query: everything that a server could read as a separator is escaped. */
export const encodeQueryPart = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
