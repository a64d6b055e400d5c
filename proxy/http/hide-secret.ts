// an upstream's answer -> the same without the credential that the gateway sent: servers repeat what they were asked
import type { Field } from "../../engine/http/request.ts";

/** Of a shorter text nobody could tell whether it is the secret. */
const bytesMin = 8;

/** Spellings in which servers repeat it: as it came, in a URL, in JSON. */
export function spellingsOf(secrets: readonly string[]): readonly string[] {
  const all = secrets.flatMap((secret) => {
    const json = JSON.stringify(secret).slice(1, -1);
    return [
      secret,
      encodeURIComponent(secret),
      new URLSearchParams([["", secret]]).toString().slice(1),
      json,
      json.replaceAll("/", "\\/"),
    ];
  });
  return [...new Set(all)].filter((text) => Buffer.byteLength(text) >= bytesMin).sort((a, b) => b.length - a.length);
}

export const hideInHeaders = (headers: readonly Field[], spellings: readonly string[]): readonly Field[] =>
  headers.map(
    ([name, value]): Field => [name, spellings.reduce((text, secret) => text.replaceAll(secret, "***"), value)],
  );

/** As many stars as bytes, so that lengths stay true. Holds back only what could be the beginning of a secret. */
export async function* hideInBody(
  body: AsyncIterable<Uint8Array>,
  spellings: readonly string[],
): AsyncGenerator<Uint8Array> {
  const needles = spellings.map((text) => Buffer.from(text, "utf8"));
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of body) {
    let bytes =
      rest.byteLength === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
        : Buffer.concat([rest, chunk]);
    for (const needle of needles) bytes = hidden(bytes, needle);
    const held = needles.reduce((most, needle) => Math.max(most, beginning(bytes, needle)), 0);
    rest = bytes.subarray(bytes.byteLength - held);
    if (held < bytes.byteLength) yield bytes.subarray(0, bytes.byteLength - held);
  }
  if (rest.byteLength > 0) yield rest;
}

function hidden(bytes: Buffer, needle: Buffer): Buffer {
  let at = bytes.indexOf(needle);
  if (at < 0) return bytes;
  const copy = Buffer.from(bytes);
  for (; at >= 0; at = copy.indexOf(needle, at + needle.byteLength)) copy.fill("*", at, at + needle.byteLength);
  return copy;
}

/** How many of the last bytes the secret may begin with. */
function beginning(bytes: Buffer, needle: Buffer): number {
  const most = Math.min(needle.byteLength - 1, bytes.byteLength);
  for (let length = most; length > 0; length -= 1) {
    const start = bytes.byteLength - length;
    if (bytes[start] === needle[0] && bytes.compare(needle, 0, length, start) === 0) return length;
  }
  return 0;
}
