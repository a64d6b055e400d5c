// a body that goes through unread -> the same, or a refusal: forms whose fields ask for another method don't arrive whole
import { parseContentType } from "../../engine/content/content-type.ts";
import { httpFault } from "../../engine/http/faults.ts";
import { type MethodFieldScanner, scanForm, scanMultipart } from "../../engine/http/method-field.ts";
import type { Field } from "../../engine/http/request.ts";
import { HttpFaultError } from "./incoming.ts";

/** Throws HttpFaultError before the piece with the field is passed on: an upstream doesn't act on a body that breaks off. */
export async function* withoutMethodField(
  body: AsyncIterable<Uint8Array>,
  headers: readonly Field[],
): AsyncGenerator<Uint8Array> {
  const scanner = scannerOf(headers);
  for await (const piece of body) {
    if (scanner?.push(piece)) throw new HttpFaultError(httpFault("method-override"));
    yield piece;
  }
}

function scannerOf(headers: readonly Field[]): MethodFieldScanner | undefined {
  const said = headers.find(([name]) => name === "content-type")?.[1];
  if (said === undefined || !/form/i.test(said)) return undefined;
  const coding = headers.find(([name]) => name === "content-encoding")?.[1] ?? "identity";
  if (coding.toLowerCase() !== "identity")
    throw new HttpFaultError(httpFault("body-coding-unknown", "send the form as it is"));
  const type = parseContentType(said);
  // Servers guess what a type in another spelling means.
  if (type === undefined)
    throw new HttpFaultError(httpFault("body-unreadable", "write the content type in its one form"));
  if (type.mime === "application/x-www-form-urlencoded") return scanForm();
  if (type.mime !== "multipart/form-data") return undefined;
  const boundary = type.parameters.get("boundary");
  if (boundary === undefined || boundary === "") throw new HttpFaultError(httpFault("body-unreadable"));
  return scanMultipart(boundary);
}
