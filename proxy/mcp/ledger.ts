// What several processes know together of MCP: sessions, requests whose answers may be heard again, tasks. A SQLite file.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import type { SQLOutputValue, StatementSync } from "node:sqlite";
import { limits } from "../../engine/limits.ts";
import type { RpcError, RpcId, RpcResult } from "../../engine/mcp/json-rpc.ts";
import type { Tool } from "../../engine/mcp/tools.ts";
import type { ContentMask } from "../../engine/model/decision.ts";
import type { Clock } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { openSqlite } from "../sqlite.ts";
import type { Asked, Owed, SharedState } from "./state.ts";
import type { McpTask, TaskBook } from "./tasks.ts";

/** Ids of sessions are digests here, and the upstream's are sealed with the client's: the file opens no session. */
const schema = `
  CREATE TABLE IF NOT EXISTS event_key (one INTEGER PRIMARY KEY CHECK (one = 1), key BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS session (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, upstream BLOB NOT NULL, version TEXT, used_ms INTEGER NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS session_owner ON session (owner, used_ms);
  CREATE INDEX IF NOT EXISTS session_used ON session (used_ms);
  CREATE TABLE IF NOT EXISTS used (
    seq INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES session ON DELETE CASCADE, id TEXT NOT NULL,
    UNIQUE (session, id)) STRICT;
  CREATE TABLE IF NOT EXISTS asked (
    session TEXT NOT NULL REFERENCES session ON DELETE CASCADE, id TEXT NOT NULL, request TEXT NOT NULL,
    taken_back TEXT, PRIMARY KEY (session, id)) STRICT;
  CREATE TABLE IF NOT EXISTS expected (
    session TEXT NOT NULL REFERENCES session ON DELETE CASCADE, id TEXT NOT NULL, method TEXT NOT NULL,
    PRIMARY KEY (session, id)) STRICT;
  CREATE TABLE IF NOT EXISTS mask (
    session TEXT NOT NULL REFERENCES session ON DELETE CASCADE, mask TEXT NOT NULL, PRIMARY KEY (session, mask)) STRICT;
  CREATE TABLE IF NOT EXISTS task (
    seq INTEGER PRIMARY KEY, connection TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL, task TEXT NOT NULL,
    UNIQUE (connection, id)) STRICT;
`;

export type SharedSession = {
  readonly owner: string;
  readonly upstreamId: string;
  readonly version: string | undefined;
  readonly state: SharedState;
};

export type McpLedger = {
  /** Signs ids of events: the same in every process. */
  readonly eventKey: Buffer;
  readonly open: (id: string, session: Omit<SharedSession, "state">, toolOf: ToolOf) => SharedState;
  /** Notes that it was used. */
  readonly find: (id: string, toolOf: ToolOf) => SharedSession | undefined;
  readonly close: (id: string) => void;
  readonly tasksOf: (connection: string) => TaskBook;
  readonly end: () => void;
};

type ToolOf = (name: string) => Tool | undefined;
type Row = Record<string, SQLOutputValue>;

/** @throws GatewayError `mcp-sessions-unavailable` */
export function openMcpLedger(path: string, clock: Clock): McpLedger {
  try {
    return ledgerOf(path, clock);
  } catch (error) {
    throw new GatewayError(
      "mcp-sessions-unavailable",
      `the sessions of MCP clients \`${path}\` can't be opened: ${causeCode(error)}`,
      "check the folder's permissions; if the file is damaged, remove it: clients then begin new sessions",
      error,
    );
  }
}

function ledgerOf(path: string, clock: Clock): McpLedger {
  // What a power cut loses are sessions that clients begin anew.
  const database = openSqlite(path, { synchronous: "OFF", schema, busyTimeoutMs: 5_000 });
  const prepared = new Map<string, StatementSync>();
  const run = (sql: string): StatementSync => {
    const known = prepared.get(sql) ?? database.prepare(sql);
    prepared.set(sql, known);
    return known;
  };
  run("INSERT OR IGNORE INTO event_key VALUES (1, ?)").run(randomBytes(32));
  const eventKey = Buffer.from(bytesOf(run("SELECT key FROM event_key").get()?.key));

  const stateOf = (session: string, toolOf: ToolOf): SharedState => {
    let reserved = 0;
    const trim = (): void => {
      run(
        "DELETE FROM used WHERE session = ? AND seq <= (SELECT seq FROM used WHERE session = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
      ).run(session, session, limits.mcpRequestsRememberedMax);
      run(
        "DELETE FROM asked WHERE session = ? AND rowid <= (SELECT rowid FROM asked WHERE session = ? ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
      ).run(session, session, limits.mcpRequestsRememberedMax);
    };
    const takeBack = (id: string, { withdrawal }: Asked): void => {
      const update = run("UPDATE asked SET taken_back = ? WHERE session = ? AND id = ?");
      // Where nobody can write any more, nobody hears an answer again.
      if (database.isOpen) update.run(JSON.stringify(withdrawal?.answer), session, id);
    };
    return {
      reserve: (id) => {
        reserved += 1;
        if (reserved % 100 === 0) trim();
        return run("INSERT OR IGNORE INTO used (session, id) VALUES (?, ?)").run(session, id).changes === 1;
      },
      put: (id, asked) => {
        run("INSERT OR REPLACE INTO asked (session, id, request) VALUES (?, ?, ?)").run(session, id, textOf(asked));
        for (const mask of asked.owed.content)
          run("INSERT OR IGNORE INTO mask VALUES (?, ?)").run(session, JSON.stringify(mask));
        asked.withdrawal?.signal.addEventListener("abort", () => takeBack(id, asked));
      },
      find: (id) => {
        const row = run("SELECT request, taken_back FROM asked WHERE session = ? AND id = ?").get(session, id);
        return row && askedOf(row, toolOf);
      },
      expect: (id, method) => {
        const count = Number(run("SELECT count(*) AS n FROM expected WHERE session = ?").get(session)?.n);
        if (count >= limits.mcpRequestsRememberedMax) return false;
        run("INSERT OR REPLACE INTO expected VALUES (?, ?, ?)").run(session, id, method);
        return true;
      },
      take: (id) => {
        const row = run("DELETE FROM expected WHERE session = ? AND id = ? RETURNING method").get(session, id);
        return row && String(row.method);
      },
      masks: () =>
        run("SELECT mask FROM mask WHERE session = ?")
          .all(session)
          .map(({ mask }) => JSON.parse(String(mask)) as ContentMask),
      agree: (version) => {
        run("UPDATE session SET version = ? WHERE id = ?").run(version, session);
      },
    };
  };

  const sweep = (owner: string): void => {
    run("DELETE FROM session WHERE used_ms <= ?").run(clock.nowMs() - limits.mcpSessionIdleMs);
    run(
      "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE owner = ? ORDER BY used_ms DESC LIMIT -1 OFFSET ?)",
    ).run(owner, limits.mcpSessionsPerOwnerMax - 1);
    run("DELETE FROM session WHERE id IN (SELECT id FROM session ORDER BY used_ms DESC LIMIT -1 OFFSET ?)").run(
      limits.mcpSessionsMax - 1,
    );
  };

  return {
    eventKey,
    open: (id, { owner, upstreamId, version }, toolOf) => {
      sweep(owner);
      const name = digestOf(id);
      run("INSERT INTO session VALUES (?, ?, ?, ?, ?)").run(
        name,
        owner,
        sealed(upstreamId, id),
        version ?? null,
        clock.nowMs(),
      );
      return stateOf(name, toolOf);
    },
    find: (id, toolOf) => {
      const name = digestOf(id);
      const row = run("SELECT * FROM session WHERE id = ? AND used_ms > ?").get(
        name,
        clock.nowMs() - limits.mcpSessionIdleMs,
      );
      if (row === undefined) return undefined;
      if (clock.nowMs() - Number(row.used_ms) > 60_000)
        run("UPDATE session SET used_ms = ? WHERE id = ?").run(clock.nowMs(), name);
      return {
        owner: String(row.owner),
        upstreamId: opened(bytesOf(row.upstream), id),
        version: row.version === null ? undefined : String(row.version),
        state: stateOf(name, toolOf),
      };
    },
    close: (id) => {
      run("DELETE FROM session WHERE id = ?").run(digestOf(id));
    },
    tasksOf: (connection) => ({
      add: (id, task) => {
        run(
          "DELETE FROM task WHERE seq IN (SELECT seq FROM task WHERE connection = ? AND owner = ? ORDER BY seq DESC LIMIT -1 OFFSET ?)",
        ).run(connection, task.owner, limits.mcpTasksPerOwnerMax - 1);
        run(
          "DELETE FROM task WHERE seq IN (SELECT seq FROM task WHERE connection = ? ORDER BY seq DESC LIMIT -1 OFFSET ?)",
        ).run(connection, limits.mcpTasksMax - 1);
        const { owner, ...rest } = task;
        const isNew =
          run("INSERT OR IGNORE INTO task (connection, id, owner, task) VALUES (?, ?, ?, ?)").run(
            connection,
            id,
            owner,
            JSON.stringify(rest),
          ).changes === 1;
        if (isNew) return true;
        const known = run("SELECT owner, task FROM task WHERE connection = ? AND id = ?").get(connection, id);
        return known?.owner === owner && taskOf(known).decisionId === task.decisionId;
      },
      find: (id, owner) => {
        const row = run("SELECT owner, task FROM task WHERE connection = ? AND id = ? AND owner = ?").get(
          connection,
          id,
          owner,
        );
        return row && taskOf(row);
      },
    }),
    end: () => database.close(),
  };
}

/** SAFETY of what is parsed here: these processes alone write the file, in this form. */
type Kept = Omit<Asked, "tool" | "args" | "withdrawal" | "isAnswered"> & { readonly tool: string | undefined };

function textOf({ id, method, tool, decisionId, owed, startedAtMs, taskId }: Asked): string {
  const kept: Kept = {
    id,
    method,
    tool: tool?.name,
    decisionId,
    owed,
    startedAtMs,
    ...(taskId === undefined ? {} : { taskId }),
  };
  return JSON.stringify(kept);
}

function askedOf(row: Row, toolOf: ToolOf): Asked {
  const kept = JSON.parse(String(row.request)) as Kept & { readonly id: RpcId; readonly owed: Owed };
  const answer = row.taken_back === null ? undefined : (JSON.parse(String(row.taken_back)) as RpcResult | RpcError);
  return {
    ...kept,
    tool: kept.tool === undefined ? undefined : toolOf(kept.tool),
    ...(answer === undefined ? {} : { withdrawal: { signal: AbortSignal.abort(), answer } }),
    isAnswered: true,
  };
}

const taskOf = (row: Row): McpTask => ({
  owner: String(row.owner),
  ...(JSON.parse(String(row.task)) as Omit<McpTask, "owner">),
});

const digestOf = (id: string): string => createHash("sha256").update(id).digest("base64url");

const keyOf = (id: string): Buffer => createHash("sha256").update(`upstream\u0000${id}`).digest();

/** The key is of use once: an id stands for one session. */
function sealed(text: string, id: string): Buffer {
  const cipher = createCipheriv("aes-256-gcm", keyOf(id), Buffer.alloc(12));
  return Buffer.concat([cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

function opened(bytes: Uint8Array, id: string): string {
  const decipher = createDecipheriv("aes-256-gcm", keyOf(id), Buffer.alloc(12));
  decipher.setAuthTag(bytes.subarray(-16));
  return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString("utf8");
}

const bytesOf = (value: SQLOutputValue | undefined): Uint8Array =>
  value instanceof Uint8Array ? value : new Uint8Array(0);
