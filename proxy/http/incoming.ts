// node's request and response -> raw request, body, answer
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Writable } from "node:stream";
import { httpFault } from "../../engine/http/faults.ts";
import type { RawRequest } from "../../engine/http/normalize.ts";
import type { Field, HttpFault } from "../../engine/http/request.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { HttpAnswer, RequestBody, ResponseHead, ResponseSink } from "./exchange.ts";

export type Incoming = IncomingMessage | Http2ServerRequest;
export type Outgoing = ServerResponse | Http2ServerResponse;

/** `target`: before any framework has rewritten it. */
export function rawRequestOf(request: Incoming, target: string): RawRequest {
  const headers: Field[] = [];
  let authority: string | undefined;
  const { rawHeaders } = request;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? "";
    const value = rawHeaders[i + 1] ?? "";
    if (name === ":authority") authority = value;
    if (!name.startsWith(":")) headers.push([name, value]);
  }
  return { method: request.method ?? "", target, headers, authority };
}

/** A body that ended early, or was too long, while it was passed on. */
export class HttpFaultError extends Error {
  override readonly name = "HttpFaultError";
  readonly fault: HttpFault;
  constructor(fault: HttpFault) {
    super(fault.code);
    this.fault = fault;
  }
}

/** `proceed` tells a client that waits for it to send the body. `timeoutMs`: to its last byte; HTTP/2 streams have no other clock. */
export function requestBodyOf(
  request: Incoming,
  bytesMax: number,
  timeoutMs: number,
  proceed: () => void,
): RequestBody {
  async function* chunks(max: number): AsyncGenerator<Uint8Array> {
    proceed();
    let bytes = 0;
    const late = new HttpFaultError(httpFault("request-timeout"));
    const timer = setTimeout(() => request.destroy(late), timeoutMs);
    timer.unref();
    try {
      for await (const chunk of request) {
        bytes += chunk.length;
        if (bytes > max) throw new HttpFaultError(httpFault("body-too-large"));
        yield chunk;
      }
    } catch (error) {
      throw error instanceof HttpFaultError ? error : new HttpFaultError(httpFault("body-aborted"));
    } finally {
      clearTimeout(timer);
    }
    if (!request.complete) throw new HttpFaultError(httpFault("body-aborted"));
  }
  return {
    chunks: () => chunks(bytesMax),
    bytes: async (max): Promise<Result<Uint8Array, HttpFault>> => {
      const parts: Uint8Array[] = [];
      try {
        for await (const chunk of chunks(Math.min(max, bytesMax))) parts.push(chunk);
      } catch (error) {
        if (error instanceof HttpFaultError) return err(error.fault);
        throw error;
      }
      return ok(Buffer.concat(parts));
    },
  };
}

/** Names that repeat (Set-Cookie) become lists. HTTP/2 takes the same shape. */
export function headersObject(fields: readonly Field[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of fields) {
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else if (typeof known === "string") headers[name] = [known, value];
    else known.push(value);
  }
  return headers;
}

export class AnswerWriter {
  readonly #response: Outgoing;
  readonly #isHttp2: boolean;
  /** On an HTTP/1 connection that can't be used again: a body was announced that nobody read. */
  readonly #mustClose: () => boolean;
  #state: "unanswered" | "streaming" | "answered" | "destroyed" = "unanswered";

  constructor(response: Outgoing, mustClose: () => boolean) {
    this.#response = response;
    this.#isHttp2 = "stream" in response;
    this.#mustClose = mustClose;
  }

  get hasBegun(): boolean {
    return this.#state !== "unanswered";
  }

  answer({ status, headers, body }: HttpAnswer): void {
    if (this.#state !== "unanswered") return;
    this.#state = "answered";
    const bytes = typeof body === "string" ? Buffer.from(body, "utf8") : body;
    this.#writeHead(status, [
      ...headers.filter(([name]) => name !== "content-length"),
      ["content-length", String(bytes.byteLength)],
    ]);
    this.#response.end(bytes);
  }

  stream({ status, headers }: ResponseHead): ResponseSink {
    this.#state = "streaming";
    this.#writeHead(status, headers);
    // An answer of known length goes out with its first bytes: one packet instead of two.
    const isSized = headers.some(([name]) => name === "content-length");
    if (!isSized && "flushHeaders" in this.#response) this.#response.flushHeaders();
    let written = 0;
    return {
      write: (chunk) => {
        written += typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.byteLength;
        return this.#write(chunk);
      },
      end: () => {
        this.#state = "answered";
        this.#response.end();
      },
      bytes: () => written,
    };
  }

  destroy(): void {
    if (this.#state === "answered" || this.#state === "destroyed") return;
    this.#state = "destroyed";
    if ("stream" in this.#response) this.#response.stream.close(2);
    else this.#response.destroy();
  }

  #writeHead(status: number, fields: readonly Field[]): void {
    const headers = headersObject(fields);
    if (!this.#isHttp2 && this.#mustClose()) headers.connection = "close";
    const response = this.#response;
    if ("stream" in response) response.writeHead(status, headers);
    else response.writeHead(status, headers);
  }

  #write(chunk: Uint8Array | string): Promise<void> {
    const response: Writable = this.#response;
    if (this.#state !== "streaming" || response.writableEnded || response.destroyed) {
      return Promise.reject(new Error("the client is gone"));
    }
    const hasRoom = response.write(chunk);
    if (hasRoom) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => () => {
        response.off("drain", onDrain);
        response.off("close", onClose);
        end();
      };
      const onDrain = settle(resolve);
      const onClose = settle(() => reject(new Error("the client is gone")));
      response.on("drain", onDrain);
      response.on("close", onClose);
    });
  }
}
