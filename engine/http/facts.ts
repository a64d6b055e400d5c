// canonical request -> what a policy may ask about it
import type { Json } from "../lib/json.ts";
import { type Fact, Unknown } from "../lib/truth.ts";
import type { HttpFacts } from "../model/request.ts";
import { isTaken } from "./field-names.ts";
import type { CanonicalRequest, QueryParameter } from "./request.ts";

/** A body as far as it is known: `unread` tells that a rule asked for it. */
export type BodyFacts = { readonly body: Fact<Json | undefined>; readonly bodySize: Fact<number> };

/** `body` is asked only when a rule reads it: that is how the gateway finds out whether it must. */
export function httpFacts(request: CanonicalRequest, readBody: () => BodyFacts, operation?: string): HttpFacts {
  const query = queryFacts(request.query);
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of request.headers) headers[name] = value;
  return {
    method: request.method,
    host: request.host,
    path: request.path,
    query,
    headers,
    operation,
    get body() {
      return readBody().body;
    },
    get bodySize() {
      const { contentLength } = request;
      if (contentLength.kind === "none") return 0;
      return contentLength.kind === "bytes" ? contentLength.bytes : readBody().bodySize;
    },
  };
}

/** Servers take the first, the last or all of repeated parameters: a rule that reads the query can't know which. */
export function queryFacts(parameters: readonly QueryParameter[]): Fact<Readonly<Record<string, string>>> {
  const values: Record<string, string> = Object.create(null);
  const names = new Set<string>();
  for (const { name, value } of parameters) {
    if (name in values || isTaken(names, name)) return new Unknown("a parameter of the query is repeated");
    values[name] = value;
  }
  return values;
}
