// text + context -> analysed statements, and statement + obligations -> rewritten text, both kept for the next time
import { invariant } from "../../engine/lib/assert.ts";
import type { Result } from "../../engine/lib/result.ts";
import type { Limits } from "../../engine/limits.ts";
import type { Obligations } from "../../engine/model/decision.ts";
import { TemplateTree } from "../../engine/sql/template-tree.ts";
import type { AnalyzedStatement, RewrittenSql, SqlContext, SqlFault } from "../../engine/sql/types.ts";
import type { SqlEngine } from "./deps.ts";
import { obligationsKey } from "./obligations-key.ts";
import { TemplateCache } from "./template-cache.ts";

/**
 * Pure functions remembered. The key holds everything that analysis depends on.
 */
export class StatementCache {
  readonly #engine: SqlEngine;
  readonly #limits: Limits;
  readonly #templates: TemplateCache | undefined;
  /** In order of use, oldest first. */
  readonly #statements = new Map<string, readonly AnalyzedStatement[]>();
  /** Texts that came once. One that never comes again must not push out, or age with, what does. */
  readonly #seenOnce = new Set<string>();
  readonly #rewritten = new WeakMap<AnalyzedStatement, Map<string, RewrittenSql>>();

  constructor(engine: SqlEngine, limits: Limits) {
    this.#engine = engine;
    this.#limits = limits;
    this.#templates = engine.templates && new TemplateCache(engine.templates, limits);
  }

  analyze(text: string, context: SqlContext): Result<readonly AnalyzedStatement[], SqlFault> {
    if (text.length > this.#limits.statementCacheTextCharsMax || meansSomethingHereOnly(text, context)) {
      return this.#engine.analyze(text, context);
    }
    const contextPart = contextKey(context);
    const key = contextPart + text;
    const known = this.#statements.get(key);
    if (known !== undefined) {
      this.#statements.delete(key);
      this.#statements.set(key, known);
      return { ok: true, value: known };
    }
    const shape = this.#templates?.shapeOf(contextPart, text);
    const made = shape && this.#templates?.find(shape, text);
    if (made) return { ok: true, value: [made] };
    const analyzed = this.#engine.analyze(text, context);
    if (analyzed.ok && shape) this.#templates?.learn(shape, text, context);
    // Faults are cheap to find again, and a client that probes must not push out what others use.
    if (analyzed.ok) this.#remember(key, analyzed.value);
    return analyzed;
  }

  rewrite(statement: AnalyzedStatement, obligations: Obligations, context: SqlContext): Result<RewrittenSql, SqlFault> {
    const key = obligationsKey(obligations);
    if (statement.tree instanceof TemplateTree)
      return this.#rewriteFilled(statement, statement.tree, key, obligations, context);
    const forms = this.#rewritten.get(statement) ?? new Map<string, RewrittenSql>();
    const known = forms.get(key);
    if (known !== undefined) return { ok: true, value: known };
    const rewritten = this.#engine.rewrite(statement, obligations, context);
    if (rewritten.ok) {
      const oldest = forms.keys().next().value;
      if (forms.size >= this.#limits.rewriteCacheFormsMax && oldest !== undefined) forms.delete(oldest);
      forms.set(key, rewritten.value);
      this.#rewritten.set(statement, forms);
    }
    return rewritten;
  }

  #rewriteFilled(
    statement: AnalyzedStatement,
    tree: TemplateTree,
    key: string,
    obligations: Obligations,
    context: SqlContext,
  ): Result<RewrittenSql, SqlFault> {
    if (tree.latest?.key === key) return { ok: true, value: tree.latest.rewritten };
    const filled = this.#templates?.fill(tree, key, obligations, context);
    const rewritten: Result<RewrittenSql, SqlFault> =
      filled === undefined ? this.#rewriteAnew(statement, obligations, context) : { ok: true, value: filled };
    if (rewritten.ok) tree.latest = { key, rewritten: rewritten.value };
    return rewritten;
  }

  /** What these obligations make of it depends on its literals. */
  #rewriteAnew(
    { facts }: AnalyzedStatement,
    obligations: Obligations,
    context: SqlContext,
  ): Result<RewrittenSql, SqlFault> {
    const analyzed = this.#engine.analyze(facts.text, context);
    if (!analyzed.ok) return analyzed;
    const [statement] = analyzed.value;
    invariant(statement !== undefined && analyzed.value.length === 1, "a template stands for one statement");
    return this.#engine.rewrite(statement, obligations, context);
  }

  get size(): number {
    return this.#statements.size;
  }

  /** From the second time on: a text with its values in it is mostly never seen again. */
  #remember(key: string, statements: readonly AnalyzedStatement[]): void {
    if (!this.#seenOnce.delete(key)) {
      if (this.#seenOnce.size >= this.#limits.statementCacheEntriesMax) this.#seenOnce.clear();
      this.#seenOnce.add(key);
      return;
    }
    const oldest = this.#statements.keys().next().value;
    if (this.#statements.size >= this.#limits.statementCacheEntriesMax && oldest !== undefined) {
      this.#statements.delete(oldest);
    }
    this.#statements.set(key, statements);
  }
}

/** Temporary tables, and what EXECUTE runs, belong to one session. A keyword has one spelling but for its case. */
const meansSomethingHereOnly = (text: string, context: SqlContext): boolean =>
  context.temporary.size > 0 || (context.prepared !== undefined && /execute/i.test(text));

/** Length-prefixed parts: no two contexts share a key. */
function contextKey(context: SqlContext): string {
  let key = `${context.catalog.version}|${context.user.length}:${context.user}|${context.parameterTypes.join()}|`;
  for (const schema of context.searchPath) key += `${schema.length}:${schema}`;
  return `${key}|`;
}
