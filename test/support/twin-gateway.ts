// The real listener in front of a twin, with the clinic's policy as its gate: the corpora over the wire.
import { after } from "node:test";
import { ok } from "../../engine/lib/result.ts";
import { limits } from "../../engine/limits.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import { analyzeSql } from "../../engine/sql/analyze.ts";
import type { AnalyzedStatement, SqlContext } from "../../engine/sql/types.ts";
import { createPostgresListener } from "../../proxy/postgres/listener.ts";
import type { SqlGate, SqlVerdict } from "../../proxy/postgres/sql-gate.ts";
import { clinicObligations } from "./clinic.ts";
import { withClient } from "./postgres.ts";
import type { Database } from "./twin-databases.ts";
import { judge } from "./twin-engine.ts";
import { type Answer, observe, type Seen, type Step, type World } from "./twin-transcript.ts";

const mark = "refused by the clinic's policy";
const rule = "clinic.all" as RuleId;

/** Starts a gateway for `database`; each run is a session of its own. It is closed after the test file. */
export async function gatewayWorld(database: Database, catalog: Catalog, wrap: "rollback" | "none"): Promise<World> {
  let ids = 0;
  const newId = (prefix: string) => `${prefix}_${++ids}`;
  const refused = (code: string, message: string, sqlstate: string): SqlVerdict => ({
    kind: "refuse",
    decisionId: newId("dec"),
    statement: undefined,
    decision: undefined,
    fault: undefined,
    refusal: { sqlstate, message: `${code}: ${message}`, detail: mark, hint: undefined, position: undefined },
  });
  const verdictOn = (statement: AnalyzedStatement, context: SqlContext): SqlVerdict => {
    const judged = judge(statement, context);
    if (judged.kind === "refused") return refused(judged.code, judged.message, "42501");
    return {
      kind: "release",
      decisionId: newId("dec"),
      statement,
      decision: { effect: "allow", alerts: [], shadow: [], rules: [rule], obligations: clinicObligations },
      rewritten: judged.rewritten,
      obligationsKey: "clinic",
    };
  };
  const gate: SqlGate = {
    decide: (_session, context, text) => {
      const analyzed = analyzeSql(text, context);
      if (!analyzed.ok) return [refused(analyzed.error.code, analyzed.error.message, analyzed.error.sqlstate)];
      return analyzed.value.map((statement) => verdictOn(statement, context));
    },
    redecide: (_session, context, statement) => verdictOn(statement, context),
    isCurrent: () => true,
    record: (_session, _verdicts, _parameters, written) => {
      if (written) setImmediate(() => written(true));
    },
    hold: async () => ({ kind: "withdrawn" }),
    complete: () => undefined,
    open: () => undefined,
    close: () => undefined,
  };
  const silent = () => undefined;
  const listener = createPostgresListener({
    name: database.database,
    listen: { host: "127.0.0.1", port: 0 },
    tls: undefined,
    upstream: {
      host: database.host,
      port: database.port,
      database: database.database,
      user: database.user,
      password: async () => database.password,
      tls: { mode: "disable", ca: undefined },
    },
    gate,
    authenticate: async () =>
      ok({
        identity: {
          sub: "adversary",
          kind: "agent",
          groups: new Set(),
          email: undefined,
          ip: "127.0.0.1",
          mfa: false,
          on_behalf_of: undefined,
          claims: {},
        },
        purpose: undefined,
        expiresAtS: undefined,
      }),
    catalog: {
      current: () => catalog,
      defaultSearchPath: () => '"$user", public',
      refresh: async () => catalog,
      close: async () => undefined,
    },
    connection: { name: database.database, env: "test", tags: new Set() },
    allowedFunctions: new Set(),
    limits,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    nowMs: () => Date.now(),
    newId,
  });
  const { port } = await listener.listen();
  const close = () => listener.close(0);
  after(close);
  return {
    run: (steps) =>
      withClient({ ...database, host: "127.0.0.1", port }, async (client) => {
        const answers: Answer[] = [];
        await client.query("SET statement_timeout = '20s'");
        if (wrap === "rollback") await client.query("BEGIN");
        for (const step of steps) answers.push(answerOf(await observe(client, step)));
        if (wrap === "rollback") await client.query("ROLLBACK").catch(() => undefined);
        return answers;
      }),
    close,
  };
}

/** One gateway for each database that is kept, and one for each run that is on its own. */
export function gatewaysOf(
  catalog: Catalog,
): (database: Database, wrap: "rollback" | "none", steps: readonly Step[]) => Promise<readonly Answer[]> {
  const kept = new Map<Database, Promise<World>>();
  return async (database, wrap, steps) => {
    if (wrap === "none") {
      const own = await gatewayWorld(database, catalog, wrap);
      return own.run(steps).finally(own.close);
    }
    const known = kept.get(database) ?? gatewayWorld(database, catalog, wrap);
    kept.set(database, known);
    return (await known).run(steps);
  };
}

function answerOf(seen: readonly Seen[]): Answer {
  const refusal = seen.find((s) => s.kind === "error" && s.parts.detail?.includes(mark));
  if (refusal?.kind === "error")
    return { kind: "refused", code: refusal.parts.code ?? "", message: refusal.parts.message ?? "" };
  return { kind: "answered", seen };
}
