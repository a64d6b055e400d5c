// SQL text -> parse trees -> bound statements with their facts.
import type { Node, RawStmt } from "@pgsql/types";
import { err, ok, type Result } from "../lib/result.ts";
import { limits } from "../limits.ts";
import { type BoundParts, bindStatement } from "./bind-statement.ts";
import { factsOf, markTargetReads } from "./facts.ts";
import { FaultError, refuse } from "./fault.ts";
import type { HoleWatch } from "./holes.ts";
import { constantsFact, notBound, parametersOf } from "./parameters.ts";
import { fingerprintSql, parseSql } from "./pg-parser.ts";
import { shapeOf } from "./row-shape.ts";
import { effectivePath, parseSearchPath, settingName } from "./settings.ts";
import type { AnalyzedStatement, SessionEffect, SqlContext, SqlFault } from "./types.ts";

/**
 * Analyses every statement of a message, in order: what one does to names (`SET search_path`, `PREPARE`) holds for those
 * after it. A text without statements gives []. The first statement that isn't understood makes the whole text a fault:
 * PostgreSQL runs a message as one. `holes`: put in the place of its literals, see template.ts.
 */
export function analyzeSql(
  text: string,
  context: SqlContext,
  holes?: HoleWatch,
): Result<readonly AnalyzedStatement[], SqlFault> {
  const parsed = parseSql(text);
  if (!parsed.ok) return parsed;
  if (parsed.value.length > limits.sqlStatementsMax)
    return err(new FaultError("too-many-statements", "there are too many statements in one message").fault);
  const bytes = isAscii(text) ? undefined : Buffer.from(text, "utf8");
  const slice = (start: number, end: number | undefined): string =>
    bytes ? bytes.toString("utf8", start, end) : text.slice(start, end);
  holes?.plant(parsed.value, text);
  try {
    let current = context;
    const out: AnalyzedStatement[] = [];
    for (const raw of parsed.value) {
      const statement = analyzeOne(raw, slice, current, parsed.value.length, holes);
      out.push(statement);
      for (const effect of statement.effects) current = after(current, effect, context);
    }
    return ok(out);
  } catch (error) {
    if (!(error instanceof FaultError)) return err(stackFault(error));
    const { position } = error.fault;
    return err({ ...error.fault, position: position === undefined ? undefined : slice(0, position).length });
  }
}

/** Our own recursion over a tree within the limits may still be too deep for the stack. Anything else is a bug. */
export function stackFault(error: unknown): SqlFault {
  if (error instanceof RangeError) return new FaultError("too-complex", "the statement is too complex").fault;
  throw error;
}

const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text);

function analyzeOne(
  raw: RawStmt,
  slice: (start: number, end: number | undefined) => string,
  context: SqlContext,
  statements: number,
  holes: HoleWatch | undefined,
): AnalyzedStatement {
  const node: Node = raw.stmt ?? refuse("unsupported-statement", "an empty statement is not supported");
  const start = raw.stmt_location ?? 0;
  const text = slice(start, raw.stmt_len ? start + raw.stmt_len : undefined);
  const fingerprint = fingerprintSql(text);
  const bound: BoundParts = bindStatement(node, context);
  markTargetReads(bound.bindings);
  const parameters = bound.parameters ? [] : parametersOf(bound.bindings);
  const shape = bound.isRowReturning && bound.output ? shapeOf(bound.output, bound.bindings) : undefined;
  return {
    facts: factsOf({
      values: bound.parameters ? constantsFact(bound.parameters) : parameters.length === 0 ? [] : notBound,
      verb: bound.verb,
      bindings: bound.bindings,
      output: bound.output,
      query: bound.query,
      isDefinition: bound.form === "definition" || bound.form === "temporary",
      statements,
      text,
      fingerprint: fingerprint.ok ? fingerprint.value : refuse("parser-failed", "the statement has no fingerprint"),
    }),
    effects: bound.effects(text),
    tree: {
      node: bound.node,
      bindings: bound.bindings,
      form: bound.form,
      ...(bound.parameters ? { parameters: bound.parameters } : {}),
      ...(shape ? { shape } : {}),
      ...(holes ? { holes } : {}),
    },
    catalogVersion: context.catalog.version,
    ...(parameters.length === 0 ? {} : { parameters }),
    isRowReturning: bound.isRowReturning,
    isEmpty: false,
    ...(start === 0 ? {} : { start: [...slice(0, start)].length }),
  };
}

/** Names as the next statement of the same message sees them. A rollback goes back to the message's beginning. */
function after(current: SqlContext, effect: SessionEffect, atStart: SqlContext): SqlContext {
  switch (effect.kind) {
    case "set":
      if (settingName(effect.name) !== "search_path") return current;
      return {
        ...current,
        searchPath:
          effect.value === undefined
            ? atStart.searchPath
            : effectivePath(parseSearchPath(effect.value), current.user, current.catalog.schemas),
      };
    case "reset-all":
      return { ...current, searchPath: atStart.searchPath };
    case "discard-all":
      return { ...current, searchPath: atStart.searchPath, temporary: new Map() };
    case "rollback":
    case "rollback-to":
      return { ...current, searchPath: atStart.searchPath, temporary: atStart.temporary };
    case "create-temporary":
      return { ...current, temporary: new Map(current.temporary).set(effect.name, effect.relation) };
    case "drop-temporary":
      return {
        ...current,
        temporary: new Map([...current.temporary].filter(([name]) => effect.names?.includes(name) === false)),
      };
    case "prepare":
      return { ...current, prepared: new Map([...(current.prepared ?? []), [effect.name, effect.statement]]) };
    case "deallocate":
      return {
        ...current,
        prepared: new Map(
          [...(current.prepared ?? [])].filter(([name]) => effect.name !== undefined && effect.name !== name),
        ),
      };
    default:
      return current;
  }
}
