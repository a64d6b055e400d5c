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

/** What the clinic's policy lets through at all; every other verb is denied. CREATE and DROP: temporary tables only. */
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
  readonly temporary: ReadonlyMap<string, Relation>;
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

function denialOf({ facts, effects }: AnalyzedStatement): string | undefined {
  for (const { verb, relation } of facts.accesses) {
    const isTemporaryMade =
      (verb === "create" && effects.some((e) => e.kind === "create-temporary")) ||
      (verb === "drop" && relation !== undefined && isTemporary(relation));
    if (!allowedVerbs.has(verb) && !isTemporaryMade) return `${verb} is denied`;
    if (relation && isDenied(relation)) return `${relation.schema}.${relation.name} is denied`;
  }
  return undefined;
}

/** One session's view of names, without a connection: the twins share it, because the engine never sees data. */
export class EngineSession {
  readonly #catalog: Catalog;
  readonly #hooks: EngineHooks;
  #state: State;
  #marks: readonly { readonly name: string; readonly state: State }[] = [];

  constructor(catalog: Catalog, hooks: EngineHooks = {}) {
    this.#catalog = hooks.catalog?.(catalog) ?? catalog;
    this.#hooks = hooks;
    this.#state = { path: initialSearchPath('"$user", public'), temporary: new Map(), prepared: new Map() };
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
      temporary: this.#state.temporary,
      prepared: this.#state.prepared,
    };
  }

  /** Takes in what a statement did, after the server has answered it. `made` are the columns of a new temporary table. */
  applied(statement: AnalyzedStatement, made: Relation | undefined): void {
    for (const effect of statement.effects) {
      if (effect.kind === "savepoint") this.#marks = [...this.#marks, { name: effect.name, state: this.#state }];
      if (effect.kind === "rollback-to")
        this.#state = {
          ...(this.#marks.findLast((m) => m.name === effect.name)?.state ?? this.#state),
          prepared: this.#state.prepared,
        };
      if (effect.kind === "discard-all") this.#state = { ...this.#state, temporary: new Map() };
      if (effect.kind === "create-temporary" && made)
        this.#state = { ...this.#state, temporary: new Map([...this.#state.temporary, [made.name, made]]) };
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
    for (const access of statement.facts.accesses) {
      if (access.verb !== "drop" || !access.relation || !isTemporary(access.relation)) continue;
      const left = new Map(this.#state.temporary);
      left.delete(access.relation.name);
      this.#state = { ...this.#state, temporary: left };
    }
  }

  failed(): void {
    this.#state = { ...this.#state, path: afterError(this.#state.path) };
  }
}

const isDenied = (relation: Relation): boolean =>
  deniedSchemas.has(relation.schema) || deniedRelations.has(relationKey(relation.schema, relation.name));

const isTemporary = (relation: Relation): boolean => relation.schema.startsWith("pg_temp");

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
    const made = verdict.statement.effects.find((e) => e.kind === "create-temporary");
    session.applied(verdict.statement, made && clients[0] ? await temporaryRelation(clients[0], made.name) : undefined);
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

/** A relation of this session, as the catalog would describe it. */
async function temporaryRelation(client: pg.Client, name: string): Promise<Relation | undefined> {
  const result = await client.query<{ oid: number; schema: string; columns: Relation["columns"] }>({
    text: `SELECT c.oid::int8::int AS oid, n.nspname AS schema, json_agg(json_build_object(
      'name', a.attname, 'number', a.attnum, 'isNullable', NOT a.attnotnull, 'hasDefault', a.atthasdef,
      'type', json_build_object('sql', format_type(a.atttypid, a.atttypmod), 'name', t.typname, 'schema', tn.nspname,
        'oid', t.oid::int8, 'modifier', a.atttypmod, 'category', t.typcategory)) ORDER BY a.attnum) AS columns
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
      JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = t.typnamespace
      WHERE c.relname = $1 AND n.oid = pg_my_temp_schema() AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1, 2`,
    values: [name],
  });
  const row = result.rows[0];
  if (!row) return undefined;
  return {
    kind: "table",
    schema: "pg_temp",
    name,
    oid: row.oid,
    columns: row.columns.map((c) => ({ ...c, generated: undefined, tags: new Set() })),
    tags: new Set(),
    definition: undefined,
    parents: [],
    hasRules: false,
    hasTriggers: false,
    hasRowSecurity: false,
    constraints: [],
  };
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
