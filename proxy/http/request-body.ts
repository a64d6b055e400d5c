// bytes of a body + its headers -> what a policy may ask about it, and the one form in which it goes on
import { ContentFaultError } from "../../engine/content/content-fault.ts";
import { parseContentType } from "../../engine/content/content-type.ts";
import type { BodyFacts } from "../../engine/http/facts.ts";
import { httpFault } from "../../engine/http/faults.ts";
import { areAmbiguous, isMethodField } from "../../engine/http/field-names.ts";
import { fieldsJson, readForm, renderForm } from "../../engine/http/form.ts";
import type { Field, HttpFault } from "../../engine/http/request.ts";
import type { Json } from "../../engine/lib/json.ts";
import { readJson } from "../../engine/lib/read-json.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import type { Limits } from "../../engine/limits.ts";
import { decodeBody } from "./decode-body.ts";
import { readMultipart, renderMultipart } from "./multipart.ts";

export type ReadBody = {
  readonly facts: BodyFacts;
  /** What goes upstream: our own spelling of what was decided on. */
  readonly bytes: Uint8Array;
  /** Headers of the request that describe `bytes`. */
  readonly headers: readonly Field[];
};

/** A body of a type that nobody here reads goes on as it came, and is an unknown fact. */
export async function readRequestBody(
  raw: Uint8Array,
  headers: readonly Field[],
  limits: Limits,
): Promise<Result<ReadBody, HttpFault>> {
  const decoded = await decodeWhole(raw, headerValue(headers, "content-encoding"), limits);
  if (!decoded.ok) return decoded;
  const bytes = decoded.value;
  const others = headers.filter(([name]) => name !== "content-encoding");
  const bodySize = raw.byteLength;
  const said = headerValue(headers, "content-type");
  const type = said === undefined ? undefined : parseContentType(said);
  const unread = (): Result<ReadBody, HttpFault> =>
    ok({ facts: { body: new Unknown("the body has no content type that is read"), bodySize }, bytes: raw, headers });
  if (type === undefined || said === undefined) return unread();
  if (type.mime === "multipart/form-data") return readParts(said, bytes, bodySize, others);
  const isJson = /^application\/(?:[\w.-]+\+)?json$/.test(type.mime);
  if (!isJson && type.mime !== "application/x-www-form-urlencoded") return unread();
  if (!/^utf-?8$/i.test(type.charset ?? "utf-8")) return err(httpFault("body-coding-unknown", "send it in UTF-8"));
  const text = utf8(bytes);
  if (text === undefined) return err(httpFault("body-unreadable"));
  const whole = (body: Json, rendered: string): Result<ReadBody, HttpFault> =>
    ok({ facts: { body, bodySize }, bytes: Buffer.from(rendered, "utf8"), headers: others });
  if (isJson) {
    const json = readJson(text, limits.jsonDepthMax);
    return json.ok
      ? whole(json.value, JSON.stringify(json.value))
      : err(httpFault("body-unreadable", json.error.message));
  }
  const fields = readForm(text);
  if (fields === undefined) return err(httpFault("body-unreadable"));
  const fault = whyAmbiguous(fields);
  if (fault !== undefined) return err(fault);
  return whole(fieldsJson(fields), renderForm(fields));
}

/** Asking for another method, for another charset, or under a name that servers read differently. */
function whyAmbiguous(fields: readonly (readonly [string, Json])[]): HttpFault | undefined {
  if (fields.some(([name]) => isMethodField(name))) return httpFault("method-override");
  // https://html.spec.whatwg.org/#form-submission-algorithm: tells the server what the others are encoded in.
  if (fields.some(([name, value]) => name === "_charset_" && !(typeof value === "string" && /^utf-?8$/i.test(value))))
    return httpFault("body-coding-unknown", "send it in UTF-8");
  return areAmbiguous(fields.map(([name]) => name)) ? httpFault("fields-ambiguous") : undefined;
}

async function readParts(
  contentType: string,
  bytes: Uint8Array,
  bodySize: number,
  headers: readonly Field[],
): Promise<Result<ReadBody, HttpFault>> {
  const parts = await readMultipart(contentType, bytes);
  const rendered = parts && renderMultipart(parts);
  if (parts === undefined || rendered === undefined) return err(httpFault("body-unreadable"));
  const fields = parts.map(({ name, filename, contentType: type, bytes: content }): readonly [string, Json] => {
    const text = filename === undefined ? utf8(content) : undefined;
    const file = { filename: filename ?? null, content_type: type, size: content.byteLength };
    return [name, text ?? file];
  });
  const fault = whyAmbiguous(fields);
  if (fault !== undefined) return err(fault);
  return ok({
    facts: { body: fieldsJson(fields), bodySize },
    bytes: rendered.bytes,
    headers: headers.map(([name, value]): Field => [name, name === "content-type" ? rendered.contentType : value]),
  });
}

const headerValue = (headers: readonly Field[], name: string): string | undefined =>
  headers.find(([n]) => n === name)?.[1];

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

async function decodeWhole(
  raw: Uint8Array,
  coding: string | undefined,
  limits: Limits,
): Promise<Result<Uint8Array, HttpFault>> {
  async function* once(): AsyncGenerator<Uint8Array> {
    yield raw;
  }
  const body = decodeBody(coding, once());
  if (body === undefined) return err(httpFault("body-coding-unknown"));
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of body) {
      bytes += part.byteLength;
      if (bytes > limits.httpReadBodyBytesMax) return err(httpFault("body-too-large"));
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof ContentFaultError) return err(httpFault("body-unreadable"));
    throw error;
  }
  return ok(Buffer.concat(parts));
}
