import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { startTokenIssuer } from "../../cli/demo/token-issuer.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import { startAdminServer } from "../../proxy/admin/server.ts";
import { createApprovalDesk } from "../../proxy/approvals/desk.ts";
import { openSqliteStore } from "../../proxy/approvals/sqlite-store.ts";
import type { FaultCode } from "../../proxy/errors.ts";
import { createVerifyToken } from "../../proxy/identity/authenticate.ts";
import { openRevocation } from "../../proxy/identity/revocation.ts";
import { silentLog } from "../../proxy/log.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const clock = { nowMs: () => Date.now() };
const issuer = await startTokenIssuer({ audience: "gatewright" });
const claims = {
  sub: "sub",
  kind: "kind",
  groups: "groups",
  email: "email",
  mfa: "mfa",
  on_behalf_of: "on_behalf_of",
  purpose: "purpose",
};
const desk = createApprovalDesk({
  store: openSqliteStore(join(temporaryFolder(), "approvals.sqlite")),
  clock,
  record: () => undefined,
});
let notReady: FaultCode | undefined;
const server = await startAdminServer({
  listen: { host: "127.0.0.1", port: 0 },
  approvals: desk,
  verify: createVerifyToken({
    issuers: [
      {
        issuer: issuer.issuer,
        audience: "gatewright",
        keys: { kind: "jwks-url", url: issuer.jwksUrl },
        algorithms: ["EdDSA"],
        claims,
        defaultKind: undefined,
        prefix: "",
      },
    ],
    revocation: openRevocation({ revoked: new Set() }, clock, silentLog),
    clock,
    log: silentLog,
  }),
  connections: [{ name: "prod-pg", kind: "postgres", host: "127.0.0.1", port: 6432, database: "app" }],
  whyNotReady: () => notReady,
  metrics: () => [
    {
      name: "gw_x",
      help: "x",
      type: "gauge",
      samples: [
        { labels: { a: 'q"\\\n' }, value: 2 },
        { labels: {}, value: 1 },
      ],
    },
  ],
  log: silentLog,
});
after(async () => {
  await server.close();
  desk.close();
  await issuer.stop();
});

const base = `http://127.0.0.1:${server.port}`;
const tokenOf = (sub: string, groups: readonly string[]) => issuer.issue({ sub, kind: "human", groups: [...groups] });

async function call(method: string, path: string, token?: string, body?: string) {
  const response = await fetch(base + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body }),
  });
  return [response.status, (await response.json()) as Record<string, unknown>] as const;
}

const ask = (id: string) =>
  desk.ask({
    id,
    digest: id,
    decisionId: "dec_1",
    session: "ses_1",
    requester: { sub: "bot-7", kind: "agent", onBehalfOf: ["nina"] },
    connection: "prod-pg",
    protocol: "sql",
    likeness: "f1",
    statement: "delete from orders where id = $1",
    parameters: ["7"],
    accesses: ["delete public.orders"],
    requirements: [
      {
        rule: "acme.writes" as RuleId,
        approvers: [{ count: 1, kind: "group", name: "dba" }],
        withinMs: 60_000,
        message: "writes need a second pair of eyes",
      },
    ],
    policyHash: "sha256:0",
  });

test("approvals need a token, and a good one", async () => {
  const routes = [
    ["GET", "/v1/whoami"],
    ["GET", "/v1/approvals"],
    ["GET", "/v1/approvals/apr_x"],
    ["POST", "/v1/approvals/apr_x/approve"],
    ["POST", "/v1/approvals/apr_x/deny"],
  ] as const;
  for (const [method, path] of routes) {
    for (const token of [undefined, "x.y.z"]) {
      const [status, body] = await call(method, path, token);
      assert.deepEqual([status, body.code], [401, "admin-unauthorized"], `${method} ${path}`);
    }
  }
});

test("an approver sees all of a request and grants it; others neither see nor decide", async () => {
  ask("apr_1");
  const [, outsider] = await call("GET", "/v1/approvals", await tokenOf("omar", ["sales"]));
  assert.deepEqual(outsider, { approvals: [] });
  assert.equal((await call("GET", "/v1/approvals/apr_1", await tokenOf("omar", ["sales"])))[0], 404);
  assert.equal((await call("POST", "/v1/approvals/apr_1/approve", await tokenOf("omar", ["sales"])))[0], 403);
  assert.equal((await call("POST", "/v1/approvals/apr_1/approve", await tokenOf("nina", ["dba"])))[0], 403);
  const lena = await tokenOf("lena", ["dba"]);
  const [, shown] = await call("GET", "/v1/approvals/apr_1", lena);
  const { created: _, expires: __, ...rest } = shown;
  assert.deepEqual(rest, {
    id: "apr_1",
    state: "pending",
    requester: { sub: "bot-7", kind: "agent", onBehalfOf: ["nina"] },
    connection: "prod-pg",
    protocol: "sql",
    session: "ses_1",
    decision: "dec_1",
    statement: "delete from orders where id = $1",
    parameters: ["7"],
    accesses: ["delete public.orders"],
    rules: [{ rule: "acme.writes", message: "writes need a second pair of eyes", missing: 1 }],
    approvers: 'group "dba"',
    votes: [],
    policy: "sha256:0",
  });
  const [status, granted] = await call("POST", "/v1/approvals/apr_1/approve", lena, '{"reason":"ok"}');
  assert.deepEqual([status, granted.state], [200, "granted"]);
  assert.deepEqual((await call("POST", "/v1/approvals/apr_1/deny", lena, '{"reason":"no"}'))[0], 409);
});

test("a refusal needs a reason, and bodies are held to their form", async () => {
  ask("apr_2");
  const lena = await tokenOf("lena", ["dba"]);
  for (const body of [undefined, "{}", '{"reason":" "}', '{"reason":7}', "[", `{"reason":"${"x".repeat(2_001)}"}`]) {
    assert.equal((await call("POST", "/v1/approvals/apr_2/deny", lena, body))[0], 400, body);
  }
  const long = `{"reason":"${"x".repeat(20_000)}"}`;
  assert.equal((await call("POST", "/v1/approvals/apr_2/deny", lena, long))[0], 413);
  const [status, denied] = await call("POST", "/v1/approvals/apr_2/deny", lena, '{"reason":"not today"}');
  assert.deepEqual([status, denied.state], [200, "denied"]);
});

test("a token's bearer learns how the gateway sees them, and where to connect", async () => {
  assert.deepEqual(await call("GET", "/v1/whoami", await tokenOf("lena", ["leads", "dba"])), [
    200,
    {
      sub: "lena",
      kind: "human",
      groups: ["dba", "leads"],
      mfa: false,
      connections: [{ name: "prod-pg", kind: "postgres", host: "127.0.0.1", port: 6432, database: "app" }],
    },
  ]);
});

test("health, readiness and metrics need no token and hold no content", async () => {
  assert.deepEqual(await call("GET", "/healthz"), [200, { status: "ok" }]);
  assert.deepEqual(await call("GET", "/readyz"), [200, { status: "ready" }]);
  notReady = "record-failed";
  assert.deepEqual(await call("GET", "/readyz"), [503, { status: "not ready", code: "record-failed" }]);
  const metrics = await (await fetch(`${base}/metrics`)).text();
  assert.equal(metrics, '# HELP gw_x x\n# TYPE gw_x gauge\ngw_x{a="q\\"\\\\\\n"} 2\ngw_x 1\n');
});
