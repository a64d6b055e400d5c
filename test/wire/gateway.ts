// The listener in front of a real PostgreSQL, with a gate whose verdicts a test chooses. Not a mock of the real gate:
// the wire must be right for any gate that keeps the contract of sql-gate.ts.
import { createHash } from "node:crypto";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after } from "node:test";
import { err, ok } from "../../engine/lib/result.ts";
import { limits as allLimits, type Limits } from "../../engine/limits.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import { noObligations, type RuleId } from "../../engine/model/decision.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { SqlVerb } from "../../engine/model/statement.ts";
import type { AnalyzedStatement, SessionEffect } from "../../engine/sql/types.ts";
import type { LogFields } from "../../proxy/deps.ts";
import type { CancelNote } from "../../proxy/postgres/cancel-notes.ts";
import { decodeFunction, functionSql } from "../../proxy/postgres/catalog-function.ts";
import { createPostgresListener } from "../../proxy/postgres/listener.ts";
import type { PostgresListener, PostgresListenerOptions } from "../../proxy/postgres/options.ts";
import type { Completion, HoldOutcome, SqlGate, SqlRefusal, SqlVerdict } from "../../proxy/postgres/sql-gate.ts";
import { type TestServer, withClient } from "../support/postgres.ts";

export const token = "a-token";

/** What a text gets: release it (as it is, or as another text), refuse it, or ask people. */
export type Ruling =
  | {
      readonly kind: "release";
      readonly text?: string;
      readonly touchesProtected?: boolean;
      readonly maskedOrigins?: readonly string[];
    }
  | { readonly kind: "refuse"; readonly message: string }
  | { readonly kind: "hold"; readonly outcome: (signal: AbortSignal) => Promise<HoldOutcome["kind"]> };

export type Journal = {
  readonly decided: string[];
  readonly recorded: { readonly kind: SqlVerdict["kind"]; readonly text: string; readonly parameters: number }[];
  readonly completed: (Omit<Completion, "durationUs" | "bytes"> & { readonly text: string })[];
  readonly closed: string[];
  readonly log: LogFields[];
  readonly searchPaths: string[];
  readonly cancels: CancelNote[];
};

export type TestGateway = {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly journal: Journal;
  readonly listener: PostgresListener;
  /** Rules of the moment: a test may exchange them between two messages. */
  rule: (text: string) => Ruling;
  recordFails: boolean;
  /** What was accepted to be recorded with the end of the turn can't be written then. */
  writeFails: boolean;
  expiresAtS: number | undefined;
  /** How far the gateway's clock is ahead. */
  aheadMs: number;
  refreshes: number;
};

const verbOf = (text: string): SqlVerb => {
  if (/\bcopy\b/i.test(text)) return "copy";
  if (/^\s*listen\b/i.test(text)) return "listen";
  if (/^\s*do\b/i.test(text)) return "do";
  if (/^\s*(insert|update|delete)\b/i.test(text)) return "update";
  return "select";
};

function effectsOf(text: string): readonly SessionEffect[] {
  const set = /^\s*set\s+(local\s+)?search_path\s*(?:=|to)\s*(.*?)\s*;?\s*$/i.exec(text);
  if (set) return [{ kind: "set", name: "search_path", value: set[2] ?? "", isLocal: set[1] !== undefined }];
  const prepare = /^\s*prepare\s+(\w+)\s+as\s+(.*)$/is.exec(text);
  if (prepare) return [{ kind: "prepare", name: prepare[1] ?? "", statement: statementOf(prepare[2] ?? "") }];
  const deallocate = /^\s*deallocate\s+(\w+)/i.exec(text);
  if (deallocate) {
    return [{ kind: "deallocate", name: deallocate[1]?.toLowerCase() === "all" ? undefined : deallocate[1] }];
  }
  const savepoint = /^\s*(savepoint|rollback\s+to|release)\s+(\w+)/i.exec(text);
  if (savepoint) {
    const kind = (savepoint[1] ?? "").toLowerCase().startsWith("rollback")
      ? "rollback-to"
      : (savepoint[1] ?? "").toLowerCase() === "release"
        ? "release"
        : "savepoint";
    return [{ kind, name: savepoint[2] ?? "" }];
  }
  const word = /^\s*(begin|commit|rollback)\b/i.exec(text)?.[1]?.toLowerCase();
  if (word === "begin" || word === "commit" || word === "rollback") return [{ kind: word, chain: false }];
  if (/^\s*discard\s+all/i.test(text)) return [{ kind: "discard-all" }];
  if (/^\s*create\s+table/i.test(text)) return [{ kind: "catalog-changed" }];
  return [];
}

const statements = new Map<string, AnalyzedStatement>();

function statementOf(text: string): AnalyzedStatement {
  const known = statements.get(text);
  if (known) return known;
  const verb = verbOf(text);
  const statement: AnalyzedStatement = {
    facts: {
      accesses: [
        {
          verb,
          kind: verb === "update" ? "write" : "read",
          relation: undefined,
          columns: [],
          hasWhere: false,
          whereAlwaysTrue: true,
          via: [],
        },
      ],
      verb,
      statements: 1,
      tables: [],
      readTables: [],
      writeTables: verb === "update" ? [{ name: "t" } as never] : [],
      columnsRead: [],
      columnsWritten: [],
      columnsReturned: [],
      functions: new Set(),
      hasLimit: false,
      limit: undefined,
      joins: 0,
      estimatedRows: undefined,
      text,
      fingerprint: createHash("sha256").update(text).digest("hex").slice(0, 16),
    },
    effects: effectsOf(text),
    tree: undefined,
    catalogVersion: "1",
    isRowReturning: true,
    isEmpty: false,
  };
  if (statements.size > 10_000) statements.clear();
  statements.set(text, statement);
  return statement;
}

const ruleId = "test.rule" as RuleId;
const nothingMasked: ReadonlySet<string> = new Set();

/** A text without any statement gives none, as with the real parser. */
const isBlank = (text: string): boolean => text.replaceAll(/--[^\n\r]*|[\s;]/g, "") === "";

export type GatewayOptions = {
  readonly limits?: Partial<Limits>;
  readonly sessions?: PostgresListenerOptions["sessions"];
  readonly tls?: PostgresListenerOptions["tls"];
  readonly upstream?: Partial<PostgresListenerOptions["upstream"]>;
  /** Texts with several statements become several verdicts, split at `;`. Off: one verdict for the whole text. */
  readonly splits?: boolean;
};

export async function startGateway(
  server: TestServer & { readonly database: string },
  options: GatewayOptions = {},
): Promise<TestGateway> {
  const journal: Journal = {
    decided: [],
    recorded: [],
    completed: [],
    closed: [],
    log: [],
    searchPaths: [],
    cancels: [],
  };
  const textOf = new Map<string, string>();
  let decisions = 0;
  const verdictFor = (statement: AnalyzedStatement): SqlVerdict => {
    const text = statement.facts.text;
    const ruling = gateway.rule(text);
    const decisionId = `dec_${++decisions}`;
    textOf.set(decisionId, text);
    const released = {
      decisionId,
      statement,
      rewritten: {
        text: ruling.kind === "release" ? (ruling.text ?? text) : text,
        touchesProtected: ruling.kind === "release" && ruling.touchesProtected === true,
        maskedOrigins: ruling.kind === "release" ? new Set(ruling.maskedOrigins ?? []) : nothingMasked,
      },
      obligationsKey: ruling.kind === "release" ? (ruling.text ?? "") : "",
    };
    const allow = { alerts: [], shadow: [], effect: "allow", rules: [ruleId], obligations: noObligations } as const;
    if (ruling.kind === "release") return { kind: "release", decision: allow, ...released };
    if (ruling.kind === "hold") {
      return {
        kind: "hold",
        decision: {
          ...allow,
          effect: "approval",
          requirements: [{ rule: ruleId, approvers: [], withinMs: 1_000, message: "" }],
        },
        ...released,
      };
    }
    return {
      kind: "refuse",
      decisionId,
      statement,
      decision: undefined,
      fault: undefined,
      refusal: refusal(ruling.message),
    };
  };
  const gate: SqlGate = {
    decide: (_session, context, text) => {
      journal.decided.push(text);
      journal.searchPaths.push(context.searchPath.join());
      if (isBlank(text)) return [];
      const parts = options.splits ? text.split(";").filter((part) => part.trim() !== "") : [text];
      return parts.map((part) => verdictFor(statementOf(part)));
    },
    redecide: (_session, _context, statement) => verdictFor(statement),
    isCurrent: () => true,
    record: (_session, verdicts, parameters, written) => {
      if (gateway.recordFails) throw new Error("disk full");
      for (const v of verdicts) {
        journal.recorded.push({ kind: v.kind, text: textOf.get(v.decisionId) ?? "?", parameters: parameters.length });
      }
      if (written) setImmediate(() => written(!gateway.writeFails));
    },
    hold: async (_session, _context, verdict, _parameters, signal, client) => {
      client.tell("waiting for approval");
      const text = verdict.statement?.facts.text ?? "";
      const ruling = gateway.rule(text);
      const kind = ruling.kind === "hold" ? await ruling.outcome(signal) : "refused";
      if (kind === "withdrawn") return { kind };
      if (kind === "refused") return { kind, refusal: refusal("refused by people") };
      const allow = { alerts: [], shadow: [], effect: "allow", rules: [ruleId], obligations: noObligations } as const;
      return { kind, verdict: { ...verdict, kind: "release", decision: allow } };
    },
    complete: (_session, decisionId, { outcome, tag, sqlstate, rows, cancelledBy }) => {
      const by = cancelledBy === undefined ? {} : { cancelledBy };
      journal.completed.push({ outcome, tag, sqlstate, rows, ...by, text: textOf.get(decisionId) ?? "?" });
      textOf.delete(decisionId);
    },
    open: () => undefined,
    close: (_session, reason) => {
      journal.closed.push(reason);
    },
  };
  const catalog: Catalog = {
    version: "1",
    database: server.database,
    serverVersion: 180_000,
    schemas: new Set(["public", "other", "pg_catalog"]),
    relations: new Map(),
    relationsByOid: new Map(),
    functions: new Map(),
    types: new Map(),
  };
  const identity: IdentityFacts = {
    sub: "tester",
    kind: "human",
    groups: new Set(),
    email: undefined,
    ip: "127.0.0.1",
    mfa: false,
    on_behalf_of: undefined,
    claims: {},
  };
  const log = (fields: LogFields) => {
    journal.log.push(fields);
  };
  const listener = createPostgresListener({
    name: "test",
    listen: { host: "127.0.0.1", port: 0 },
    tls: options.tls,
    upstream: {
      host: server.host,
      port: server.port,
      database: server.database,
      user: server.user,
      password: async () => server.password,
      tls: { mode: "disable", ca: undefined },
      ...options.upstream,
    },
    gate,
    authenticate: async ({ password }) =>
      password === token
        ? ok({ identity, purpose: undefined, expiresAtS: gateway.expiresAtS })
        : err({ code: "bad-token", message: "the token is not valid", hint: "run `gw login`" }),
    catalog: {
      current: () => catalog,
      functionOf: async (oid) =>
        withClient(server, async (client) => {
          const { rows } = await client.query<(string | null)[]>({ text: functionSql(oid), rowMode: "array" });
          return decodeFunction(rows);
        }),
      defaultSearchPath: () => '"$user", public',
      refresh: async () => {
        gateway.refreshes += 1;
        return catalog;
      },
      close: async () => undefined,
    },
    connection: { name: "test", env: "test", tags: new Set() },
    allowedFunctions: new Set(),
    limits: { ...allLimits, ...options.limits },
    ...(options.sessions === undefined ? {} : { sessions: options.sessions }),
    log: { debug: log, info: log, warn: log, error: log },
    nowMs: () => Date.now() + gateway.aheadMs,
    noteCancel: (note) => journal.cancels.push(note),
    newId: (prefix) => `${prefix}_${++decisions}`,
  });
  const gateway: TestGateway = {
    host: "127.0.0.1",
    port: 0,
    user: "agent",
    password: token,
    database: server.database,
    journal,
    listener,
    rule: () => ({ kind: "release" }),
    recordFails: false,
    writeFails: false,
    expiresAtS: undefined,
    aheadMs: 0,
    refreshes: 0,
  };
  const { port } = await listener.listen();
  after(() => listener.close(0));
  return Object.assign(gateway, { port });
}

const refusal = (message: string): SqlRefusal => ({
  sqlstate: "42501",
  message,
  detail: "rule test.rule",
  hint: "ask somebody",
  position: undefined,
});

/** A TCP forwarder that a test can cut. */
export async function startCutter(to: {
  readonly host: string;
  readonly port: number;
}): Promise<{ readonly port: number; readonly cut: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(to);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      for (const s of sockets) s.destroy();
    },
  };
}
