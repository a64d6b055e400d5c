// The state of approvals in one SQLite file: it survives a restart, and every change is a compare-and-set.
import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import type { ApprovalRequirement, RuleId } from "../../engine/model/decision.ts";
import { GatewayError } from "../errors.ts";
import type { Approval, ApprovalDraft, ApprovalState, Vote } from "./approval.ts";

/** What a store must do; several gateways can share one that is not a file. */
export type ApprovalStore = {
  readonly insert: (draft: ApprovalDraft, createdAtMs: number, expiresAtMs: number) => void;
  readonly get: (id: string) => Approval | undefined;
  /** The newest request for `digest` in `state` that has not expired at `nowMs`. */
  readonly find: (digest: string, state: "pending" | "granted", nowMs: number) => Approval | undefined;
  readonly list: (state: ApprovalState | undefined, max: number) => readonly Approval[];
  readonly countPending: (nowMs: number) => number;
  /** One vote a person: a second one of the same person replaces nothing and gives false. */
  readonly addVote: (id: string, vote: Vote) => boolean;
  /** True when the request was in `from` and had not expired, and now is in `to`. The one way in which a state changes. */
  readonly transition: (
    id: string,
    from: ApprovalState,
    to: ApprovalState,
    nowMs: number,
    expiresAtMs?: number,
  ) => boolean;
  readonly expire: (nowMs: number) => readonly string[];
  readonly close: () => void;
};

const schema = `
  CREATE TABLE IF NOT EXISTS approval (
    id TEXT PRIMARY KEY, digest TEXT NOT NULL, state TEXT NOT NULL, created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL, draft TEXT NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS approval_digest ON approval (digest, state);
  CREATE INDEX IF NOT EXISTS approval_state ON approval (state, expires_ms);
  CREATE TABLE IF NOT EXISTS vote (
    approval TEXT NOT NULL REFERENCES approval (id), by TEXT NOT NULL, groups TEXT NOT NULL, verdict TEXT NOT NULL,
    reason TEXT, at_ms INTEGER NOT NULL, PRIMARY KEY (approval, by)) STRICT;
`;

type Row = Record<string, SQLOutputValue>;

/** @throws GatewayError `approval-unavailable` when the file can't be opened */
export function openApprovalStore(path: string): ApprovalStore {
  const database = openDatabase(path);
  const statements = {
    insert: database.prepare("INSERT INTO approval VALUES (?, ?, 'pending', ?, ?, ?)"),
    get: database.prepare("SELECT * FROM approval WHERE id = ?"),
    find: database.prepare(
      "SELECT * FROM approval WHERE digest = ? AND state = ? AND expires_ms > ? ORDER BY created_ms DESC LIMIT 1",
    ),
    all: database.prepare("SELECT * FROM approval ORDER BY created_ms DESC, id DESC LIMIT ?"),
    inState: database.prepare("SELECT * FROM approval WHERE state = ? ORDER BY created_ms DESC, id DESC LIMIT ?"),
    countPending: database.prepare("SELECT count(*) AS n FROM approval WHERE state = 'pending' AND expires_ms > ?"),
    votes: database.prepare("SELECT * FROM vote WHERE approval = ? ORDER BY at_ms, by"),
    addVote: database.prepare("INSERT OR IGNORE INTO vote VALUES (?, ?, ?, ?, ?, ?)"),
    transition: database.prepare(
      "UPDATE approval SET state = ?, expires_ms = coalesce(?, expires_ms) WHERE id = ? AND state = ? AND expires_ms > ?",
    ),
    expire: database.prepare(
      "UPDATE approval SET state = 'expired' WHERE state IN ('pending', 'granted') AND expires_ms <= ? RETURNING id",
    ),
  };
  const approvalOf = (row: Row | undefined): Approval | undefined =>
    row === undefined ? undefined : decodeApproval(row, statements.votes.all(String(row.id)).map(decodeVote));
  const approvals = (rows: readonly Row[]): readonly Approval[] =>
    rows.map(approvalOf).filter((approval) => approval !== undefined);
  return {
    insert: (draft, createdAtMs, expiresAtMs) => {
      statements.insert.run(draft.id, draft.digest, createdAtMs, expiresAtMs, JSON.stringify(draft));
    },
    get: (id) => approvalOf(statements.get.get(id)),
    find: (digest, state, nowMs) => approvalOf(statements.find.get(digest, state, nowMs)),
    list: (state, max) => approvals(state === undefined ? statements.all.all(max) : statements.inState.all(state, max)),
    countPending: (nowMs) => Number(statements.countPending.get(nowMs)?.n ?? 0),
    addVote: (id, vote) =>
      statements.addVote.run(id, vote.by, JSON.stringify(vote.groups), vote.verdict, vote.reason ?? null, vote.atMs)
        .changes === 1,
    transition: (id, from, to, nowMs, expiresAtMs) =>
      statements.transition.run(to, expiresAtMs ?? null, id, from, nowMs).changes === 1,
    expire: (nowMs) => statements.expire.all(nowMs).map((row) => String(row.id)),
    close: () => database.close(),
  };
}

function openDatabase(path: string): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
    const database = new DatabaseSync(path);
    // A grant that was used must not come back after a power cut.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
    database.exec("PRAGMA busy_timeout = 2000;");
    database.exec(schema);
    chmodSync(path, 0o640);
    return database;
  } catch (error) {
    throw new GatewayError(
      "approval-unavailable",
      `the approval store \`${path}\` can't be opened`,
      "check the folder's permissions, or name another file with `approvals.file`",
      error,
    );
  }
}

function decodeApproval(row: Row, votes: readonly Vote[]): Approval {
  // SAFETY: written by `insert` above from an ApprovalDraft, and by nobody else.
  const draft = JSON.parse(String(row.draft)) as ApprovalDraft & {
    requirements: (ApprovalRequirement & { rule: RuleId })[];
  };
  return {
    ...draft,
    state: String(row.state) as ApprovalState,
    votes,
    createdAtMs: Number(row.created_ms),
    expiresAtMs: Number(row.expires_ms),
  };
}

function decodeVote(row: Row): Vote {
  return {
    by: String(row.by),
    groups: JSON.parse(String(row.groups)) as string[],
    verdict: row.verdict === "approve" ? "approve" : "deny",
    reason: row.reason === null || row.reason === undefined ? undefined : String(row.reason),
    atMs: Number(row.at_ms),
  };
}
