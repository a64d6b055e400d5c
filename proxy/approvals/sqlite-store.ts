// The state of approvals in one SQLite file: it survives a restart. For one gateway, or several on one machine.
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import { causeCode, GatewayError } from "../errors.ts";
import { openSqlite } from "../sqlite.ts";
import type { StandIn, Vote } from "./approval.ts";
import { type ApprovalStore, decodeApproval, storeSkewMs } from "./store.ts";

/** A new kind of file: what an older gateway wrote there is not read. */
const schema = `
  CREATE TABLE IF NOT EXISTS request (
    id TEXT PRIMARY KEY, digest TEXT NOT NULL, state TEXT NOT NULL, created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL, connection TEXT NOT NULL, likeness TEXT NOT NULL, draft TEXT NOT NULL, glass TEXT,
    review TEXT) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS request_open ON request (digest) WHERE state = 'pending';
  CREATE INDEX IF NOT EXISTS request_digest ON request (digest, state);
  CREATE INDEX IF NOT EXISTS request_state ON request (state, expires_ms);
  CREATE INDEX IF NOT EXISTS request_likeness ON request (connection, likeness, created_ms);
  CREATE INDEX IF NOT EXISTS request_glass ON request (created_ms) WHERE glass IS NOT NULL AND review IS NULL;
  CREATE TABLE IF NOT EXISTS ballot (
    request TEXT NOT NULL REFERENCES request (id), by TEXT NOT NULL, authority TEXT NOT NULL, stands_in_for TEXT,
    groups TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT, at_ms INTEGER NOT NULL,
    PRIMARY KEY (request, by), UNIQUE (request, authority)) STRICT;
  CREATE TABLE IF NOT EXISTS stand_in (
    absent TEXT PRIMARY KEY, by TEXT NOT NULL, groups TEXT NOT NULL, from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL) STRICT;
`;

type Row = Record<string, SQLOutputValue>;

/** @throws GatewayError `approval-unavailable` when the file can't be opened */
export function openSqliteStore(path: string): ApprovalStore {
  const database = openDatabase(path);
  const all = (sql: string) => {
    const statement = database.prepare(sql);
    return async (...values: SQLInputValue[]): Promise<readonly Row[]> => {
      try {
        return statement.all(...values);
      } catch (error) {
        throw unavailable(path, error);
      }
    };
  };
  /** True when the statement changed (returned) something. */
  const changes = (sql: string) => {
    const run = all(`${sql} RETURNING 1`);
    return async (...values: SQLInputValue[]): Promise<boolean> => (await run(...values)).length > 0;
  };
  const insert = changes(
    "INSERT INTO request VALUES (?, ?, 'pending', ?, ?, ?, ?, ?, NULL, NULL) ON CONFLICT DO NOTHING",
  );
  const get = all("SELECT * FROM request WHERE id = ?");
  const find = all(
    "SELECT * FROM request WHERE digest = ? AND state = ? AND expires_ms > ? AND created_ms <= ? ORDER BY created_ms DESC LIMIT 1",
  );
  const newest = all("SELECT * FROM request ORDER BY created_ms DESC, id DESC LIMIT ?");
  const inState = all("SELECT * FROM request WHERE state = ? ORDER BY created_ms DESC, id DESC LIMIT ?");
  const approved = all(
    "SELECT * FROM request WHERE connection = ? AND likeness = ? AND state IN ('granted', 'used') AND glass IS NULL ORDER BY created_ms DESC LIMIT 1",
  );
  const countPending = all("SELECT count(*) AS n FROM request WHERE state = 'pending' AND expires_ms > ?");
  const votes = all("SELECT * FROM ballot WHERE request = ? ORDER BY at_ms, by");
  const addVote = changes("INSERT INTO ballot VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
  const transition = changes(
    "UPDATE request SET state = ?, expires_ms = coalesce(?, expires_ms) WHERE id = ? AND state = ? AND expires_ms > ? AND created_ms <= ?",
  );
  const revoke = changes("UPDATE request SET state = 'withdrawn' WHERE id = ? AND state IN ('granted', 'used')");
  const expire = all(
    "UPDATE request SET state = 'expired' WHERE state IN ('pending', 'granted') AND expires_ms <= ? RETURNING id",
  );
  const breakGlass = changes(
    "UPDATE request SET state = 'granted', glass = ?, expires_ms = ? WHERE id = ? AND state = 'pending' AND expires_ms > ?",
  );
  const review = changes("UPDATE request SET review = ? WHERE id = ? AND glass IS NOT NULL AND review IS NULL");
  const unreviewed = all(
    "SELECT * FROM request WHERE glass IS NOT NULL AND review IS NULL ORDER BY created_ms LIMIT ?",
  );
  const putStandIn = changes("INSERT OR REPLACE INTO stand_in VALUES (?, ?, ?, ?, ?)");
  const dropStandIn = changes("DELETE FROM stand_in WHERE absent = ?");
  const standIns = all("SELECT * FROM stand_in WHERE from_ms <= ? AND until_ms > ? ORDER BY absent");

  const approvals = (rows: readonly Row[]) =>
    Promise.all(
      rows.map(async (row) =>
        decodeApproval(
          {
            state: String(row.state),
            created_ms: Number(row.created_ms),
            expires_ms: Number(row.expires_ms),
            draft: String(row.draft),
            glass: textOf(row.glass),
            review: textOf(row.review),
          },
          (await votes(String(row.id))).map(decodeVote),
        ),
      ),
    );
  const first = async (rows: Promise<readonly Row[]>) => (await approvals((await rows).slice(0, 1)))[0];
  return {
    insert: (draft, createdAtMs, expiresAtMs) =>
      insert(draft.id, draft.digest, createdAtMs, expiresAtMs, draft.connection, draft.likeness, JSON.stringify(draft)),
    get: (id) => first(get(id)),
    find: (digest, state, nowMs) => first(find(digest, state, nowMs, nowMs + storeSkewMs)),
    list: async (state, max) => approvals(await (state === undefined ? newest(max) : inState(state, max))),
    lastApproved: (connection, likeness) => first(approved(connection, likeness)),
    countPending: async (nowMs) => Number((await countPending(nowMs))[0]?.n ?? 0),
    addVote: (id, { by, standsInFor, groups, verdict, reason, atMs }) =>
      addVote(id, by, standsInFor ?? by, standsInFor ?? null, JSON.stringify(groups), verdict, reason ?? null, atMs),
    transition: (id, from, to, nowMs, expiresAtMs) =>
      transition(to, expiresAtMs ?? null, id, from, nowMs, nowMs + storeSkewMs),
    revoke,
    expire: async (nowMs) => (await expire(nowMs)).map((row) => String(row.id)),
    breakGlass: (id, glass, nowMs, expiresAtMs) => breakGlass(JSON.stringify(glass), expiresAtMs, id, nowMs),
    review: (id, verdict) => review(JSON.stringify(verdict), id),
    unreviewed: async (max) => approvals(await unreviewed(max)),
    putStandIn: async (absent, standIn) => {
      if (standIn === undefined) await dropStandIn(absent);
      else {
        const { by, groups, fromMs, untilMs } = standIn;
        await putStandIn(absent, by, JSON.stringify(groups), fromMs, untilMs);
      }
    },
    standIns: async (nowMs) => (await standIns(nowMs, nowMs)).map(decodeStandIn),
    // Nobody tells of changes to a file: who waits looks again every `approvalPollMs`.
    watch: () => () => undefined,
    close: async () => {
      if (database.isOpen) database.close();
    },
  };
}

function openDatabase(path: string): DatabaseSync {
  try {
    // A grant that was used must not come back after a power cut.
    return openSqlite(path, { synchronous: "FULL", schema, busyTimeoutMs: 2_000 });
  } catch (error) {
    throw new GatewayError(
      "approval-unavailable",
      `the approval store \`${path}\` can't be opened`,
      "check the folder's permissions, or name another file with `approvals.file`",
      error,
    );
  }
}

const unavailable = (path: string, error: unknown): GatewayError =>
  new GatewayError(
    "approval-unavailable",
    `the approval store \`${path}\` can't be used: ${causeCode(error)}`,
    "what needs approval is refused until it can",
    error,
  );

const textOf = (value: SQLOutputValue | undefined): string | null =>
  value === null || value === undefined ? null : String(value);

function decodeVote(row: Row): Vote {
  return {
    by: String(row.by),
    ...(row.stands_in_for === null || row.stands_in_for === undefined
      ? {}
      : { standsInFor: String(row.stands_in_for) }),
    // SAFETY: written by `addVote` from a list of texts.
    groups: JSON.parse(String(row.groups)) as string[],
    verdict: row.verdict === "approve" ? "approve" : "deny",
    reason: row.reason === null || row.reason === undefined ? undefined : String(row.reason),
    atMs: Number(row.at_ms),
  };
}

const decodeStandIn = (row: Row): StandIn => ({
  absent: String(row.absent),
  by: String(row.by),
  // SAFETY: written by `putStandIn` from a list of texts.
  groups: JSON.parse(String(row.groups)) as string[],
  fromMs: Number(row.from_ms),
  untilMs: Number(row.until_ms),
});
