// a statement that waits for people -> how many rows the planner expects it to touch
import { quoteIdent } from "../../engine/model/row-predicate.ts";
import type { SqlVerb } from "../../engine/model/statement.ts";
import type { UpstreamTarget } from "../deps.ts";
import { type CatalogConnection, connectCatalog } from "./catalog-connection.ts";

export type EstimateQuestion = {
  readonly verb: SqlVerb;
  /** One statement, as it would go upstream. It is planned, never run. */
  readonly text: string;
  /** As in `SqlFacts`: `name` for pg_catalog's, `schema.name` for others. */
  readonly functions: ReadonlySet<string>;
  readonly searchPath: readonly string[];
  /** Bind values as texts; undefined: they came in another form, and the plan is for any value. */
  readonly parameters: readonly (string | null)[] | undefined;
};

export type EstimateBounds = {
  readonly rowEstimateMs: number;
  readonly rowEstimatesMax: number;
  readonly rowEstimatesWaitingMax: number;
};

/** Settles within `rowEstimateMs`, or as soon as `signal` aborts, and never rejects: undefined where there is no estimate. */
export type EstimateRows<Session> = (
  session: Session,
  question: EstimateQuestion,
  signal: AbortSignal,
) => Promise<number | undefined>;

const plannedVerbs: ReadonlySet<SqlVerb> = new Set([
  "select",
  "insert",
  "update",
  "delete",
  "merge",
  "execute",
  "declare",
  "temporary",
]);

/**
 * Asks as whom the session is upstream, on a connection for this question alone: what planning sets off (settings, functions
 * that are folded) touches neither the session's transaction nor the one by which the catalog is read.
 */
export function rowEstimator<Session>(
  targetFor: (session: Session) => UpstreamTarget | undefined,
  { rowEstimateMs, rowEstimatesMax, rowEstimatesWaitingMax }: EstimateBounds,
): EstimateRows<Session> {
  let running = 0;
  const waiting: (() => void)[] = [];
  /** False when its time is up first. Whoever ends hands its place on. */
  const turn = (signal: AbortSignal): Promise<boolean> =>
    new Promise((resolve) => {
      const take = (): void => {
        signal.removeEventListener("abort", leave);
        resolve(true);
      };
      const leave = (): void => {
        waiting.splice(waiting.indexOf(take), 1);
        resolve(false);
      };
      waiting.push(take);
      signal.addEventListener("abort", leave, { once: true });
    });
  return async (session, question, client) => {
    const target = targetFor(session);
    if (target === undefined || !isPlannable(question)) return undefined;
    const signal = AbortSignal.any([client, AbortSignal.timeout(rowEstimateMs)]);
    if (signal.aborted) return undefined;
    if (running < rowEstimatesMax) running += 1;
    else if (waiting.length >= rowEstimatesWaitingMax || !(await turn(signal))) return undefined;
    const answer = ask(target, question, rowEstimateMs, signal)
      .catch(() => undefined)
      .finally(() => {
        const next = waiting.shift();
        if (next === undefined) running -= 1;
        else next();
      });
    return Promise.race([answer, aborted(signal)]);
  };
}

/** The planner evaluates calls that are declared immutable or stable: those that people wrote wait for the approval. */
const isPlannable = ({ verb, functions }: EstimateQuestion): boolean =>
  plannedVerbs.has(verb) && ![...functions].some((name) => name.includes("."));

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });

async function ask(
  target: UpstreamTarget,
  question: EstimateQuestion,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const connection = await connectCatalog(target, timeoutMs);
  // A connection that is closed in the middle of a question fails it; the server's own timeout ends what it plans.
  const close = (): void => void connection.close().catch(() => undefined);
  signal.addEventListener("abort", close, { once: true });
  try {
    if (signal.aborted) return undefined;
    await connection.query("BEGIN TRANSACTION READ ONLY");
    await connection.queryOne(
      `SELECT pg_catalog.set_config('search_path', $1, true), pg_catalog.set_config('role', $2, true),
              pg_catalog.set_config('standard_conforming_strings', 'on', true)`,
      [question.searchPath.map(quoteIdent).join(", "), target.role ?? "none"],
    );
    const plan = await explain(connection, question);
    await connection.query("ROLLBACK");
    return plan;
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

async function explain(
  connection: CatalogConnection,
  { text, parameters }: EstimateQuestion,
): Promise<number | undefined> {
  const rows =
    parameters === undefined
      ? // Only here may `$1` stand without a value (PostgreSQL 16), and only outside of the extended protocol.
        await connection.query(`EXPLAIN (FORMAT JSON, GENERIC_PLAN) ${text}`)
      : await connection.queryOne(`EXPLAIN (FORMAT JSON) ${text}`, parameters);
  const json = rows[0]?.[0];
  return typeof json === "string" ? rowsOfPlan(JSON.parse(json)) : undefined;
}

/**
 * Of a plan in EXPLAIN's JSON: the rows that come into what it writes, or those that it gives, whatever is more. A node that
 * writes gives no rows itself, unless it has RETURNING.
 */
export function rowsOfPlan(explained: unknown): number | undefined {
  const top = field(Array.isArray(explained) ? explained[0] : undefined, "Plan");
  const written: (number | undefined)[] = [];
  const waiting: unknown[] = [top];
  while (waiting.length > 0) {
    const node = waiting.pop();
    const children = childrenOf(node);
    if (field(node, "Node Type") === "ModifyTable") {
      written.push(...children.filter(isInput).map(planRows));
    }
    waiting.push(...children);
  }
  // A query may write a row in its WITH, and give all that there are.
  const given = planRows(top);
  if (written.length === 0 || given === undefined) return given;
  const sum = written.reduce((rows, more) => (rows === undefined || more === undefined ? undefined : rows + more), 0);
  return sum === undefined ? undefined : Math.max(sum, given);
}

/** `Member`: one for each partition, before PostgreSQL 14. */
const isInput = (node: unknown): boolean =>
  ["Outer", "Member"].some((kind) => field(node, "Parent Relationship") === kind);

function planRows(node: unknown): number | undefined {
  const rows = field(node, "Plan Rows");
  return typeof rows === "number" && Number.isFinite(rows) && rows >= 0 ? rows : undefined;
}

function childrenOf(node: unknown): readonly unknown[] {
  const children = field(node, "Plans");
  return Array.isArray(children) ? children : [];
}

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
