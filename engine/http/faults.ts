// Why a request has no canonical form, or an exchange fails: stable codes with their status, one table.
import type { HttpFault } from "./request.ts";

/** Code → status and what the client is told; tested equal to docs/error-codes.md. */
export const httpFaults = {
  // the request line
  "target-malformed": [400, "the request's target has a character or an escape that a URL doesn't have"],
  "target-form": [400, "the request's target must be a path, or a URL of the host that the `Host` header names"],
  "path-ambiguous": [
    400,
    "the path hides a separator, a dot segment or a second encoding that servers read differently",
  ],
  "path-escapes-root": [400, "the path climbs above its root"],
  "path-not-utf8": [400, "the path or query isn't UTF-8"],
  "path-not-normalised": [400, "the path isn't in Unicode's form NFC"],
  "query-too-many": [400, "the query has too many parameters"],
  "method-override": [
    400,
    "a parameter or header asks for another method than the request's: send the method you mean",
  ],
  "method-unknown": [501, "this method isn't served: use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS"],
  "host-malformed": [400, "the request names no host, several, or one that isn't a host name"],
  "route-unknown": [404, "no connection here serves this host and path"],
  "parameter-reserved": [400, "a parameter of the query has the name of the gateway's own credential"],
  // headers
  "header-malformed": [400, "a header has a name or value that servers read differently"],
  "header-repeated": [400, "a header that stands once was sent several times"],
  "header-refused": [400, "a header asks the server to serve another target than the request's"],
  "connection-option": [400, "the `Connection` header names a header that isn't its own"],
  "framing-ambiguous": [
    400,
    "the length of the request's body is told in two ways, or in a way that servers read differently",
  ],
  "body-unexpected": [400, "a GET or HEAD request with a body means different things to different servers"],
  "expectation-unknown": [417, "only `Expect: 100-continue` is understood"],
  "session-malformed": [400, "the session header has letters, digits, `.`, `_`, `:` and `-`, at most 128"],
  "headers-too-large": [431, "the request's headers are too large"],
  "request-malformed": [400, "the request can't be read as HTTP"],
  "request-timeout": [408, "the request took too long to arrive"],
  // bodies
  "body-too-large": [413, "the request's body is larger than this connection takes"],
  "body-unreadable": [400, "the request's body isn't what its content type says"],
  "fields-ambiguous": [400, "the form has fields whose names servers read differently"],
  "body-coding-unknown": [415, "the request's body has a content coding that isn't understood"],
  "body-aborted": [400, "the request's body ended early"],
  // login
  "token-missing": [401, "this needs a bearer token"],
  // upgrades
  "upgrade-refused": [403, "this connection doesn't let WebSockets through"],
  // the upstream
  "upstream-unreachable": [502, "the upstream can't be reached"],
  "upstream-timeout": [504, "the upstream took too long to answer"],
  "upstream-failed": [502, "the upstream's answer can't be read"],
  "too-busy": [503, "too many requests are running"],
  // answers
  "answer-unreadable": [502, "the answer is in a form that the masks of a rule can't read"],
  "answer-too-large": [502, "the answer is larger than a rule allows"],
  "answer-schema": [502, "the masked answer doesn't fit its schema"],
  "mask-preconditions": [403, "`If-Match` and `If-Unmodified-Since` would ask about masked content"],
  // approvals
  "approval-body-too-large": [413, "a request that waits for people must have a smaller body: they read it"],
} as const satisfies Readonly<Record<string, readonly [number, string]>>;

export type HttpFaultCode = keyof typeof httpFaults;

export const httpFault = (code: HttpFaultCode, help?: string): HttpFault => ({
  status: httpFaults[code][0],
  code,
  message: httpFaults[code][1],
  help,
});
