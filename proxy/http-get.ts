// One GET: bounded in time and bytes, redirects only where the caller follows them.
import { Agent, request } from "undici";
import { GatewayError } from "./errors.ts";

export type HttpTrust = {
  /** PEM; undefined: the system's. */
  readonly ca: string | undefined;
};
export type HttpAnswer = {
  readonly status: number;
  readonly headers: { readonly get: (name: string) => string | null };
  readonly body: Uint8Array;
};
export type HttpBounds = { readonly bytesMax: number; readonly timeoutMs: number; readonly signal: AbortSignal };
/** Rejects when nothing answers in time or the answer is too long. Header names in lower case. */
export type HttpGet = (
  url: string,
  headers: Readonly<Record<string, string>>,
  bounds: HttpBounds,
) => Promise<HttpAnswer>;

export function httpGetter(trust: HttpTrust): HttpGet {
  const dispatcher = new Agent({
    connections: 4,
    ...(trust.ca === undefined ? {} : { connect: { ca: trust.ca } }),
  });
  return async (url, headers, { bytesMax, timeoutMs, signal }) => {
    const response = await request(url, {
      dispatcher,
      headers,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response.body) {
      const bytes: Buffer = Buffer.from(chunk);
      size += bytes.length;
      if (size > bytesMax) {
        response.body.destroy();
        throw new GatewayError("bundle-refused", `the answer is longer than ${bytesMax} bytes`);
      }
      chunks.push(bytes);
    }
    const of = (name: string): string | null => {
      const value = response.headers[name];
      return value === undefined ? null : Array.isArray(value) ? (value[0] ?? null) : value;
    };
    return { status: response.statusCode, headers: { get: of }, body: Buffer.concat(chunks) };
  };
}
