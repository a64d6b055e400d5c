// statement -> analyze -> a fixed decision table -> rewrite -> texts for the twins: the gateway without its wire
import type pg from "pg";
import { type Catalog, type Relation, relationKey } from "../../engine/model/catalog.ts";
import type { Obligations } from "../../engine/model/decision.ts";
import { kindOfVerb, type SqlVerb } from "../../engine/model/statement.ts";
import { analyzeSql } from "../../engine/sql/analyze.ts";
import { rewriteSql } from "../../engine/sql/rewrite.ts";
import { effectivePath, parseSearchPath } from "../../engine/sql/settings.ts";
import type { AnalyzedStatement, RewrittenSql, SqlContext } from "../../engine/sql/types.ts";
import { afterError, applyEffect, initialSearchPath, type SearchPath } from "../../proxy/postgres/search-path.ts";
import { clinicObligations, deniedRelations, deniedSchemas } from "./clinic.ts";
import { type Database, inSession } from "./twin-databases.ts";
import { type Answer, observe, type Seen, type Step, type World } from "./twin-transcript.ts";

/** What the clinic's policy lets through at all; every other verb is denied. */
const allowedVerbs: ReadonlySet<SqlVerb> = new Set<SqlVerb>([
  "select",
  "insert",
  "update",
  "delete",
  "merge",
  "copy",
  "begin",
  "commit",
  "rollback",
  "savepoint",
  "set",
  "show",
  "reset",
  "discard",
  "prepare",
  "execute",
  "deallocate",
  "declare",
  "fetch",
  "close",
  "explain",
  // The engine lets ACCESS SHARE through and nothing stronger: pg_dump takes it.
  "lock",
  "temporary",
]);

export type Gated =
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  | { readonly kind: "released"; readonly statement: AnalyzedStatement; readonly rewritten: RewrittenSql };

/** Changes what an engine session does, to see whether a test notices: see planted defects. */
export type EngineHooks = {
  readonly obligations?: (given: Obligations, statement: AnalyzedStatement) => Obligations;
  readonly catalog?: (given: Catalog) => Catalog;
  readonly text?: (rewritten: RewrittenSql, client: string) => RewrittenSql;
  readonly allowedFunctions?: ReadonlySet<string>;
};

type State = {
  readonly path: SearchPath;
  readonly prepared: ReadonlyMap<string, AnalyzedStatement>;
};

/** The clinic's whole policy, on one analysed statement. */
export function judge(statement: AnalyzedStatement, context: SqlContext, hooks: EngineHooks = {}): Gated {
  const denied = denialOf(statement);
  if (denied !== undefined) return { kind: "refused", code: "denied", message: denied };
  const obligations = hooks.obligations?.(clinicObligations, statement) ?? clinicObligations;
  const rewritten = rewriteSql(statement, obligations, context, { maskKey: "twin worlds" });
  if (!rewritten.ok) return { kind: "refused", code: rewritten.error.code, message: rewritten.error.message };
  const { value } = rewritten;
  return { kind: "released", statement, rewritten: hooks.text?.(value, statement.facts.text) ?? value };
}

function denialOf({ facts }: AnalyzedStatement): string | undefined {
  for (const { verb, relation } of facts.accesses) {
    if (!allowedVerbs.has(verb)) return `${verb} is denied`;
    if (relation && isDenied(relation)) return `${relation.schema}.${relation.name} is denied`;
  }
  return undefined;
}

/** One session's view of names, without a connection: the twins share it, because the engine never sees data. */
export class EngineSession {
  readonly #catalog: Catalog;
  readonly #hooks: EngineHooks;
  #state: State;

  constructor(catalog: Catalog, hooks: EngineHooks = {}) {
    this.#catalog = hooks.catalog?.(catalog) ?? catalog;
    this.#hooks = hooks;
    this.#state = { path: initialSearchPath('"$user", public'), prepared: new Map() };
  }

  /** The verdict on each statement of a text. Throws what the engine throws: a bug. */
  gate(text: string): readonly Gated[] {
    const analyzed = analyzeSql(text, this.#context());
    if (!analyzed.ok) return [{ kind: "refused", code: analyzed.error.code, message: analyzed.error.message }];
    return analyzed.value.map((statement) => judge(statement, this.#context(), this.#hooks));
  }

  #context(): SqlContext {
    return {
      catalog: this.#catalog,
      searchPath: effectivePath(parseSearchPath(this.#state.path.now.effective), "postgres", this.#catalog.schemas),
      user: "postgres",
      parameterTypes: [],
      allowedFunctions: this.#hooks.allowedFunctions ?? new Set(),
      temporary: new Map([...this.#state.path.now.tables].map(([name, table]) => [name, table.relation])),
      prepared: this.#state.prepared,
    };
  }

  /** Takes in what a statement did, after the server has answered it. */
  applied(statement: AnalyzedStatement): void {
    for (const effect of statement.effects) {
      if (effect.kind === "prepare")
        this.#state = { ...this.#state, prepared: new Map([...this.#state.prepared, [effect.name, effect.statement]]) };
      if (effect.kind === "deallocate") {
        const left = new Map(this.#state.prepared);
        if (effect.name === undefined) left.clear();
        else left.delete(effect.name);
        this.#state = { ...this.#state, prepared: left };
      }
      this.#state = { ...this.#state, path: applyEffect(this.#state.path, effect) };
    }
  }

  failed(): void {
    this.#state = { ...this.#state, path: afterError(this.#state.path) };
  }
}

const isDenied = (relation: Relation): boolean =>
  deniedSchemas.has(relation.schema) || deniedRelations.has(relationKey(relation.schema, relation.name));

/** Runs one step on every database, as the gateway would: refused, or the rewritten texts. */
export async function runGated(
  session: EngineSession,
  step: Step,
  clients: readonly pg.Client[],
): Promise<readonly Answer[]> {
  const verdicts = session.gate(step.text);
  const refusal = verdicts.find((v) => v.kind === "refused");
  if (refusal) return clients.map(() => refusal);
  const all: Seen[][] = clients.map(() => []);
  for (const verdict of verdicts) {
    if (verdict.kind === "refused") continue;
    const sent: Step = { ...step, text: verdict.rewritten.text };
    const seen = await Promise.all(clients.map((client) => observe(client, sent)));
    for (const [i, messages] of seen.entries())
      for (const message of messages) all[i]?.push(...scrubbed(message, verdict));
    if (seen[0]?.some((m) => m.kind === "error")) {
      session.failed();
      break;
    }
    session.applied(verdict.statement);
  }
  if (verdicts.length === 0)
    return Promise.all(
      clients.map(async (client) => ({ kind: "answered", seen: await observe(client, step) }) as const),
    );
  return all.map((seen) => ({ kind: "answered", seen }));
}

type Released = Extract<Gated, { kind: "released" }>;

/** What the wire takes out of errors and notices: see proxy/postgres/scrub.ts. */
function scrubbed(seen: Seen, { statement, rewritten }: Released): readonly Seen[] {
  if (seen.kind === "parameter") return [];
  if (seen.kind !== "error" && seen.kind !== "notice") return [seen];
  const isWrite = statement.facts.accesses.some((a) => kindOfVerb[a.verb] !== "read");
  const isProtectedWrite = isWrite && rewritten.touchesProtected;
  if (seen.kind === "notice" && isProtectedWrite) return [];
  const dropped = isProtectedWrite
    ? ["detail", "hint", "where", "position", "internalQuery", "internalPosition"]
    : ["where", "position", "internalQuery", "internalPosition"];
  const parts = Object.fromEntries(Object.entries(seen.parts).filter(([name]) => !dropped.includes(name)));
  if (isProtectedWrite && seen.parts.where !== undefined) parts.message = "server-side code ended the statement";
  return [{ ...seen, parts }];
}

/** The engine in front of one database. */
export function engineWorld(
  database: Database,
  catalog: Catalog,
  wrap: "rollback" | "none",
  hooks: EngineHooks = {},
): World {
  return {
    run: (steps) =>
      inSession(database, wrap, async (client) => {
        const session = new EngineSession(catalog, hooks);
        const answers: Answer[] = [];
        for (const step of steps) answers.push(...(await runGated(session, step, [client])));
        return answers;
      }),
    close: async () => undefined,
  };
}
