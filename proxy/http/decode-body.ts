// content coding + bytes -> the bytes that were encoded; a small body can't become an endless one
import { pipeline, Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { unreadable } from "../../engine/content/content-fault.ts";
import { limits } from "../../engine/limits.ts";

const decoders = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
} as const;

/** Expansion that small bodies may have: repetition alone makes a short document shrink a hundredfold. */
const freeBytes = 1_048_576;

/**
 * `coding`: of Content-Encoding; undefined or `identity` for none. Undefined: nobody knows the coding.
 * The stream throws ContentFaultError for what isn't in the coding, or grows beyond `contentExpansionMax`.
 */
export function decodeBody(
  coding: string | undefined,
  body: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> | undefined {
  const name = coding?.trim().toLowerCase() ?? "identity";
  if (name === "identity" || name === "") return body;
  if (!Object.hasOwn(decoders, name)) return undefined;
  return decode(decoders[name as keyof typeof decoders], body);
}

async function* decode(
  createDecoder: (typeof decoders)[keyof typeof decoders],
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let encoded = 0;
  let decoded = 0;
  let bodyError: unknown;
  async function* counted(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of body) {
        encoded += chunk.byteLength;
        yield chunk;
      }
    } catch (error) {
      bodyError = error;
      throw error;
    }
  }
  const decoder = createDecoder();
  // The error is heard of by the loop below, which reads the decoder.
  pipeline(Readable.from(counted(), { objectMode: false }), decoder, () => undefined);
  try {
    for await (const chunk of decoder as AsyncIterable<Uint8Array>) {
      decoded += chunk.byteLength;
      if (decoded > freeBytes && decoded > encoded * limits.contentExpansionMax) {
        throw unreadable("a body that grows out of proportion when it is decoded");
      }
      yield chunk;
    }
  } catch (error) {
    if (bodyError !== undefined) throw bodyError;
    if (error instanceof Error && "code" in error) throw unreadable("a body that isn't in its content coding");
    throw error;
  } finally {
    decoder.destroy();
  }
}
