// a statement whose rules read `sql.estimated_rows` -> what the planner is asked, and what it said
import { type Fact, Unknown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import type { SqlVerb } from "../../engine/model/statement.ts";
import type { AnalyzedStatement, SqlContext } from "../../engine/sql/types.ts";
import type { EstimateQuestion } from "../postgres/row-estimate.ts";
import type { GateSession } from "../postgres/sql-gate.ts";
import { formatOf } from "./approval-digest.ts";
import type { GateDeps } from "./deps.ts";
import type { StatementCache } from "./statement-cache.ts";

export type SqlRequest = PolicyRequest & { readonly protocol: "sql" };

/** One execution of a statement, as it would be judged. */
export type Judged = {
  readonly session: GateSession;
  readonly context: SqlContext;
  readonly statement: AnalyzedStatement;
  readonly parameters: readonly (Uint8Array | null)[];
  readonly policies: PolicySet;
  readonly request: SqlRequest;
};

const notAsked = new Unknown("the planner was not asked");

/** Statements without rows of their own: the fact is absent. FETCH reads what its DECLARE was judged by. */
const rowless: ReadonlySet<SqlVerb> = new Set([
  "begin",
  "commit",
  "rollback",
  "savepoint",
  "set",
  "show",
  "reset",
  "discard",
  "prepare",
  "deallocate",
  "fetch",
  "close",
  "explain",
  "lock",
  "listen",
  "notify",
  "unlisten",
]);

/** What the planner said of the statements of each session's latest message. Nothing else is remembered: data moves on. */
export class RowEstimates {
  readonly #ask: GateDeps["estimateRows"];
  readonly #rewrite: StatementCache["rewrite"];
  readonly #answers = new WeakMap<GateSession, ReadonlyMap<string, number | undefined>>();

  constructor(ask: GateDeps["estimateRows"], rewrite: StatementCache["rewrite"]) {
    this.#ask = ask;
    this.#rewrite = rewrite;
  }

  /** The fact; `undefined` where no rule and no counter reads it for this request. */
  factFor(judged: Judged): { readonly rows: Fact<number | undefined> } | undefined {
    const question = this.#questionOf(judged);
    if (question === undefined) return undefined;
    if (!isQuestion(question)) return { rows: question.rows };
    const known = this.#answers.get(judged.session);
    const key = keyOf(question);
    if (known === undefined || !known.has(key)) return { rows: notAsked };
    const rows = known.get(key);
    return { rows: rows ?? new Unknown("the database gave no estimate") };
  }

  /** Whether some rule or counter reads the fact, for a statement that the planner could be asked about. */
  isRead(judged: Judged): boolean {
    return !rowless.has(judged.statement.facts.verb) && readsEstimate(judged);
  }

  /** Undefined where nothing has to be asked. Settles within `rowEstimateMs`, and never rejects. */
  ask(session: GateSession, all: readonly Judged[], signal: AbortSignal): Promise<void> | undefined {
    const questions = new Map<string, EstimateQuestion>();
    for (const judged of all) {
      const question = this.#questionOf(judged);
      if (question !== undefined && isQuestion(question) && questions.size < limits.rowEstimatesPerMessageMax)
        questions.set(keyOf(question), question);
    }
    const ask = this.#ask;
    if (questions.size === 0 || ask === undefined) return undefined;
    const asked = [...questions].map(async ([key, question]) => [key, await ask(session, question, signal)] as const);
    return Promise.all(asked).then((answers) => {
      this.#answers.set(session, new Map(answers));
    });
  }

  #questionOf(judged: Judged): EstimateQuestion | { readonly rows: Fact<undefined> } | undefined {
    const { context, statement, parameters, policies, request } = judged;
    if (!readsEstimate(judged)) return undefined;
    const { verb, functions } = statement.facts;
    if (rowless.has(verb)) return { rows: undefined };
    // What doesn't hang on the estimate says which masks and filters the planner is asked with.
    let probe = policies.decide({ ...request, isProbe: true });
    // A Rego policy doesn't know what it isn't told: it is asked with the number that most policies let pass.
    if (probe.effect === "deny") probe = policies.decide({ ...request, sql: { ...request.sql, estimatedRows: 0 } });
    if (probe.effect === "deny") return { rows: notAsked };
    const rewritten = this.#rewrite(statement, probe.obligations, context);
    if (!rewritten.ok) return { rows: notAsked };
    // It carries the verb of what it explains, and runs nothing.
    if (rewritten.value.text.startsWith("EXPLAIN ")) return { rows: undefined };
    const { searchPath } = context;
    return { verb, functions, text: rewritten.value.text, searchPath, parameters: textsOf(context, parameters) };
  }
}

const isQuestion = (of: EstimateQuestion | { readonly rows: Fact<undefined> }): of is EstimateQuestion => "text" in of;

const keyOf = ({ text, searchPath, parameters }: EstimateQuestion): string =>
  JSON.stringify([text, searchPath, parameters ?? null]);

/** Decides with a fact that tells when it is looked at: conditions before it may have said enough. */
function readsEstimate({ policies, request }: Judged): boolean {
  let isRead = false;
  const sql = {
    ...request.sql,
    get estimatedRows() {
      isRead = true;
      return notAsked;
    },
  };
  const watched = { ...request, sql };
  policies.decide(watched);
  for (const { contribution } of policies.counters) contribution(watched);
  return isRead;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** undefined: at least one isn't a text. */
export function textsOf(
  context: SqlContext,
  parameters: readonly (Uint8Array | null)[],
): (string | null)[] | undefined {
  if (parameters.some((value, i) => value !== null && formatOf(context.parameterFormats, i) !== 0)) return undefined;
  try {
    return parameters.map((value) => (value === null ? null : utf8.decode(value)));
  } catch {
    return undefined;
  }
}
