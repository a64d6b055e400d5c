// Laws of what an MCP server's messages become: nothing unmasked passes, nothing unknown passes, twins look alike.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { documentMasker, readContentMasks } from "../../engine/content/masker.ts";
import { EventReader, type StreamEvent, writeEvent } from "../../engine/lib/event-stream.ts";
import type { Json } from "../../engine/lib/json.ts";
import { canonicalJson, readJson } from "../../engine/lib/read-json.ts";
import { readMessage, writeMessage } from "../../engine/mcp/json-rpc.ts";
import { compileSchema } from "../../engine/mcp/json-schema.ts";
import { maskMessage } from "../../engine/mcp/mask-message.ts";
import { headerValue } from "../../engine/mcp/tools.ts";
import type { ContentMask, RuleId } from "../../engine/model/decision.ts";

const maskOf = (masks: readonly ContentMask[]) => {
  const read = readContentMasks(masks, Buffer.from("0123456789abcdef"));
  if (!read.ok) throw new Error(read.error);
  return documentMasker(read.value);
};
const mails = maskOf([
  { content: { format: "text", patterns: ["email"] }, mask: { kind: "redact" }, rule: "a.mails" as RuleId },
]);
const ibans = maskOf([
  { content: { format: "json", patterns: ["$.iban"] }, mask: { kind: "redact" }, rule: "a.ibans" as RuleId },
]);
const result = (value: { readonly [key: string]: Json }) => ({ kind: "result", id: 1, result: value }) as const;

/** A document that holds `secret` somewhere, however deep, escaped, or as a key. */
const holding = (secret: string): fc.Arbitrary<Json> =>
  fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constant(`write to ${secret} today`),
      fc.constant(secret),
      fc.record({ type: fc.constant("text"), text: fc.constant(`<${secret}>`) }),
      tie("value").map((inner): Json => ({ [`to ${secret}`]: inner })),
      tie("value").map((inner): Json => JSON.stringify(inner).replaceAll("@", "\\u0040")),
      fc.array(tie("value"), { minLength: 1, maxLength: 3 }),
      tie("value").map((inner): Json => ({ structuredContent: inner, _meta: { x: inner } })),
    ),
  })).value;

test("no place of a message shows what a mask hides", () => {
  fc.assert(
    fc.property(holding("ann@example.com"), (value) => {
      for (const message of [
        result({
          content: [{ type: "text", text: JSON.stringify(value) }],
          structuredContent: value,
          _meta: { value },
        }),
        { kind: "error", id: 1, code: -1, message: JSON.stringify(value), data: value } as const,
        { kind: "notification", method: "notifications/message", params: { level: "info", data: value } } as const,
      ]) {
        const masked = maskMessage(message, mails);
        if (!masked.ok) continue;
        const text = JSON.stringify(writeMessage(masked.value));
        assert.doesNotMatch(text.replaceAll(/\\+u0040/g, "@"), /ann@example\.com/);
      }
    }),
    { numRuns: 200 },
  );
});

test("results that differ in masked values only look the same", () => {
  const worlds = fc.tuple(fc.integer({ min: 1, max: 2 ** 30 }), holding("PLACE@example.com"));
  fc.assert(
    fc.property(worlds, ([seed, shape]) => {
      const world = (name: string): Json => JSON.parse(JSON.stringify(shape).replaceAll("PLACE", name));
      const shown = ["ann", `bob${seed}`].map((name) =>
        maskMessage(
          result({ content: [{ type: "text", text: JSON.stringify(world(name)) }], structuredContent: world(name) }),
          mails,
        ),
      );
      assert.deepEqual(shown[0], shown[1]);
    }),
    { numRuns: 200 },
  );
});

test("what a mask can't read is refused, never passed", () => {
  const rows: readonly (readonly [Json, typeof mails, string])[] = [
    [[{ type: "image", data: "AA==", mimeType: "image/png" }], mails, "an image"],
    [[{ type: "audio", data: "AA==", mimeType: "audio/wav" }], mails, "a sound"],
    [[{ type: "hologram", secret: "x" }], mails, "content of an unknown kind"],
    [[{ data: "AA==", mimeType: "image/png" }], mails, "a file that is not text"],
    [[{ type: "text", text: "", data: "AA==", mimeType: "image/png" }], mails, "a file that is not text"],
    [
      [{ type: "resource", resource: { uri: "x:y", blob: "AAAA", mimeType: "application/pdf" } }],
      mails,
      "a file that is not text",
    ],
    [
      [{ type: "resource", resource: { uri: "x:y", blob: "//79", mimeType: "text/plain" } }],
      mails,
      "a file that is not UTF-8 text",
    ],
    [[{ type: "text", text: "data:text/plain;base64,YW5u" }], mails, "an encoded file in a URI"],
    [[{ type: "text", text: "no JSON here" }], ibans, "text that is not JSON, which masks of JSON can't read"],
    [[{ type: "text", text: '{"ann@example.com":1,"bob@example.com":2}' }], mails, "keys that are one after masking"],
    [[{ type: "text", text: '{"id":12345678901234567890}' }], mails, "JSON that can't be held exactly"],
  ];
  for (const [content, masker, what] of rows) {
    assert.deepEqual(maskMessage(result({ content }), masker), { ok: false, error: { what } });
  }
  let deep = '"ann@example.com"';
  for (let i = 0; i < 12; i += 1) deep = JSON.stringify([deep]);
  assert.equal(maskMessage(result({ content: [{ type: "text", text: deep }] }), mails).ok, false);
});

test("masks of paths reach JSON in text, one document a line, and structured content", () => {
  const iban = "DE89370400440532013000";
  const masked = maskMessage(
    result({
      content: [
        { type: "text", text: `{"iban":"${iban}","n":1}` },
        { type: "text", text: `{"iban":"${iban}"}\n{"iban":"${iban}"}` },
      ],
      structuredContent: { iban },
      _meta: { iban },
      iban,
    }),
    ibans,
  );
  assert.deepEqual(
    masked.ok && masked.value,
    result({
      content: [
        { type: "text", text: '{"iban":"***","n":1}' },
        { type: "text", text: '{"iban":"***"}\n{"iban":"***"}' },
      ],
      structuredContent: { iban: "***" },
      _meta: { iban: "***" },
      iban: "***",
    }),
  );
});

test("what masks of paths can't read of an error is withheld", () => {
  const masked = maskMessage({ kind: "error", id: 1, code: -1, message: "no DE89 here", data: "iban DE89" }, ibans);
  const withheld = "[withheld by the gateway: masks of JSON can't read this text]";
  assert.deepEqual(masked.ok && masked.value, { kind: "error", id: 1, code: -1, message: withheld, data: withheld });
});

test("cutting a stream of events anywhere changes nothing", () => {
  const event = fc.record({
    id: fc.option(fc.stringMatching(/^[a-z0-9]{1,5}$/), { nil: undefined }),
    event: fc.option(fc.stringMatching(/^[a-z]{1,5}$/), { nil: undefined }),
    data: fc.option(fc.string({ unit: "grapheme", maxLength: 20 }), { nil: undefined }),
    retry: fc.constant(undefined),
    comments: fc.constant([]),
  });
  const read = (chunks: readonly Uint8Array[]): readonly StreamEvent[] => {
    const reader = new EventReader(10_000);
    return chunks.flatMap((chunk) => {
      const events = reader.push(chunk);
      return events.ok ? events.value : [];
    });
  };
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 6 }),
      fc.constantFrom("\n", "\r\n", "\r"),
      fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      (events, end, cuts) => {
        const bytes = Buffer.from(events.map(writeEvent).join("").replaceAll("\n", end), "utf8");
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; ) {
          const next = cuts.next().value ?? 1;
          chunks.push(bytes.subarray(at, at + next));
          at += next;
        }
        assert.deepEqual(read(chunks), read([bytes]));
      },
    ),
    { numRuns: 200 },
  );
});

test("a message is read, written and read again as the same", () => {
  const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as Json);
  const id = fc.oneof(fc.string({ maxLength: 10 }), fc.integer());
  const object = fc.dictionary(fc.string({ maxLength: 8 }), json, { maxKeys: 3 });
  const message = fc.oneof(
    fc.record({ jsonrpc: fc.constant("2.0"), id, method: fc.constant("tools/call"), params: object }),
    fc.record({ jsonrpc: fc.constant("2.0"), method: fc.constant("notifications/x"), params: object }),
    fc.record({ jsonrpc: fc.constant("2.0"), id, result: object }),
  );
  fc.assert(
    fc.property(message, (value) => {
      const read = readMessage(value as Json);
      assert.ok(read.ok);
      assert.equal(canonicalJson(writeMessage(read.value)), canonicalJson(value as Json));
    }),
    { numRuns: 200 },
  );
});

test("JSON is bounded, and numbers that a double can't hold are told", () => {
  const code = (text: string): string => {
    const read = readJson(text, 5);
    return read.ok ? "ok" : read.error.code;
  };
  assert.deepEqual(
    [
      "[[[[[1]]]]]",
      "[[[[[[1]]]]]]",
      "9007199254740993",
      "9007199254740992",
      '"9007199254740993"',
      "1e999",
      "-0.1",
      "[1",
      "1e5",
    ].map(code),
    ["ok", "json-too-deep", "number-not-exact", "ok", "ok", "number-not-exact", "ok", "json-malformed", "ok"],
  );
});

test("schemas of servers are bounded: no pattern, reference or dialect stalls the gateway", () => {
  const doubling = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [
      `d${i}`,
      { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] },
    ]),
  );
  const rows: readonly (readonly [{ readonly [key: string]: Json }, string | boolean])[] = [
    [{ type: "object", properties: { a: { type: "string", pattern: "^(a+)+$" } } }, true],
    [{ type: "object", properties: { a: { pattern: "(?=x)" } } }, "the schema can't be used"],
    [
      { $ref: "#/$defs/d0", $defs: { ...doubling, d30: { type: "object" } } },
      "the schema refers to itself in too many ways",
    ],
    [{ $schema: "https://example.com/own", type: "object" }, "the schema is of a dialect that isn't known here"],
    [{ $ref: "https://example.com/remote.json" }, "the schema can't be used"],
    [{ type: "object", description: "x".repeat(70_000) }, "the schema is too long"],
  ];
  for (const [schema, wanted] of rows) {
    const compiled = compileSchema(schema);
    assert.equal(compiled.ok ? true : compiled.error, wanted);
  }
  const evil = compileSchema({ type: "object", properties: { a: { type: "string", pattern: "^(a+)+$" } } });
  assert.match((evil.ok && evil.value({ a: `${"a".repeat(5_000)}!` })) || "", /must match pattern/);
});

test("header values are plain or encoded, in one way", () => {
  assert.deepEqual(["get", " a", "ä", "=?base64?x?=", ""].map(headerValue), [
    "get",
    "=?base64?IGE=?=",
    "=?base64?w6Q=?=",
    "=?base64?PT9iYXNlNjQ/eD89?=",
    "=?base64??=",
  ]);
});
