// An agent never has more rights than whom it acts for, unless the policy says so.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Unknown } from "../../engine/lib/truth.ts";
import { type Decision, noObligations, type RuleId } from "../../engine/model/decision.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { withinOwner } from "../../engine/within-owner.ts";
import { type Claims, startTestGateway } from "../support/gateway.ts";

const gw = await startTestGateway({
  schema: `create table orders (id int primary key, tenant text); insert into orders values (1, 'acme'), (2, 'umbra');
    create table payroll (id int); create table tickets (id int); insert into tickets values (7);`,
  policy: `package acme.test

allow ops on sql read of public.orders at "test-pg" when identity.groups contains "ops"
allow bots on sql read of public.tickets at "test-pg" when identity.kind == agent
allow named on sql read of public.payroll at "test-pg" when identity.sub == "bot-7"
mask tenants of public.orders.tenant using redact at "test-pg" unless identity.groups contains "pii"
`,
});
const bot = (more: Readonly<Record<string, unknown>>): Claims => ({
  sub: "bot-7",
  kind: "agent",
  groups: ["ops", "pii"],
  ...more,
});
const ask = async (claims: Claims, sql: string): Promise<string> => {
  const client = await gw.connect(claims);
  try {
    return JSON.stringify((await client.query({ text: sql, rowMode: "array" })).rows);
  } catch (error) {
    return error instanceof Error ? error.message : "?";
  } finally {
    await client.end();
  }
};

const beyond = /^`nina`, for whom this is done, may not do it: /;
const rows: readonly (readonly [what: string, claims: Claims, sql: string, expected: RegExp])[] = [
  ["an agent of its own may do what its groups allow", bot({}), "select id from orders", /^\[\[1\],\[2\]\]$/],
  [
    "an agent may do what whom it acts for may do",
    bot({ on_behalf_of: "nina", on_behalf_of_groups: ["ops", "pii"] }),
    "select id from orders",
    /^\[\[1\],\[2\]\]$/,
  ],
  [
    "an agent may not do what whom it acts for may not do",
    bot({ on_behalf_of: "nina", on_behalf_of_groups: ["sales"] }),
    "select id from orders",
    beyond,
  ],
  [
    "an agent may not do what isn't known to be the right of whom it acts for",
    bot({ on_behalf_of: "nina" }),
    "select id from orders",
    beyond,
  ],
  [
    "a right of an agent's own name is not one of whom it acts for",
    bot({ on_behalf_of: "nina", on_behalf_of_groups: ["ops"] }),
    "select id from payroll",
    beyond,
  ],
  [
    "a rule about agents lifts it",
    bot({ on_behalf_of: "nina", on_behalf_of_groups: [] }),
    "select id from tickets",
    /^\[\[7\]\]$/,
  ],
  [
    "an agent sees what whom it acts for sees: masks of either hold",
    bot({ on_behalf_of: "nina", on_behalf_of_groups: ["ops"] }),
    "select distinct tenant from orders",
    /^\[\["\*+"\]\]$|^\[\["[^a-z]*"\]\]$/,
  ],
  [
    "in a delegated token the groups are those of whom it acts for",
    { sub: "nina", groups: ["sales"], act: { sub: "bot-7" } },
    "select id from orders",
    /no rule|not allowed|allow/i,
  ],
];
for (const [what, claims, sql, expected] of rows) {
  test(what, async () => assert.match(await ask(claims, sql), expected));
}

const rule = (name: string) => name as RuleId;
const allow: Decision = { effect: "allow", rules: [rule("a.a")], obligations: noObligations, alerts: [], shadow: [] };
const deny: Decision = {
  effect: "deny",
  causes: [{ kind: "uncovered", access: "select", message: "no" }],
  rules: [],
  alerts: [],
  shadow: [],
};

test("whatever rules look at, an agent that passes acts for somebody who passes, or passes as an agent only", () => {
  const table = fc.record({ human: fc.record({ nina: fc.boolean(), bot: fc.boolean() }), agent: fc.boolean() });
  fc.assert(
    fc.property(table, fc.constantFrom("agent" as const, "service" as const), (rights, kind) => {
      const policies: PolicySet = {
        hash: "sha256:0",
        revision: "",
        packages: [],
        needs: { estimatedRows: false, parameters: false, body: false },
        tags: () => undefined,
        counters: [],
        decide: ({ identity }: PolicyRequest) => {
          const isAllowed =
            identity.kind !== "human" ? rights.agent : identity.sub === "nina" ? rights.human.nina : rights.human.bot;
          return isAllowed ? allow : deny;
        },
      };
      const identity: IdentityFacts = {
        sub: "bot",
        kind,
        groups: new Set(),
        email: undefined,
        ip: "127.0.0.1",
        mfa: false,
        on_behalf_of: "nina",
        claims: {},
        owner: { groups: new Unknown("not said") },
      };
      // SAFETY: the policies above read nothing but the identity.
      const { effect } = withinOwner(policies).decide({ identity } as PolicyRequest);
      const isRight = rights.agent && (rights.human.nina || !rights.human.bot);
      assert.equal(effect, isRight ? "allow" : "deny");
    }),
  );
});
