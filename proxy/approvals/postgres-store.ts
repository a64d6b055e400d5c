// The state of approvals in a PostgreSQL schema that several gateways share; NOTIFY tells the others of each change.
import pg from "pg";
import type { Log, UpstreamTarget } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { tlsOptions } from "../postgres/catalog-connection.ts";
import type { StandIn, Vote } from "./approval.ts";
import { type ApprovalRow, type ApprovalStore, decodeApproval, storeSkewMs } from "./store.ts";

const channel = "gw_approvals";

/** Under one lock: two gateways that start at once make it once. The number is arbitrary and ours. */
const schema = `
  BEGIN;
  SELECT pg_advisory_xact_lock(7220514061);
  CREATE SCHEMA IF NOT EXISTS gatewright;
  CREATE TABLE IF NOT EXISTS gatewright.request (
    id text PRIMARY KEY, digest text NOT NULL, state text NOT NULL, created_ms bigint NOT NULL,
    expires_ms bigint NOT NULL, connection text NOT NULL, likeness text NOT NULL, draft text NOT NULL, glass text,
    review text);
  CREATE UNIQUE INDEX IF NOT EXISTS request_open ON gatewright.request (digest) WHERE state = 'pending';
  CREATE INDEX IF NOT EXISTS request_digest ON gatewright.request (digest, state);
  CREATE INDEX IF NOT EXISTS request_state ON gatewright.request (state, expires_ms);
  CREATE INDEX IF NOT EXISTS request_likeness ON gatewright.request (connection, likeness, created_ms);
  CREATE INDEX IF NOT EXISTS request_glass ON gatewright.request (created_ms) WHERE glass IS NOT NULL AND review IS NULL;
  CREATE TABLE IF NOT EXISTS gatewright.ballot (
    request text NOT NULL REFERENCES gatewright.request (id), by text NOT NULL, authority text NOT NULL,
    stands_in_for text, groups text NOT NULL, verdict text NOT NULL, reason text, at_ms bigint NOT NULL,
    PRIMARY KEY (request, by), UNIQUE (request, authority));
  CREATE TABLE IF NOT EXISTS gatewright.stand_in (
    absent text PRIMARY KEY, by text NOT NULL, groups text NOT NULL, from_ms bigint NOT NULL, until_ms bigint NOT NULL);
  COMMIT;
`;

/** Numbers of milliseconds fit a double: no strings to parse. JSON text can't hold what `text` can't but U+0000, which JSON escapes. */
const columns = "id, state, created_ms::float8 AS created_ms, expires_ms::float8 AS expires_ms, draft, glass, review";

/** @throws GatewayError `approval-unavailable` when it can't be reached or its schema can't be made */
export async function openPostgresStore(target: UpstreamTarget, log: Log): Promise<ApprovalStore> {
  const store = new PostgresStore(target, log);
  await store.start();
  return store;
}

const timeoutMs = 3_000;
/** Between two attempts to listen again. */
const listenAgainMs = 1_000;

type IdRow = { readonly id: string };

class PostgresStore implements ApprovalStore {
  readonly #pool: pg.Pool;
  readonly #config: pg.ClientConfig;
  readonly #log: Log;
  readonly #watchers = new Set<(id: string) => void>();
  #listening: pg.Client | undefined;
  #again: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(target: UpstreamTarget, log: Log) {
    const { host, port, database, user, password, tls } = target;
    this.#log = log;
    this.#config = {
      host,
      port,
      database,
      user,
      // Asked at each new connection: a rotated password needs no restart.
      password,
      ssl: tls.mode === "disable" || tls.mode === "prefer" ? false : tlsOptions(tls.mode, target),
      application_name: "gatewright approvals",
      connectionTimeoutMillis: timeoutMs,
      keepAlive: true,
    };
    this.#pool = new pg.Pool({
      ...this.#config,
      max: 4,
      statement_timeout: timeoutMs,
      query_timeout: timeoutMs + 1_000,
    });
    this.#pool.on("error", () => undefined); // an idle connection broke: the next use makes a new one
  }

  async start(): Promise<void> {
    try {
      await this.#query(schema, []);
      await this.#listen();
    } catch (error) {
      await this.close();
      throw error instanceof GatewayError ? error : this.#unavailable(error);
    }
  }

  insert: ApprovalStore["insert"] = (draft, createdAtMs, expiresAtMs) =>
    this.#change(
      `INSERT INTO gatewright.request (id, digest, state, created_ms, expires_ms, connection, likeness, draft)
       VALUES ($1, $2, 'pending', $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id`,
      [draft.id, draft.digest, createdAtMs, expiresAtMs, draft.connection, draft.likeness, JSON.stringify(draft)],
    );

  get: ApprovalStore["get"] = async (id) =>
    (await this.#approvals(`SELECT ${columns} FROM gatewright.request WHERE id = $1`, [id]))[0];

  find: ApprovalStore["find"] = async (digest, state, nowMs) =>
    (
      await this.#approvals(
        `SELECT ${columns} FROM gatewright.request
         WHERE digest = $1 AND state = $2 AND expires_ms > $3 AND created_ms <= $4 ORDER BY created_ms DESC LIMIT 1`,
        [digest, state, nowMs, nowMs + storeSkewMs],
      )
    )[0];

  list: ApprovalStore["list"] = (state, max) =>
    this.#approvals(
      `SELECT ${columns} FROM gatewright.request WHERE $1::text IS NULL OR state = $1
       ORDER BY created_ms DESC, id DESC LIMIT $2`,
      [state ?? null, max],
    );

  lastApproved: ApprovalStore["lastApproved"] = async (connection, likeness) =>
    (
      await this.#approvals(
        `SELECT ${columns} FROM gatewright.request WHERE connection = $1 AND likeness = $2
         AND state IN ('granted', 'used') AND glass IS NULL ORDER BY created_ms DESC LIMIT 1`,
        [connection, likeness],
      )
    )[0];

  countPending: ApprovalStore["countPending"] = async (nowMs) =>
    (
      await this.#query<{ readonly n: number }>(
        "SELECT count(*)::int AS n FROM gatewright.request WHERE state = 'pending' AND expires_ms > $1",
        [nowMs],
      )
    )[0]?.n ?? 0;

  addVote: ApprovalStore["addVote"] = (id, { by, standsInFor, groups, verdict, reason, atMs }) =>
    this.#change(
      "INSERT INTO gatewright.ballot VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING request AS id",
      [id, by, standsInFor ?? by, standsInFor ?? null, JSON.stringify(groups), verdict, reason ?? null, atMs],
    );

  transition: ApprovalStore["transition"] = (id, from, to, nowMs, expiresAtMs) =>
    this.#change(
      `UPDATE gatewright.request SET state = $3, expires_ms = coalesce($5, expires_ms)
       WHERE id = $1 AND state = $2 AND expires_ms > $4 AND created_ms <= $6 RETURNING id`,
      [id, from, to, nowMs, expiresAtMs ?? null, nowMs + storeSkewMs],
    );

  revoke: ApprovalStore["revoke"] = (id) =>
    this.#change(
      "UPDATE gatewright.request SET state = 'withdrawn' WHERE id = $1 AND state IN ('granted', 'used') RETURNING id",
      [id],
    );

  expire: ApprovalStore["expire"] = async (nowMs) =>
    (
      await this.#query<IdRow>(
        `WITH changed AS (UPDATE gatewright.request SET state = 'expired'
           WHERE state IN ('pending', 'granted') AND expires_ms <= $1 RETURNING id)
         SELECT id, pg_notify('${channel}', id) FROM changed`,
        [nowMs],
      )
    ).map(({ id }) => id);

  breakGlass: ApprovalStore["breakGlass"] = (id, glass, nowMs, expiresAtMs) =>
    this.#change(
      `UPDATE gatewright.request SET state = 'granted', glass = $2, expires_ms = $3
       WHERE id = $1 AND state = 'pending' AND expires_ms > $4 RETURNING id`,
      [id, JSON.stringify(glass), expiresAtMs, nowMs],
    );

  review: ApprovalStore["review"] = (id, review) =>
    this.#change(
      "UPDATE gatewright.request SET review = $2 WHERE id = $1 AND glass IS NOT NULL AND review IS NULL RETURNING id",
      [id, JSON.stringify(review)],
    );

  unreviewed: ApprovalStore["unreviewed"] = (max) =>
    this.#approvals(
      `SELECT ${columns} FROM gatewright.request WHERE glass IS NOT NULL AND review IS NULL ORDER BY created_ms LIMIT $1`,
      [max],
    );

  putStandIn: ApprovalStore["putStandIn"] = async (absent, standIn) => {
    if (standIn === undefined) {
      await this.#query("DELETE FROM gatewright.stand_in WHERE absent = $1", [absent]);
      return;
    }
    await this.#query(
      `INSERT INTO gatewright.stand_in VALUES ($1, $2, $3, $4, $5) ON CONFLICT (absent) DO UPDATE
       SET by = excluded.by, groups = excluded.groups, from_ms = excluded.from_ms, until_ms = excluded.until_ms`,
      [absent, standIn.by, JSON.stringify(standIn.groups), standIn.fromMs, standIn.untilMs],
    );
  };

  standIns: ApprovalStore["standIns"] = async (nowMs) =>
    (
      await this.#query<StandInRow>(
        `SELECT absent, by, groups, from_ms::float8 AS from_ms, until_ms::float8 AS until_ms FROM gatewright.stand_in
         WHERE from_ms <= $1 AND until_ms > $1 ORDER BY absent`,
        [nowMs],
      )
    ).map(decodeStandIn);

  watch: ApprovalStore["watch"] = (onChange) => {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  };

  close: ApprovalStore["close"] = async () => {
    this.#isClosed = true;
    clearTimeout(this.#again);
    await this.#listening?.end().catch(() => undefined);
    await this.#pool.end().catch(() => undefined);
  };

  async #approvals(sql: string, values: readonly unknown[]) {
    const rows = await this.#query<ApprovalRow & IdRow>(sql, values);
    if (rows.length === 0) return [];
    const ballots = await this.#query<VoteRow>(
      `SELECT request, by, stands_in_for, groups, verdict, reason, at_ms::float8 AS at_ms FROM gatewright.ballot
       WHERE request = ANY($1) ORDER BY at_ms, by`,
      [rows.map(({ id }) => id)],
    );
    return rows.map((row) =>
      decodeApproval(row, ballots.filter((ballot) => ballot.request === row.id).map(decodeVote)),
    );
  }

  /** One statement: the change and the word to the others stand or fall together. */
  async #change(sql: string, values: readonly unknown[]): Promise<boolean> {
    const rows = await this.#query<IdRow>(
      `WITH changed AS (${sql}) SELECT id, pg_notify('${channel}', id) FROM changed`,
      values,
    );
    return rows.length > 0;
  }

  async #query<R extends pg.QueryResultRow>(sql: string, values: readonly unknown[]): Promise<readonly R[]> {
    try {
      return (await (values.length === 0 ? this.#pool.query<R>(sql) : this.#pool.query<R>(sql, [...values]))).rows;
    } catch (error) {
      throw this.#unavailable(error);
    }
  }

  #unavailable(error: unknown): GatewayError {
    return new GatewayError(
      "approval-unavailable",
      `the approval store can't be used: ${causeCode(error)}`,
      "what needs approval is refused until it can; the operator finds `approvals.postgres` in the configuration",
      error,
    );
  }

  async #listen(): Promise<void> {
    const client = new pg.Client(this.#config);
    const lost = (): void => {
      if (this.#listening !== client) return;
      this.#listening = undefined;
      this.#listenSoon();
    };
    client.on("error", lost);
    client.on("end", lost);
    client.on("notification", ({ payload }) => {
      if (payload !== undefined) for (const watcher of this.#watchers) watcher(payload);
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${channel}`);
      this.#listening = client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  /** Until it listens again, who waits finds changes by looking every `approvalPollMs`. */
  #listenSoon(): void {
    if (this.#isClosed) return;
    this.#again = setTimeout(() => {
      this.#listen().catch((error: unknown) => {
        this.#log.warn(
          { code: "approval-unavailable", cause: causeCode(error) },
          "the approval store can't be listened to",
        );
        this.#listenSoon();
      });
    }, listenAgainMs);
    this.#again.unref();
  }
}

type VoteRow = {
  readonly request: string;
  readonly by: string;
  readonly stands_in_for: string | null;
  readonly groups: string;
  readonly verdict: string;
  readonly reason: string | null;
  readonly at_ms: number;
};

const decodeVote = (row: VoteRow): Vote => ({
  by: row.by,
  ...(row.stands_in_for === null ? {} : { standsInFor: row.stands_in_for }),
  // SAFETY: written by `addVote` from a list of texts.
  groups: JSON.parse(row.groups) as string[],
  verdict: row.verdict === "approve" ? "approve" : "deny",
  reason: row.reason ?? undefined,
  atMs: row.at_ms,
});

type StandInRow = {
  readonly absent: string;
  readonly by: string;
  readonly groups: string;
  readonly from_ms: number;
  readonly until_ms: number;
};

const decodeStandIn = (row: StandInRow): StandIn => ({
  absent: row.absent,
  by: row.by,
  // SAFETY: written by `putStandIn` from a list of texts.
  groups: JSON.parse(row.groups) as string[],
  fromMs: row.from_ms,
  untilMs: row.until_ms,
});
