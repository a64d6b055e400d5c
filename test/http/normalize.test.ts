// One canonical form, or none: what every spelling of a request becomes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { canonicalRequest, pickRoute, type RawRequest, readRequest } from "../../engine/http/normalize.ts";
import type { Field } from "../../engine/http/request.ts";

const options = { tokenHeaders: ["x-api-key"] };
const route = { prefix: [], isCaseInsensitive: false, ownHeaders: new Set<string>(), passCookies: false };

const raw = (target: string, headers: readonly Field[] = [["Host", "api.test"]], method = "GET"): RawRequest => ({
  method,
  target,
  headers,
  authority: undefined,
});

function codeOf(request: RawRequest): string {
  const read = readRequest(request, options);
  return read.ok ? "ok" : read.error.code;
}

function canonical(request: RawRequest) {
  const read = readRequest(request, options);
  if (!read.ok) throw new Error(read.error.code);
  return canonicalRequest(read.value, route);
}

describe("a request's target", () => {
  const same: readonly (readonly [what: string, target: string, path: string, forwarded: string])[] = [
    ["is a path", "/v1/users", "/v1/users", "/v1/users"],
    ["loses dot segments", "/v1/./a/../users", "/v1/users", "/v1/users"],
    ["loses encoded dot segments", "/v1/%2e/a/%2E%2e/users", "/v1/users", "/v1/users"],
    ["loses empty segments", "//v1///users", "/v1/users", "/v1/users"],
    ["is decided without the slash at its end, and forwarded with it", "/v1/users/", "/v1/users", "/v1/users/"],
    ["keeps a slash that a dot segment leaves", "/v1/users/a/..", "/v1/users", "/v1/users/"],
    ["is decoded once and encoded one way", "/v1/%75sers/a%20b%C3%A9", "/v1/users/a bé", "/v1/users/a%20b%C3%A9"],
    ["keeps the case of its letters", "/V1/Users", "/V1/Users", "/V1/Users"],
    ["may be a URL of the host", "http://API.test/v1/users", "/v1/users", "/v1/users"],
    ["is / when it is a URL without a path", "http://api.test", "/", "/"],
    ["has its query decoded and encoded one way", "/v1?a=%41&b=x+y&c&d=", "/v1", "/v1?a=A&b=x%20y&c&d="],
    ["drops empty parameters", "/v1?&&a=1&", "/v1", "/v1?a=1"],
    ["escapes what some servers split a query at", "/v1?a=1;b=2", "/v1", "/v1?a=1%3Bb%3D2"],
  ];
  for (const [what, target, path, forwarded] of same) {
    test(what, () => {
      const request = canonical(raw(target));
      assert.deepEqual([request.path, request.target], [path, forwarded]);
    });
  }

  const refused: readonly (readonly [what: string, target: string, code: string])[] = [
    ["an encoded slash", "/v1/a%2Fb", "path-ambiguous"],
    ["an encoded backslash", "/v1/a%5cb", "path-ambiguous"],
    ["a backslash", "/v1/a\\b", "target-malformed"],
    ["two levels of encoding", "/v1/%252e%252e/admin", "path-ambiguous"],
    ["an overlong encoding of a slash", "/v1/%c0%af", "path-not-utf8"],
    ["a NUL", "/v1/a%00", "path-ambiguous"],
    ["a line feed", "/v1/a%0a", "path-ambiguous"],
    ["parameters of a segment", "/v1/admin;x=1/users", "path-ambiguous"],
    ["encoded parameters of a segment", "/v1/admin%3bx/users", "path-ambiguous"],
    ["IIS's own escapes", "/v1/%u002e%u002e", "target-malformed"],
    ["a full-width dot", "/v1/%EF%BC%8E%EF%BC%8E", "path-ambiguous"],
    ["a full-width slash", "/v1/a%EF%BC%8Fb", "path-ambiguous"],
    ["a letter in two code points", "/v1/e%CC%81", "path-not-normalised"],
    ["a dot that Windows trims", "/v1/admin.", "path-ambiguous"],
    ["a blank that Windows trims", "/v1/admin%20", "path-ambiguous"],
    ["a path above the root", "/../etc", "path-escapes-root"],
    ["a path above the root, encoded", "/v1/%2e%2e/..", "path-escapes-root"],
    ["a bare percent sign", "/v1/100%", "target-malformed"],
    ["a fragment", "/v1/a#b", "target-malformed"],
    ["a blank", "/v1/a b", "target-malformed"],
    ["raw bytes", "/v1/\u00e9", "target-malformed"],
    ["an asterisk", "*", "target-form"],
    ["an authority alone", "api.test:443", "target-form"],
    ["a URL of another host", "http://evil.test/v1", "target-form"],
    ["a URL with a user", "http://a@api.test/v1", "target-form"],
    ["a URL of another port", "http://api.test:81/v1", "target-form"],
    ["another scheme", "file:///etc/passwd", "target-form"],
    ["a method in the query", "/v1?_method=DELETE", "method-override"],
    ["a method in the query, encoded", "/v1?_metho%64=DELETE", "method-override"],
    ["a NUL in the query", "/v1?a=%00", "target-malformed"],
    ["a query that isn't UTF-8", "/v1?a=%ff", "path-not-utf8"],
  ];
  for (const [what, target, code] of refused) {
    test(`is refused with ${what}`, () => assert.equal(codeOf(raw(target)), code));
  }

  test("is decided and forwarded in lower case where the upstream doesn't tell cases apart", () => {
    const read = readRequest(raw("/V1/Users?Q=A"), options);
    assert.ok(read.ok);
    const request = canonicalRequest(read.value, { ...route, isCaseInsensitive: true });
    assert.deepEqual([request.path, request.target], ["/v1/users", "/v1/users?Q=A"]);
  });
});

describe("a request's host and headers", () => {
  const host: Field = ["Host", "api.test"];
  const rows: readonly (readonly [what: string, headers: readonly Field[], code: string, method?: string])[] = [
    ["no host", [], "host-malformed"],
    ["two hosts", [host, ["Host", "evil.test"]], "host-malformed"],
    ["a host with a path", [["Host", "api.test/x"]], "host-malformed"],
    ["a host with a user", [["Host", "a@api.test"]], "host-malformed"],
    ["length told twice", [host, ["Content-Length", "1"], ["Content-Length", "1"]], "framing-ambiguous", "POST"],
    [
      "length and chunks",
      [host, ["Content-Length", "1"], ["Transfer-Encoding", "chunked"]],
      "framing-ambiguous",
      "POST",
    ],
    ["a signed length", [host, ["Content-Length", "+1"]], "framing-ambiguous", "POST"],
    ["a list of codings", [host, ["Transfer-Encoding", "gzip, chunked"]], "framing-ambiguous", "POST"],
    ["a coding that is spelled otherwise", [host, ["Transfer-Encoding", "xchunked"]], "framing-ambiguous", "POST"],
    ["a body of a GET", [host, ["Content-Length", "1"]], "body-unexpected"],
    ["a method in a header", [host, ["X-HTTP-Method-Override", "DELETE"]], "method-override", "POST"],
    ["a method in Microsoft's header", [host, ["x-http-method", "DELETE"]], "method-override", "POST"],
    ["another target in a header", [host, ["X-Original-URL", "/admin"]], "header-refused"],
    ["an underscore that CGI reads as a hyphen", [host, ["x_http_method_override", "DELETE"]], "header-malformed"],
    ["a header twice", [host, ["X-Tenant", "a"], ["X-Tenant", "b"]], "header-repeated"],
    ["a token twice", [host, ["Authorization", "Bearer a"], ["Authorization", "Bearer b"]], "header-repeated"],
    ["bytes beyond ASCII", [host, ["X-Tenant", "\u00e9"]], "header-malformed"],
    ["a control character", [host, ["X-Tenant", "a\u000bb"]], "header-malformed"],
    ["a header that Connection would take away", [host, ["Connection", "close, x-tenant"]], "connection-option"],
    ["another expectation", [host, ["Expect", "200-ok"]], "expectation-unknown", "POST"],
    ["a method that isn't served", [host], "method-unknown", "TRACE"],
    ["a method in lower case", [host], "method-unknown", "get"],
  ];
  for (const [what, headers, code, method] of rows) {
    test(`are refused with ${what}`, () => assert.equal(codeOf(raw("/", headers, method)), code));
  }

  test("go on without what is hop by hop, secret or a claim about who asks", () => {
    const request = canonical(
      raw("/", [
        host,
        ["Authorization", "Bearer x"],
        ["X-Api-Key", "x"],
        ["Proxy-Authorization", "x"],
        ["Connection", "keep-alive, Upgrade"],
        ["Upgrade", "h2c"],
        ["TE", "trailers"],
        ["X-Forwarded-For", "1.2.3.4"],
        ["Forwarded", "for=1.2.3.4"],
        ["X-Real-IP", "1.2.3.4"],
        ["Cookie", "a=b"],
        ["X-GW-Session", "s"],
        ["Accept", "a/b"],
        ["Accept", "c/d"],
        ["X-Tenant", " t "],
      ]),
    );
    assert.deepEqual(request.headers, [
      ["accept", "a/b, c/d"],
      ["x-tenant", "t"],
    ]);
  });

  test("name one host in HTTP/2, in :authority and Host alike", () => {
    const with2 = (h: string) => codeOf({ ...raw("/", [["host", h]]), authority: "api.test" });
    assert.deepEqual([with2("api.test"), with2("evil.test")], ["ok", "host-malformed"]);
  });
});

describe("a route", () => {
  const routes = [
    { name: "all", hosts: [], prefix: [] },
    { name: "crm", hosts: [], prefix: ["crm"] },
    { name: "crm-host", hosts: ["crm.test"], prefix: ["crm"] },
    { name: "crm-v2", hosts: [], prefix: ["crm", "v2"] },
  ];
  const rows: readonly (readonly [host: string, target: string, name: string])[] = [
    ["a.test", "/x", "all"],
    ["a.test", "/crm/x", "crm"],
    ["a.test", "/crmx", "all"],
    ["a.test", "/crm/../x", "all"],
    ["a.test", "/x/../crm", "crm"],
    ["crm.test", "/crm/x", "crm-host"],
    ["crm.test", "/crm/v2/x", "crm-v2"],
  ];
  for (const [host, target, name] of rows) {
    test(`of ${host}${target} is ${name}`, () => {
      const read = readRequest(raw(target, [["Host", host]]), options);
      assert.equal(read.ok && pickRoute(routes, read.value.target)?.name, name);
    });
  }
});

// ---- laws

const segment = fc.string({
  unit: fc.constantFrom(..."abcXYZ019-._~!$&'()*+,=:@ é%".split("")),
  minLength: 1,
  maxLength: 6,
});
const word = fc.string({ unit: fc.constantFrom(..."ab=&+;%/ ?é[]".split("")), maxLength: 5 });

/** Every character as it is, or escaped in either case. */
const encodeAtRandom = (text: string, safe: RegExp, coins: () => number): string =>
  [...text]
    .map((c) => {
      if (safe.test(c) && coins() % 2 === 0) return c;
      const escaped = [...Buffer.from(c)].map((b) => `%${b.toString(16).padStart(2, "0")}`).join("");
      return coins() % 2 === 0 ? escaped : escaped.toUpperCase();
    })
    .join("");

function spell(
  segments: readonly string[],
  query: readonly (readonly [string, string])[],
  seed: readonly number[],
): string {
  let at = 0;
  const coins = (): number => seed[at++ % seed.length] ?? 0;
  const noise = (): string => ["", "/", "/.", "/%2e", "/x/..", "/x/%2E."][coins() % 6] ?? "";
  const path = segments.map((s) => `${noise()}/${encodeAtRandom(s, /[A-Za-z0-9\-._~!$&'()*+,=:@]/, coins)}`).join("");
  const parts = query.map(
    ([n, v]) => `${encodeAtRandom(n, /[a-z[\]]/, coins)}=${encodeAtRandom(v, /[a-z[\]]/, coins)}`,
  );
  return `${path}${parts.length === 0 ? "" : `?${parts.join(coins() % 2 === 0 ? "&" : "&&")}`}`;
}

const seeds = fc.array(fc.nat(1_000), { minLength: 8, maxLength: 40 });

test("law: every spelling of a request has the same canonical form, or none", () => {
  fc.assert(
    fc.property(
      fc.array(segment, { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(word, word), { maxLength: 3 }),
      seeds,
      seeds,
      (segments, query, one, other) => {
        const [a, b] = [one, other].map((seed) => readRequest(raw(spell(segments, query, seed)), options));
        assert.equal(a?.ok, b?.ok);
        if (a?.ok && b?.ok) assert.deepEqual(canonicalRequest(a.value, route), canonicalRequest(b.value, route));
      },
    ),
    { numRuns: 2_000 },
  );
});

test("law: the canonical form is its own canonical form, and reading never throws", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii", maxLength: 40 }), (text) => {
      const read = readRequest(raw(`/${text}`), options);
      if (!read.ok) return;
      const once = canonicalRequest(read.value, route);
      assert.deepEqual(canonical(raw(once.target)), once);
    }),
    { numRuns: 3_000 },
  );
});
