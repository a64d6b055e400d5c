// clauses of a rule -> source of one JavaScript function, and its constants. The law: it says what the closures say.
//
// INVARIANT: no text of a policy or a request becomes part of a source. Values, names of fields and whole closures travel in the
// constants array; the source is put together from the fixed pieces of this file and from numbers that this file counts. Every
// source is held against the closed list of words below before it runs. As literals are not in it, rules that differ only in
// their literals share one source, and it is compiled once.

import { invariant } from "../engine/lib/assert.ts";
import { type Truth, Unknown } from "../engine/lib/truth.ts";
import { limits } from "../engine/limits.ts";
import type { EvaluationContext } from "../engine/program.ts";
import { absent, claimOf, lookup, rangeOver, unset } from "./absence.ts";
import { builtins } from "./builtins.ts";
import type { Clause, ComparisonKind, Core, Local } from "./checked.ts";
import { compileCore, type Frame } from "./compile.ts";
import { notHere } from "./facts.ts";
import { compareValues } from "./values.ts";

/** Whether conditions run as generated functions where the runtime permits it, or always as closures. */
export type CodeChoice = "automatic" | "closures";

export type GeneratedCode = { readonly source: string; readonly constants: readonly unknown[] };

type Holds = (c: EvaluationContext) => Truth;
type Factory = (constants: readonly unknown[]) => Holds;

/** Functions by source, for one bundle. undefined where the runtime refuses to compile texts. */
export class CodeMaker {
  readonly #factories = new Map<string, Factory>();

  /** undefined with `node --disallow-code-generation-from-strings` and the like: closures do the same. */
  static open(choice: CodeChoice): CodeMaker | undefined {
    return choice === "closures" || compileText("return true;") === undefined ? undefined : new CodeMaker();
  }

  /** undefined where the clauses are too long to be worth it. */
  holds(clauses: readonly Clause[], frame: Frame): Holds | undefined {
    const code = generateCode(clauses, frame);
    if (!code) return undefined;
    const known = this.#factories.get(code.source);
    if (known) return known(code.constants);
    invariant(isClosed(code.source), "a generated source holds a word that is not its own");
    const compiled = compileText(code.source);
    if (!compiled) return undefined;
    this.#factories.set(code.source, compiled);
    return compiled(code.constants);
  }

  /** Distinct sources so far. */
  get sources(): readonly string[] {
    return [...this.#factories.keys()];
  }
}

function compileText(source: string): Factory | undefined {
  try {
    // SAFETY: `source` consists of this file's own words (see `isClosed`).
    return new Function("k", source) as Factory;
  } catch (error) {
    if (error instanceof EvalError) return undefined;
    throw error;
  }
}

/** How a fact is read where that is a plain field. The others are read by the functions of facts.ts. */
const plainFacts: ReadonlyMap<string, string> = new Map([
  ...["sub", "kind", "groups", "email", "mfa", "on_behalf_of", "claims"].map(
    (f) => [`identity.${f}`, `q.identity.${f}`] as const,
  ),
  ...["name", "env", "tags"].map((f) => [`connection.${f}`, `q.connection.${f}`] as const),
  ...["id", "age", "purpose"].map((f) => [`session.${f}`, `q.session.${f}`] as const),
  ...["now", "hour", "minute", "weekday"].map((f) => [`time.${f}`, `q.time.${f}`] as const),
]);

/** Facts of the access, and of the statement; `notHere` without them. */
const accessFacts: ReadonlyMap<string, string> = new Map([
  ["sql.kind", "c.access?.kind"],
  ["sql.has_where", "c.access?.hasWhere"],
  ["sql.where_always_true", "c.access?.whereAlwaysTrue"],
]);
const statementFacts: ReadonlyMap<string, string> = new Map([
  ["sql.statements", "q.sql.statements"],
  ["sql.tables", "q.sql.tables"],
  ["sql.functions", "q.sql.functions"],
  ["sql.has_limit", "q.sql.hasLimit"],
  ["sql.limit", "q.sql.limit"],
  ["sql.joins", "q.sql.joins"],
  ["sql.estimated_rows", "q.sql.estimatedRows"],
]);

const words: ReadonlySet<string> = new Set(
  [
    "use strict const let return if else for of break true false undefined typeof instanceof Set new function",
    "string object number boolean sql has run locals request access protocol k c q L",
    ...plainFacts.values(),
    ...accessFacts.values(),
    ...statementFacts.values(),
  ].flatMap((text) => text.match(/\w+/g) ?? []),
);

/** Only our words, numbered names and signs; the only strings are the words of `typeof`, a protocol and the directive. */
export const isClosed = (source: string): boolean =>
  /^[\w \n"=!?:.,;()[\]{}&|<>]*$/.test(source) &&
  (source.match(/\w+/g) ?? []).every((word) => words.has(word) || /^(?:[ktL])?\d+$/.test(word)) &&
  (source.match(/"[^"]*"/g) ?? []).every((text) => /^"(?:use strict|string|object|number|boolean|sql)"$/.test(text));

/** undefined above `limits.policyGeneratedLinesMax`. */
export function generateCode(clauses: readonly Clause[], frame: Frame): GeneratedCode | undefined {
  const writer = new Writer(frame);
  try {
    const lets: number[] = [];
    const conditions: (() => string)[] = [];
    for (const clause of clauses) {
      if (clause.kind === "let") {
        frame.defer(clause.local, compileCore(clause.value, frame));
        lets.push(frame.slotOf(clause.local));
      } else {
        conditions.push(() => {
          const value = writer.value(clause.condition);
          return clause.kind === "when" ? value : writer.negated(value);
        });
      }
    }
    for (const slot of lets) writer.line(`c.locals[${slot}] = ${writer.constant(unset)};`);
    const result = writer.junction(conditions, false);
    return writer.finish(result);
  } catch (error) {
    if (error instanceof TooLong) return undefined;
    throw error;
  }
}

class TooLong extends Error {}

/**
 * Statements that leave each part's value in a numbered variable. Variables of the policy stay in `c.locals`, where closures find
 * them too: what isn't written out here is asked as a closure.
 */
class Writer {
  readonly #frame: Frame;
  readonly #lines: string[] = [];
  readonly #constants: unknown[] = [];
  readonly #numbers = new Map<unknown, number>();
  #temporaries = 0;
  #labels = 0;

  constructor(frame: Frame) {
    this.#frame = frame;
  }

  line(text: string): void {
    if (this.#lines.length >= limits.policyGeneratedLinesMax) throw new TooLong();
    this.#lines.push(text);
  }

  constant(value: unknown): string {
    const known = this.#numbers.get(value);
    if (known !== undefined) return `k${known}`;
    const number = this.#constants.push(value) - 1;
    this.#numbers.set(value, number);
    return `k${number}`;
  }

  finish(result: string): GeneratedCode {
    const [unknown, missing] = [this.constant(Unknown), this.constant(absent)];
    const constants = this.#constants.map((_, i) => `k${i} = k[${i}]`).join(", ");
    const temporaries = Array.from({ length: this.#temporaries }, (_, i) => `t${i}`).join(", ");
    const source = [
      '"use strict";',
      `const ${constants};`,
      "return function (c) {",
      "const q = c.request;",
      ...(temporaries === "" ? [] : [`let ${temporaries};`]),
      ...this.#lines,
      `return typeof ${result} === "boolean" || ${result} instanceof ${unknown} ? ${result} : ${missing};`,
      "};",
    ].join("\n");
    return { source, constants: this.#constants };
  }

  #temporary(): string {
    this.#temporaries += 1;
    return `t${this.#temporaries - 1}`;
  }

  #label(): string {
    this.#labels += 1;
    return `L${this.#labels}`;
  }

  #set(expression: string): string {
    const to = this.#temporary();
    this.line(`${to} = ${expression};`);
    return to;
  }

  /** Unknown, or absent where something is needed. */
  #isBad = (value: string): string => `${value} === undefined || ${value} instanceof ${this.constant(Unknown)}`;
  #badness = (value: string): string => `${value} ?? ${this.constant(absent)}`;

  /** Leaves `to` bad, and the block `label`, where `value` is bad. */
  #need(value: string, to: string, label: string): void {
    this.line(`if (${this.#isBad(value)}) { ${to} = ${this.#badness(value)}; break ${label}; }`);
  }

  /** The variable that will hold the value of `core`. */
  value(core: Core): string {
    switch (core.op) {
      case "const":
        return this.constant(core.value);
      case "fact":
        return this.#fact(core.root, core.field) ?? this.#closure(core);
      case "local":
        return this.#frame.lazyOf(core.local) ? this.#closure(core) : this.#set(this.#slot(core.local));
      case "let":
        return this.value(core.body);
      case "invoke": {
        const args = core.args.map((arg) => this.value(arg));
        for (const [i, param] of core.params.entries()) this.line(`${this.#slot(param)} = ${args[i] ?? "undefined"};`);
        return this.value(core.body);
      }
      case "call":
        return this.#call(core);
      case "property":
        if (core.of !== "claim") return this.#closure(core);
        return this.#set(
          `${this.constant(claimOf)}(${this.value(core.object)}, ${this.constant(core.name)}, ${this.constant(core.type)})`,
        );
      case "lookup": {
        const [object, key] = [this.value(core.object), this.value(core.key)];
        return this.#set(`${this.constant(lookup)}(${object}, ${key})`);
      }
      case "not":
        return this.negated(this.value(core.operand));
      case "and":
      case "or":
        return this.junction(
          core.operands.map((operand) => () => this.value(operand)),
          core.op === "or",
        );
      case "compare":
        return this.#compare(core.how, core.left, core.right);
      case "present": {
        const value = this.value(core.operand);
        return this.#set(`${value} instanceof ${this.constant(Unknown)} ? ${value} : ${value} !== undefined`);
      }
      case "coalesce": {
        const to = this.#set(this.value(core.left));
        this.line(`if (${to} === undefined) {`);
        this.line(`${to} = ${this.value(core.right)};`);
        this.line("}");
        return to;
      }
      case "if":
        return this.#if(core.condition, core.then, core.else);
      case "quantifier":
        return this.#quantifier(core);
      default:
        return this.#closure(core);
    }
  }

  #closure(core: Core): string {
    return this.#set(`${this.constant(compileCore(core, this.#frame))}(c)`);
  }

  #slot = (local: Local): string => `c.locals[${this.#frame.slotOf(local)}]`;

  #fact(root: string, field: string): string | undefined {
    const name = `${root}.${field}`;
    const plain = plainFacts.get(name);
    if (plain !== undefined) return this.#set(plain);
    const ofAccess = accessFacts.get(name);
    if (ofAccess !== undefined) return this.#set(`${ofAccess} ?? ${this.constant(notHere)}`);
    const ofStatement = statementFacts.get(name);
    if (ofStatement === undefined) return undefined;
    return this.#set(`q.protocol === "sql" ? ${ofStatement} : ${this.constant(notHere)}`);
  }

  negated(value: string): string {
    const unknown = `${value} instanceof ${this.constant(Unknown)} ? ${value} : ${this.constant(absent)}`;
    return this.#set(`${value} === true ? false : ${value} === false ? true : ${unknown}`);
  }

  /** From left to right; `decisive` ends it, else the first that is not its opposite is told. */
  junction(operands: readonly (() => string)[], decisive: boolean): string {
    const [only, second] = operands;
    if (only && !second) return only();
    const to = this.#set(String(!decisive));
    const label = this.#label();
    this.line(`${label}: {`);
    for (const [i, operand] of operands.entries()) {
      const value = operand();
      this.line(`if (${value} === ${decisive}) { ${to} = ${decisive}; break ${label}; }`);
      this.line(`if (${value} !== ${!decisive}${i === 0 ? "" : ` && ${to} === ${!decisive}`}) ${to} = ${value};`);
    }
    this.line("}");
    return to;
  }

  #call(core: Core & { op: "call" }): string {
    const builtin = builtins[core.name];
    const to = this.#temporary();
    const label = this.#label();
    this.line(`${label}: {`);
    const args = core.args.map((arg) => {
      const value = this.value(arg);
      this.#need(value, to, label);
      return value;
    });
    this.line(
      builtin ? `${to} = ${this.constant(builtin)}.run([${args.join(", ")}]);` : `${to} = ${this.constant(absent)};`,
    );
    this.line("}");
    return to;
  }

  /** A bad left side is told before the right side is asked. */
  #compare(how: ComparisonKind, left: Core, right: Core): string {
    const to = this.#temporary();
    const label = this.#label();
    this.line(`${label}: {`);
    const a = this.value(left);
    if (!isGood(left)) this.#need(a, to, label);
    const b = this.value(right);
    if (!isGood(right)) this.#need(b, to, label);
    const general = `${this.constant(compareValues)}(${this.constant(how)}, ${a}, ${b})`;
    this.line(`${to} = ${shortcut(how, a, b, general)};`);
    this.line("}");
    return to;
  }

  #if(condition: Core, then: Core, otherwise: Core): string {
    const value = this.value(condition);
    const to = this.#temporary();
    this.line(`if (${value} === true) {`);
    this.line(`${to} = ${this.value(then)};`);
    this.line(`} else if (${value} === false) {`);
    this.line(`${to} = ${this.value(otherwise)};`);
    this.line(`} else ${to} = ${value} instanceof ${this.constant(Unknown)} ? ${value} : ${this.constant(absent)};`);
    return to;
  }

  #quantifier(core: Core & { op: "quantifier" }): string {
    const decisive = core.which !== "all";
    const items = this.#set(`${this.constant(rangeOver)}(${this.value(core.over)})`);
    const [to, unknown, item] = [this.#set(items), this.#set("undefined"), this.#temporary()];
    this.line(`if (!(${items} instanceof ${this.constant(Unknown)})) {`);
    this.line(`${to} = ${core.which !== "any"};`);
    this.line(`for (${item} of ${items}) {`);
    this.line(`${this.#slot(core.local)} = ${item};`);
    const value = this.value(core.body);
    this.line(`if (${value} === ${decisive}) { ${to} = ${core.which === "any"}; ${unknown} = undefined; break; }`);
    const why = `${value} instanceof ${this.constant(Unknown)} ? ${value} : ${this.constant(absent)}`;
    this.line(`if (typeof ${value} !== "boolean" && ${unknown} === undefined) ${unknown} = ${why};`);
    this.line("}");
    this.line(`if (${unknown} !== undefined) ${to} = ${unknown};`);
    this.line("}");
    return to;
  }
}

const isGood = (core: Core): boolean =>
  core.op === "const" && core.value !== undefined && !(core.value instanceof Unknown);

/** What `compareValues` would say, without the call where the operands are plain. */
function shortcut(how: ComparisonKind, a: string, b: string, general: string): string {
  switch (how) {
    case "equal":
      return `typeof ${a} === "object" ? ${general} : ${a} === ${b}`;
    case "in":
      return `${b} instanceof Set && typeof ${a} === "string" ? ${b}.has(${a}) : ${general}`;
    case "less":
      return `typeof ${a} === "number" && typeof ${b} === "number" ? ${a} < ${b} : ${general}`;
    case "less-or-equal":
      return `typeof ${a} === "number" && typeof ${b} === "number" ? !(${b} < ${a}) : ${general}`;
    default:
      return general;
  }
}
