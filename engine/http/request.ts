// The one form of an HTTP request that is decided, recorded and forwarded.

/** What went wrong with a request that has no canonical form: answered with `status`, never forwarded. */
export type HttpFault = {
  /** 400 and its relatives for the client's faults, 502 to 504 for the upstream's. */
  readonly status: number;
  /** Stable, kebab-case; a row of `httpFaultCodes`. */
  readonly code: string;
  /** One lower-case sentence without content of the request. */
  readonly message: string;
  readonly help: string | undefined;
};

/** A name and a value, in the order in which they came. Names of headers are lower case. */
export type Field = readonly [name: string, value: string];

/** One parameter of a query or form. `hasEquals`: `?a=` and `?a` are told apart where they are forwarded. */
export type QueryParameter = { readonly name: string; readonly value: string; readonly hasEquals: boolean };

/**
 * INVARIANT: `path`, `query` and `headers` are what a policy sees, and `target` is their only spelling: two requests
 * that are equal here are forwarded as equal bytes.
 */
export type CanonicalRequest = {
  readonly method: string;
  /** Host that the client named, lower case, without a port. */
  readonly host: string;
  /** Below the connection's prefix: decoded once, dot segments and empty segments gone, no `/` at its end (but for `/`). */
  readonly path: string;
  readonly query: readonly QueryParameter[];
  /** `path` and `query` as they go upstream: percent-encoded in one way. Starts with `/`. */
  readonly target: string;
  /**
   * End-to-end headers: hop-by-hop ones, the client's credentials, forwarding headers and `host` are gone; repeated list
   * headers are joined, each name occurs once.
   */
  readonly headers: readonly Field[];
  readonly contentLength: ContentLength;
};

/** `chunked`: a body whose length is told at its end. */
export type ContentLength =
  | { readonly kind: "none" }
  | { readonly kind: "bytes"; readonly bytes: number }
  | { readonly kind: "chunked" };
