// Masks in every format that is read: by example, and by law.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ContentFaultError } from "../../engine/content/content-fault.ts";
import { documentMasker, readContentMasks } from "../../engine/content/masker.ts";
import { readerFor } from "../../engine/content/transformer-for.ts";
import type { Json } from "../../engine/lib/json.ts";
import type { ContentMask, ItemFilter, RuleId } from "../../engine/model/decision.ts";
import type { Mask } from "../../engine/model/mask.ts";

const rule = "test.mask" as RuleId;
const key = Buffer.from("0123456789abcdef");
const json = (mask: Mask, ...patterns: string[]): ContentMask => ({
  content: { format: "json", patterns },
  mask,
  rule,
});
const text = (mask: Mask, ...patterns: string[]): ContentMask => ({
  content: { format: "text", patterns },
  mask,
  rule,
});
const redact: Mask = { kind: "redact" };

type Options = {
  readonly type: string;
  readonly masks?: readonly ContentMask[];
  readonly max?: number;
  readonly filters?: readonly ItemFilter[];
  readonly cuts?: readonly number[];
};

function run(input: string, { type, masks = [], max, filters = [], cuts = [] }: Options): string {
  const read = readContentMasks(masks, key);
  assert.ok(read.ok);
  const count = max === undefined ? undefined : { max, unit: "items" };
  const reader = readerFor(type, { masks: read.value, filters, count });
  if (reader === undefined) return "! not read";
  let out = "";
  let at = 0;
  try {
    for (const cut of [...cuts.map((n) => n % (input.length + 1)).sort((a, b) => a - b), input.length]) {
      out += reader.transformer.push(input.slice(at, cut));
      at = cut;
    }
    return out + reader.transformer.end();
  } catch (error) {
    if (error instanceof ContentFaultError) return `! ${error.code}: ${error.why}`;
    throw error;
  }
}

describe("JSON", () => {
  const type = "application/json";
  const rows: readonly (readonly [what: string, masks: readonly ContentMask[], input: string, output: string])[] = [
    [
      "keeps what no mask names as it is spelled",
      [json(redact, "$.x")],
      '{ "a" : 1.0, "b":[1e2,"\\u0041"] }\n',
      '{ "a" : 1.0, "b":[1e2,"\\u0041"] }\n',
    ],
    ["masks a field", [json(redact, "$.iban")], '{"iban":"DE1","n":1}', '{"iban":"***","n":1}'],
    [
      "masks every spelling of a key",
      [json(redact, "$.iban")],
      '{"\\u0069ban":"DE1","iban":"DE2"}',
      '{"\\u0069ban":"***","iban":"***"}',
    ],
    [
      "masks in every element",
      [json(redact, "$[*].a")],
      '[{"a":"x"},{"a":2},{"a":true},{"a":null}]',
      '[{"a":"***"},{"a":0},{"a":false},{"a":null}]',
    ],
    [
      "masks at every depth",
      [json(redact, "$..a")],
      '{"a":"x","b":[{"c":{"a":"y"}}]}',
      '{"a":"***","b":[{"c":{"a":"***"}}]}',
    ],
    ["masks one element", [json(redact, "$.a[1]")], '{"a":["x","y","z"]}', '{"a":["x","***","z"]}'],
    [
      "hides what a masked container holds",
      [json(redact, "$.a", "$.b")],
      '{"a":{"x":["y"]},"b":[1,{}],"c":1}',
      '{"a":{},"b":[],"c":1}',
    ],
    ["masks the document itself", [json(redact, "$")], '["x"]', "[]"],
    [
      "shows nothing under nullify",
      [json({ kind: "nullify" }, "$.a", "$.b")],
      '{"a":{"x":1},"b":"y"}',
      '{"a":null,"b":null}',
    ],
    [
      "takes the stronger of two masks",
      [json({ kind: "partial", first: 1, last: 0, keepDomain: false, fill: "*" }, "$.a"), json(redact, "$..a")],
      '{"a":"xyz"}',
      '{"a":"***"}',
    ],
    [
      "keeps a domain",
      [json({ kind: "partial", first: 1, last: 0, keepDomain: true, fill: "*" }, "$.a")],
      '{"a":"anna@x.de"}',
      '{"a":"a***@x.de"}',
    ],
    [
      "puts numbers and dates into buckets",
      [
        json({ kind: "bucket", size: 10, unit: undefined }, "$.n"),
        json({ kind: "bucket", size: undefined, unit: "month" }, "$.d"),
      ],
      '{"n":47,"d":"2026-03-14"}',
      '{"n":40,"d":"2026-03-01"}',
    ],
    [
      "looks for kinds of text in every value",
      [text(redact, "email")],
      '{"a":"to x@y.de now","b":["x@y.de"]}',
      '{"a":"to *** now","b":["***"]}',
    ],
    ["looks into keys", [text(redact, "email")], '{"x@y.de":1}', '{"***":1}'],
    ["looks behind escapes", [text(redact, "email")], '{"a":"x\\u0040y.de"}', '{"a":"***"}'],
    [
      "looks into JSON in a string",
      [text(redact, "email")],
      '{"a":"{\\"b\\":\\"x\\\\u0040y.de\\"}"}',
      '{"a":"{\\"b\\":\\"***\\"}"}',
    ],
    ["looks at numbers", [text(redact, "card")], '{"a":4111111111111111,"b":12}', '{"a":0,"b":12}'],
  ];
  for (const [what, masks, input, output] of rows) {
    test(what, () => assert.equal(run(input, { type, masks }), output));
  }

  const broken = [
    "",
    "{",
    "[1,]",
    "{a:1}",
    "{'a':1}",
    '{"a":1}x',
    "[1 2]",
    "01",
    "1.",
    "nul",
    "NaN",
    '"\\x"',
    '"a\nb"',
    "[}",
    '{"a"}',
    '{"a":1,}',
    '{"a":1}{"b":2}',
    "// c\n1",
  ];
  for (const input of broken) {
    test(`is not read in ${JSON.stringify(input)}`, () => {
      assert.match(
        run(input, { type, masks: [json(redact, "$.a")] }),
        /^[^!]*! ?answer-unreadable|^! answer-unreadable/,
      );
    });
  }

  test("counts the items of its outer lists", () => {
    assert.equal(run('{"items":[1,[2,3],4]}', { type, max: 3 }), '{"items":[1,[2,3],4]}');
    assert.equal(run('{"items":[1,2],"more":[3,4]}', { type, max: 3 }), "! answer-too-large: more than 3 items");
  });

  test("keeps the items that a filter is true for", () => {
    const filters: ItemFilter[] = [
      {
        path: "$.items",
        rule,
        predicate: {
          kind: "json",
          path: ["n"],
          as: "int",
          test: { op: ">", value: { type: "int", value: 1 } },
        } as unknown as ItemFilter["predicate"],
      },
    ];
    assert.equal(run('{"items":[{"n":1},{"n":2},{"m":3}]}', { type, filters }), '{"items":[{"n":2}]}');
    assert.match(run('{"items":7}', { type, filters }), /^! answer-unreadable/);
    assert.equal(run("n\n1", { type: "text/csv", filters }), "! not read");
  });
});

describe("other formats", () => {
  test("NDJSON is a document a line", () => {
    const masks = [json(redact, "$.a")];
    const type = "application/x-ndjson";
    assert.equal(run('{"a":"x"}\n{"a":"y","b":1}\n', { type, masks }), '{"a":"***"}\n{"a":"***","b":1}\n');
    assert.match(run('{"a":1} {"a":2}', { type, masks }), /! answer-unreadable/);
    assert.equal(run("1\n2\n3\n", { type, max: 2 }), "! answer-too-large: more than 2 items");
  });

  test("CSV is masked by the name of its column", () => {
    const masks = [json(redact, "$[*].iban")];
    const type = "text/csv";
    assert.equal(run('id,IBAN\r\n1,"DE,1"\r\n2,\r\n', { type, masks }), "id,IBAN\r\n1,***\r\n2,\r\n");
    assert.match(run("id,name\n1,x\n", { type, masks }), /^! answer-unreadable: CSV without the columns/);
    assert.equal(run("id,name\n1,x\n", { type: "text/csv; header=present", masks }), "id,name\n1,x\n");
    assert.match(run("id,iban\n1,x,DE1\n", { type, masks }), /! answer-unreadable: CSV whose records differ/);
    assert.match(run('id,iban\n1,"x"y\n', { type, masks }), /! answer-unreadable/);
    assert.equal(run("who\nx@y.de\n", { type, masks: [text(redact, "email")] }), "who\n***\n");
    assert.equal(
      run("a\tb\nx@y.de\t2\n", { type: "text/tab-separated-values", masks: [text(redact, "email")] }),
      "a\tb\n***\t2\n",
    );
  });

  test("events are masked in their data, and keep their ids", () => {
    const type = "text/event-stream";
    const input =
      ': hello\n\nid: 7\nevent: row\ndata: {"a":"x",\ndata: "b":1}\nnope: secret\n\nretry: 10\n\ndata: [DONE]\n\n';
    assert.equal(
      run(input, { type, masks: [json(redact, "$.a")] }),
      ':\n\nevent: row\nid: 7\ndata: {"a":"***",\ndata: "b":1}\n\nretry: 10\n\ndata: [DONE]\n\n',
    );
    assert.match(run("data: plain\n\n", { type, masks: [json(redact, "$.a")] }), /! answer-unreadable/);
    assert.equal(run("data: to x@y.de\n\n", { type, masks: [text(redact, "email")] }), "data: to ***\n\n");
  });

  test("text is masked line by line, and a private key over its lines", () => {
    const masks = [text(redact, "email", "private_key")];
    const input = "to x@y.de\n-----BEGIN PRIVATE KEY-----\nMIIx\nx@y.de\n-----END PRIVATE KEY-----\nbye";
    assert.equal(run(input, { type: "text/plain", masks }), "to ***\n***\nbye".replace("***\nbye", "***\nbye"));
  });

  const unread = [
    "text/html",
    "application/xml",
    "text/plain; charset=utf-16",
    "application/octet-stream",
    "image/png",
    "application/json; charset=x; charset=y",
    "application/json-seq",
    "",
  ];
  for (const type of unread) {
    test(`${JSON.stringify(type)} is not read under a mask`, () => {
      assert.equal(run("x", { type, masks: [text(redact, "email")] }), "! not read");
    });
  }
  test("text is not read under a mask of JSON", () => {
    assert.equal(run("x", { type: "text/plain", masks: [json(redact, "$.a")] }), "! not read");
  });
});

test("a keyed mask without a key is refused", () => {
  assert.deepEqual(readContentMasks([json({ kind: "hash", salt: "" }, "$.a")], Buffer.alloc(0)), {
    ok: false,
    error: "`hash` needs the connection's `mask_key`",
  });
});

// ---- laws

const secret = fc.integer({ min: 0, max: 999_999 }).map((n) => `user${n}.secret@mail.example.com`);
const name = fc.constantFrom("iban", "a", "b", "items", "owner");
const documents = fc.letrec<{ value: Json; leaf: Json; array: Json; object: Json }>((tie) => ({
  value: fc.oneof({ maxDepth: 4, withCrossShrink: true }, tie("leaf"), tie("array"), tie("object")),
  leaf: fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ maxLength: 8 }),
    secret,
  ),
  array: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.dictionary(name, tie("value"), { maxKeys: 4 }),
}));

const masks = fc.array(
  fc.tuple(
    fc.constantFrom("$.iban", "$..iban", "$.items[*].a", "$[*]", "$.a.b", "$.items[0]", "$", "$..owner", "$.*.a"),
    fc.constantFrom<Mask>(
      redact,
      { kind: "nullify" },
      { kind: "hash", salt: "s" },
      { kind: "partial", first: 1, last: 1, keepDomain: false, fill: "*" },
    ),
  ),
  { minLength: 1, maxLength: 1 },
);
const cutsOf = fc.array(fc.nat(400), { maxLength: 12 });

test("law: JSON that streams is masked as the document is", () => {
  fc.assert(
    fc.property(documents.value, masks, fc.constantFrom(0, 2), cutsOf, (document, asked, indent, cuts) => {
      const all = asked.map(([path, mask]) => json(mask, path));
      const read = readContentMasks(all, key);
      assert.ok(read.ok);
      const out = run(JSON.stringify(document, null, indent), { type: "application/json", masks: all, cuts });
      assert.deepEqual(JSON.parse(out), JSON.parse(JSON.stringify(documentMasker(read.value).maskPaths(document))));
    }),
    { numRuns: 1_500 },
  );
});

test("law: chunking doesn't matter, in any format", () => {
  const formats: readonly (readonly [string, (document: Json) => string])[] = [
    ["application/json", (d) => JSON.stringify(d)],
    ["application/x-ndjson", (d) => `${JSON.stringify(d)}\n${JSON.stringify(d)}\n`],
    ["text/event-stream", (d) => `id: 1\ndata: ${JSON.stringify(d)}\n\n: c\r\n\r\nevent: x\rdata: y\r\r`],
    ["text/csv", (d) => `iban,b\r\n"${JSON.stringify(d).replaceAll('"', '""')}",x\r\n1,2`],
    ["text/plain", (d) => `${JSON.stringify(d, null, 1)}\n-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n`],
  ];
  fc.assert(
    fc.property(documents.value, fc.constantFrom(...formats), cutsOf, (document, [type, render], cuts) => {
      const all = [text(redact, "email", "private_key"), ...(type === "text/csv" ? [json(redact, "$.iban")] : [])];
      const input = render(document);
      const faultless = (out: string): string => (out.includes("! answer") ? "!" : out);
      assert.equal(faultless(run(input, { type, masks: all, cuts })), faultless(run(input, { type, masks: all })));
    }),
    { numRuns: 1_500 },
  );
});

test("a national identifier is found wherever the network cuts it", () => {
  const formats: readonly (readonly [type: string, input: string, masked: string])[] = [
    ["application/json", '{"a":["NHS 943 476 5919"],"n":1112223330}', '{"a":["NHS ***"],"n":1112223330}'],
    ["application/x-ndjson", '{"n":111222333}\n["RSSMRA85T10A562S"]\n', '{"n":0}\n["***"]\n'],
    ["text/csv", "id,x\r\n12345678Z,1\r\n", "id,x\r\n***,1\r\n"],
    ["text/plain", "call 811218-9876\n46\u00a0\n", "call ***\n46\u00a0\n"],
    ["text/event-stream", "data: CPF 111.444.777-35\n\n", "data: CPF ***\n\n"],
  ];
  for (const [type, input, masked] of formats) {
    for (let cut = 0; cut <= input.length; cut += 1)
      assert.equal(run(input, { type, masks: [text(redact, "national_id")], cuts: [cut] }), masked, `${type} ${cut}`);
  }
});

test("JSON in cells and lines is read as JSON, and numbers by their value", () => {
  const rows: readonly (readonly [type: string, input: string, masked: string])[] = [
    ["text/csv", 'a\n"{""e"":""x\\u0040y.de""}"\n', 'a\n"{""e"":""***""}"\n'],
    ["text/plain", '{"e":"x\\u0040y.de"}\r\nplain\n', '{"e":"***"}\r\nplain\n'],
    ["text/event-stream", 'data: {"e":"x\\u0040y.de"}\n\n', 'data: {"e":"***"}\n\n'],
  ];
  for (const [type, input, masked] of rows) assert.equal(run(input, { type, masks: [text(redact, "email")] }), masked);
  const card = { type: "application/json", masks: [text(redact, "card")] };
  assert.equal(run("[4.111111111111111e15,4111111111111111.0,4111111111111112]", card), "[0,0,4111111111111112]");
});

test("CSV that is separated otherwise than it says is not read, and flattened names name their last part", () => {
  const masks = [json(redact, "$..iban")];
  const types = ["text/csv", "text/csv; header=present"];
  for (const type of types) {
    for (const head of ["a;iban", "a|iban", "a\tiban", '"a;iban",b', "iban,b;iban"])
      assert.match(run(`${head}\n1,2\n`, { type, masks }), /^! answer-unreadable/, head);
    assert.equal(run("owner.iban,x/iban,b\nDE1,DE2,3\n", { type, masks }), "owner.iban,x/iban,b\n***,***,3\n");
  }
});

test("law: no value of a masked kind is left, wherever it stands", () => {
  fc.assert(
    fc.property(documents.value, cutsOf, (document, cuts) => {
      const out = run(JSON.stringify(document), { type: "application/json", masks: [text(redact, "email")], cuts });
      assert.doesNotMatch(out, /secret@mail/);
      JSON.parse(out);
    }),
    { numRuns: 800 },
  );
});

test("law: documents that differ in masked values only are equal once they are masked", () => {
  fc.assert(
    fc.property(documents.value, documents.value, documents.value, cutsOf, cutsOf, (one, other, rest, cutsA, cutsB) => {
      const all = [json(redact, "$.hidden[*].v")];
      // Scalars differ in value, containers in anything; both of one type.
      const pair =
        typeof one === typeof other &&
        (one === null) === (other === null) &&
        Array.isArray(one) === Array.isArray(other);
      fc.pre(pair);
      const of = (v: Json): string => JSON.stringify({ rest, hidden: [{ v }] });
      assert.equal(
        run(of(one), { type: "application/json", masks: all, cuts: cutsA }),
        run(of(other), { type: "application/json", masks: all, cuts: cutsB }),
      );
    }),
    { numRuns: 500 },
  );
});

test("law: reading anything never breaks but in the one way", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0041 truefalsn1.-e\n\r"'.split("")), maxLength: 30 }),
      fc.constantFrom("application/json", "text/csv", "text/event-stream", "application/x-ndjson"),
      cutsOf,
      (input, type, cuts) => {
        run(input, { type, masks: [text(redact, "email")], cuts });
      },
    ),
    { numRuns: 3_000 },
  );
});
