// Fields that are taken out of answers: by example in every format, and by law.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ContentFaultError } from "../../engine/content/content-fault.ts";
import { maskWithSchema } from "../../engine/content/fit-schema.ts";
import { documentMasker, readContentMasks } from "../../engine/content/masker.ts";
import { schemaPlace } from "../../engine/content/schema-place.ts";
import { tagMasker } from "../../engine/content/tag-masker.ts";
import { readerFor } from "../../engine/content/transformer-for.ts";
import type { Json } from "../../engine/lib/json.ts";
import type { JsonObject } from "../../engine/lib/read-json.ts";
import type { ContentMask, RuleId } from "../../engine/model/decision.ts";
import { isStricterMask, joinMasks, type Mask } from "../../engine/model/mask.ts";

const rule = "test.mask" as RuleId;
const remove: Mask = { kind: "remove" };
const redact: Mask = { kind: "redact" };
const maskOf = (mask: Mask, format: "json" | "text" | "tagged", ...patterns: string[]): ContentMask => ({
  content: { format, patterns },
  mask,
  rule,
});
const gone = (...patterns: string[]): ContentMask => maskOf(remove, "json", ...patterns);

function read(masks: readonly ContentMask[]) {
  const all = readContentMasks(masks, Buffer.alloc(16));
  assert.ok(all.ok);
  return all.value;
}

type Options = { readonly type?: string; readonly max?: number; readonly cuts?: readonly number[] };

function run(
  input: string,
  masks: readonly ContentMask[],
  { type = "application/json", max, cuts = [] }: Options = {},
): string {
  const count = max === undefined ? undefined : { max, unit: "items" };
  const reader = readerFor(type, { masks: read(masks), filters: [], count });
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

describe("a removed field", () => {
  const a = [gone("$.a")];
  const rows: readonly (readonly [what: string, masks: readonly ContentMask[], input: string, output: string])[] = [
    ["is gone, the first of several", a, '{"a":"x","b":1,"c":2}', '{"b":1,"c":2}'],
    ["is gone, in the middle", a, '{"b":1,"a":{"x":["y",{}]},"c":2}', '{"b":1,"c":2}'],
    ["is gone, the last of several", a, '{"b":1,"c":2,"a":[1,2]}', '{"b":1,"c":2}'],
    ["is gone, the only one", a, '{"a":null}', "{}"],
    ["is gone with all of its neighbours", [gone("$.*")], '{"a":1,"b":{"c":2}}', "{}"],
    ["is gone in every spelling", a, '{"\\u0061":"x","b":1}', '{"b":1}'],
    ["is gone as often as it comes", a, '{"a":1,"b":1,"\\u0061":{"a":2},"c":2,"a":3}', '{"b":1,"c":2}'],
    ["leaves no blanks behind", a, ' {\n  "b" : 1.0 ,\n  "a" : "x"\n}\n', '{"b":1.0}'],
    ["is gone at every depth", [gone("$..a")], '{"a":1,"b":[{"a":2,"c":{"a":3}}]}', '{"b":[{"c":{}}]}'],
    [
      "is gone in every element",
      [gone("$.l[*].a")],
      '{"l":[{"a":1,"b":2},{"b":3},{"a":4}]}',
      '{"l":[{"b":2},{"b":3},{}]}',
    ],
    ["may be an element", [gone("$.l[0]", "$.l[2]")], '{"l":["x","y",{"z":1},"w"],"n":1}', '{"l":["y","w"],"n":1}'],
    ["may be every element", [gone("$.l[*]")], '{"l":[1,[2],{"a":3}]}', '{"l":[]}'],
    ["is told by indexes as they came", [gone("$[0]"), maskOf(redact, "json", "$[1]")], '["x","y","z"]', '["***","z"]'],
    [
      "may have a name with a text in it",
      [gone('$["x@y.de"]'), maskOf(redact, "text", "email")],
      '{"x@y.de":1,"z@y.de":2}',
      '{"***":2}',
    ],
    ["beats every other mask", [maskOf({ kind: "nullify" }, "json", "$.a"), gone("$..a")], '{"a":1,"b":2}', '{"b":2}'],
    [
      "is not seen below what is hidden",
      [maskOf(redact, "json", "$.b"), gone("$.b.a")],
      '{"b":{"a":1},"c":[]}',
      '{"b":{},"c":[]}',
    ],
    ["is nowhere in a document of one value", a, '"x"', '"x"'],
    ["stays where another name is meant", a, '{"A":1,"b":{"a":2}}', '{"A":1,"b":{"a":2}}'],
    ["may be called __proto__", [gone("$.__proto__")], '{"__proto__":{"a":1},"b":1}', '{"b":1}'],
  ];
  for (const [what, masks, input, output] of rows) {
    test(what, () => {
      for (let cut = 0; cut <= input.length; cut += 1) assert.equal(run(input, masks, { cuts: [cut] }), output);
    });
  }

  test("is gone from lines of JSON and from events", () => {
    const lines = { type: "application/x-ndjson" };
    assert.equal(run('{"a":1}\r\n\n{ "b": 2, "a":3 }\n4\n', a, lines), '{}\n\n{"b":2}\n4\n');
    const events = { type: "text/event-stream" };
    assert.equal(
      run('id: 7\ndata: {"b":1,\ndata:  "a":"x"}\n\ndata: [DONE]\n\n', a, events),
      'id: 7\ndata: {"b":1}\n\ndata: [DONE]\n\n',
    );
    assert.match(run("data: a plain text\n\n", a, events), /^! answer-unreadable/);
  });

  test("isn't counted, and nothing in it is", () => {
    assert.equal(run('{"l":[1,2,3,4]}', [gone("$.l[0]", "$.l[3]")], { max: 2 }), '{"l":[2,3]}');
    assert.equal(run('{"l":[1,2],"a":[1,2],"c":{"d":[3]}}', [gone("$.a", "$.c")], { max: 2 }), '{"l":[1,2]}');
    assert.equal(run('{"l":[1,2,3]}', a, { max: 2 }), "! answer-too-large: more than 2 items");
  });

  test("is read strictly all the same", () => {
    for (const input of [
      '{"a":}',
      '{"a":1,}',
      '{"a" 1}',
      '{"a":[1,]}',
      '{"a":tru}',
      '{"a":"x"',
      '{"b":1 "a":2}',
      "[1,]",
    ])
      assert.match(run(input, a), /answer-unreadable/, input);
  });
});

test("`remove` is refused where nothing can be taken out", () => {
  for (const type of ["text/csv", "text/tab-separated-values", "text/csv; header=present", "text/plain", "text/html"])
    assert.equal(run("a,b\n1,2\n", [gone("$[*].a")], { type }), "! not read", type);
  const refused = (mask: ContentMask) => readContentMasks([mask], Buffer.alloc(16));
  assert.deepEqual(refused(gone("$")), { ok: false, error: "`remove` can't take a whole answer away" });
  assert.deepEqual(refused(maskOf(remove, "text", "email")), {
    ok: false,
    error: "`remove` takes fields out of JSON, not words out of texts",
  });
});

test("`remove` is the strictest of the masks", () => {
  for (const kind of ["partial", "hash", "redact", "nullify"]) {
    assert.equal(isStricterMask("remove", kind), true, kind);
    assert.equal(isStricterMask(kind, "remove"), false, kind);
  }
  assert.deepEqual(joinMasks([{ kind: "nullify" }, remove, redact, remove]), remove);
});

describe("of a document with a schema", () => {
  const schema: JsonObject = {
    type: "object",
    required: ["id", "must"],
    properties: {
      id: { type: "integer" },
      must: { type: "string", "x-gw-tags": ["must"] },
      may: { type: "string", "x-gw-tags": ["may"] },
      list: { type: "array", minItems: 1, items: { type: "string", "x-gw-tags": ["item"] } },
      free: { type: "array", items: { type: "string", "x-gw-tags": ["item"] } },
    },
  };
  const document: Json = { id: 1, must: "x", may: "y" };
  const fit = (value: Json, mask: ContentMask) =>
    maskWithSchema(value, schema, read([mask]), schemaPlace(schema, schema));

  test("an optional field goes, by its path and by its tag", () => {
    const without = { document: { id: 1, must: "x" }, isUnfit: false };
    for (const mask of [gone("$.may"), maskOf(remove, "tagged", "may")]) {
      assert.deepEqual(fit(document, mask), without);
      assert.deepEqual(fit({ id: 1, must: "x" }, mask), without);
    }
    assert.deepEqual(fit({ id: 1, must: "x", free: ["a"] }, maskOf(remove, "tagged", "item")), {
      document: { id: 1, must: "x", free: [] },
      isUnfit: false,
    });
  });

  test("what the schema requires can't go", () => {
    for (const mask of [gone("$.must"), maskOf(remove, "tagged", "must")])
      assert.equal(fit(document, mask).isUnfit, true);
    assert.equal(fit({ id: 1, must: "x", list: ["a"] }, gone("$.list[0]")).isUnfit, true);
    assert.deepEqual(
      tagMasker(read([maskOf(remove, "tagged", "must")]))?.(document, {
        schema,
        described: schemaPlace(schema, schema),
      }),
      {
        ok: false,
        error: "a tagged value for which no neutral one fits the schema",
      },
    );
  });

  test("a tag of the document itself refuses it", () => {
    const tagged: JsonObject = { ...schema, "x-gw-tags": ["all"] };
    const mask = maskOf(remove, "tagged", "all");
    assert.equal(maskWithSchema(document, tagged, read([mask]), schemaPlace(tagged, tagged)).isUnfit, true);
  });
});

// ---- laws

const name = fc.constantFrom("ssn", "a", "b", "items", 's"n', "ü");
const documents = fc.letrec<{ value: Json; leaf: Json; array: Json; object: Json }>((tie) => ({
  value: fc.oneof({ maxDepth: 4, withCrossShrink: true }, tie("leaf"), tie("array"), tie("object")),
  leaf: fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), fc.string({ maxLength: 6 })),
  array: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.dictionary(name, tie("value"), { maxKeys: 4 }),
}));
const paths = fc.constantFrom(
  "$.ssn",
  "$..ssn",
  "$.items[*].a",
  "$[*]",
  "$.a.b",
  "$.items[0]",
  "$[1]",
  "$.*.a",
  "$..items[*]",
);
const someMasks = fc.array(fc.tuple(paths, fc.constantFrom<Mask>(remove, remove, redact, { kind: "nullify" })), {
  minLength: 1,
  maxLength: 3,
});
const cutsOf = fc.array(fc.nat(400), { maxLength: 12 });

test("law: what streams, cut anywhere, is what the whole document without the fields is", () => {
  fc.assert(
    fc.property(documents.value, someMasks, fc.constantFrom(0, 2), cutsOf, (document, asked, indent, cuts) => {
      const masks = [gone("$.items[*].gone"), ...asked.map(([path, mask]) => maskOf(mask, "json", path))];
      const whole = JSON.stringify(documentMasker(read(masks)).maskPaths(document));
      const text = JSON.stringify(document, null, indent);
      assert.equal(run(text, masks, { cuts }), whole);
      const line = JSON.stringify(document);
      const twice = `${line}\n${line}\n`;
      assert.equal(run(twice, masks, { cuts, type: "application/x-ndjson" }), `${whole}\n${whole}\n`);
      const event = `data: ${line}\n\n`;
      assert.equal(run(event, masks, { cuts, type: "text/event-stream" }), `data: ${whole}\n\n`);
    }),
    { numRuns: 800 },
  );
});

/** The document with the field put in (or not) wherever there is an object, at every position, in any spelling. */
const planted = (document: Json, values: readonly Json[], seed: number): string => {
  let n = seed;
  const next = (below: number): number => {
    n = (n * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor(n / 65_536) % below;
  };
  const blank = (): string => ["", " ", "\n  ", "\t"][next(4)] ?? "";
  const write = (value: Json): string => {
    if (Array.isArray(value)) return `[${blank()}${value.map((v: Json) => write(v) + blank()).join(",")}]`;
    if (typeof value !== "object" || value === null) return JSON.stringify(value);
    const fields = Object.entries(value).map(
      ([key, item]) => `${blank()}${JSON.stringify(key)}${blank()}:${write(item)}`,
    );
    for (let times = next(3); times > 0; times -= 1) {
      const key = ['"hidden"', '"hi\\u0064den"', '"\\u0068idden"'][next(3)] ?? "";
      fields.splice(
        next(fields.length + 1),
        0,
        `${key}:${blank()}${JSON.stringify(values[next(values.length)] ?? null)}`,
      );
    }
    return `{${fields.join(",")}${blank()}}`;
  };
  return write(document);
};

test("law: an answer depends neither on a removed value nor on its presence", () => {
  fc.assert(
    fc.property(
      documents.value,
      fc.array(documents.value, { minLength: 1, maxLength: 3 }),
      fc.nat(),
      fc.nat(),
      fc.constantFrom(1, 1_000),
      cutsOf,
      (document, values, one, other, max, cuts) => {
        const masks = [gone("$..hidden")];
        const bare = run(JSON.stringify(document), masks, { max });
        assert.equal(run(planted(document, values, one), masks, { max, cuts }), bare);
        assert.equal(run(planted(document, values, other), masks, { max }), bare);
        assert.doesNotMatch(bare, /hidden/);
      },
    ),
    { numRuns: 800 },
  );
});
