// A grant fits exactly what was asked: change any one thing, and it doesn't.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Json } from "../../engine/lib/json.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import { canonicalJson, type GrantBinding, grantDigest, requesterOf } from "../../proxy/approvals/digest.ts";
import { approvalDigest } from "../../proxy/gate/approval-digest.ts";

const identity: IdentityFacts = {
  sub: "bot-7",
  kind: "agent",
  groups: new Set(["ops"]),
  email: undefined,
  ip: "127.0.0.1",
  mfa: false,
  on_behalf_of: "nina",
  claims: {},
  chain: ["nina", "planner", "bot-7"],
};
const binding: GrantBinding = {
  identity,
  connection: "prod-pg",
  protocol: "mcp",
  action: { tool: "refund", arguments: { id: 7, amount: "12.50", note: null } },
  obligations: '["rows 100"]',
  policyHash: "sha256:1",
};
const mutations: readonly (readonly [what: string, changed: GrantBinding])[] = [
  ["principal", { ...binding, identity: { ...identity, sub: "bot-8" } }],
  ["kind of principal", { ...binding, identity: { ...identity, kind: "service" } }],
  ["person behind it", { ...binding, identity: { ...identity, on_behalf_of: "omar" } }],
  ["actor in between", { ...binding, identity: { ...identity, chain: ["nina", "bot-7"] } }],
  ["target", { ...binding, connection: "test-pg" }],
  ["protocol", { ...binding, protocol: "http" }],
  ["tool", { ...binding, action: { tool: "refund_all", arguments: { id: 7, amount: "12.50", note: null } } }],
  ["argument", { ...binding, action: { tool: "refund", arguments: { id: 8, amount: "12.50", note: null } } }],
  [
    "type of an argument",
    { ...binding, action: { tool: "refund", arguments: { id: "7", amount: "12.50", note: null } } },
  ],
  ["absent argument", { ...binding, action: { tool: "refund", arguments: { id: 7, amount: "12.50" } } }],
  ["row ceiling", { ...binding, obligations: '["rows 101"]' }],
  ["policies", { ...binding, policyHash: "sha256:2" }],
];
for (const [what, changed] of mutations) {
  test(`a grant is not valid with another ${what}`, () => {
    assert.notEqual(grantDigest(changed), grantDigest(binding));
  });
}

test("what is no part of the request doesn't matter: address, groups, order of keys", () => {
  const same: GrantBinding = {
    ...binding,
    identity: { ...identity, ip: "10.0.0.1", groups: new Set() },
    action: { arguments: { note: null, amount: "12.50", id: 7 }, tool: "refund" },
  };
  assert.equal(grantDigest(same), grantDigest(binding));
});

test("two values have one spelling only when they are the same value", () => {
  const json = fc.jsonValue() as fc.Arbitrary<Json>;
  fc.assert(
    fc.property(json, json, (a, b) => {
      const isSame = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
      assert.equal(canonicalJson(a) === canonicalJson(b), isSame);
      assert.deepEqual(JSON.parse(canonicalJson(a)), JSON.parse(JSON.stringify(a)));
    }),
  );
});

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);
function sorted(value: Json): Json {
  if (value === null || typeof value !== "object") return value;
  if (isList(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  );
}

const utf8 = (text: string) => Buffer.from(text);
const statement = {
  session: { identity },
  connection: "prod-pg",
  released: { rewritten: { text: "UPDATE t SET n = $1" }, obligationsKey: "rows 10" },
  context: { user: "gateway", searchPath: ["public"], parameterTypes: [23], parameterFormats: [0] },
  parameters: [utf8("5"), null] as readonly (Uint8Array | null)[],
  policyHash: "sha256:1",
};
type Statement = typeof statement;
const digestOf = (s: Statement) =>
  approvalDigest(s.session, s.connection, s.released, s.context, s.parameters, s.policyHash);
const statementMutations: readonly (readonly [what: string, changed: Statement])[] = [
  ["statement", { ...statement, released: { ...statement.released, rewritten: { text: "UPDATE t SET n = $2" } } }],
  ["row ceiling", { ...statement, released: { ...statement.released, obligationsKey: "rows 11" } }],
  ["database role", { ...statement, context: { ...statement.context, user: "writer" } }],
  ["search path", { ...statement, context: { ...statement.context, searchPath: ["public", "app"] } }],
  ["declared type", { ...statement, context: { ...statement.context, parameterTypes: [20] } }],
  ["format of a value", { ...statement, context: { ...statement.context, parameterFormats: [1] } }],
  ["bind value", { ...statement, parameters: [utf8("6"), null] }],
  ["value instead of NULL", { ...statement, parameters: [utf8("5"), utf8("")] }],
  ["number of values", { ...statement, parameters: [utf8("5")] }],
];
for (const [what, changed] of statementMutations) {
  test(`a statement's grant is not valid with another ${what}`, () => {
    assert.notEqual(digestOf(changed), digestOf(statement));
  });
}

test("everybody in the chain is behind a request, under the names that policies know them by", () => {
  assert.deepEqual(requesterOf(identity), { sub: "bot-7", kind: "agent", onBehalfOf: ["nina", "planner"] });
  const { chain: _, ...unread } = identity;
  const nested = { ...unread, claims: { act: { sub: "bot-7", act: { sub: "planner" } } } };
  assert.deepEqual(requesterOf(nested).onBehalfOf, ["nina", "planner"]);
});
