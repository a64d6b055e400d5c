// tape -> statements about the clinic that are nearly always valid, with a bias to protected columns
import { unreachable } from "../../engine/lib/assert.ts";
import { type ColumnShape, type Kind, type TableShape, tableShapes } from "./twin-shapes.ts";
import type { Tape } from "./twin-tape.ts";

/** A relation in scope under its alias. */
type InScope = {
  readonly alias: string;
  readonly columns: readonly ColumnShape[];
  readonly isRow: boolean;
  readonly isRenamed?: boolean;
};
type Scope = {
  readonly relations: readonly InScope[];
  /** CTEs that may be named in FROM. */
  readonly ctes: readonly { readonly name: string; readonly columns: readonly ColumnShape[] }[];
};
type Query = { readonly sql: string; readonly columns: readonly ColumnShape[] };

const nothing: Scope = { relations: [], ctes: [] };
const kinds = ["int", "text", "date", "json", "bool"] as const;
const anyKind = (tape: Tape): Kind => kinds[tape.below(12)] ?? (tape.chance(50) ? "text" : "int");

export type GrammarOptions = {
  readonly isUnqualified: boolean;
  readonly parameters?: string[];
  readonly shapes?: readonly [TableShape, ...TableShape[]];
};

/** Grammar state of one statement: fresh names and how deep it may still go. */
export class Grammar {
  readonly #tape: Tape;
  readonly #isUnqualified: boolean;
  readonly #parameters: string[] | undefined;
  readonly #shapes: readonly [TableShape, ...TableShape[]];
  #names = 0;

  /** `parameters` collects arguments: some constants become `$n` then. `shapes`: other relations than the clinic's. */
  constructor(tape: Tape, options: GrammarOptions) {
    this.#tape = tape;
    this.#shapes = options.shapes ?? tableShapes;
    this.#isUnqualified = options.isUnqualified;
    this.#parameters = options.parameters;
  }

  /** A whole SELECT, VALUES, TABLE or set operation. */
  select(): string {
    return this.#query(nothing, 3).sql;
  }

  /** A SELECT of exactly these kinds, for INSERT. */
  selectOf(wanted: readonly Kind[]): string {
    return this.#selectCore(nothing, 2, wanted).sql;
  }

  /** A condition over the target of a write. */
  condition(alias: string, columns: readonly ColumnShape[]): string {
    return this.#expression("bool", { relations: [{ alias, columns, isRow: true }], ctes: [] }, 2);
  }

  /** A value for a column of a write, over the given relations. */
  value(
    kind: Kind,
    relations: readonly { readonly alias: string; readonly columns: readonly ColumnShape[] }[],
  ): string {
    return this.#expression(kind, { relations: relations.map((r) => ({ ...r, isRow: true })), ctes: [] }, 2);
  }

  #fresh(prefix: string): string {
    this.#names += 1;
    return `${prefix}${this.#names}`;
  }

  #query(outer: Scope, depth: number): Query {
    const tape = this.#tape;
    if (depth > 1 && tape.chance(20)) return this.#withClause(outer, depth);
    const core = (): Query => this.#selectCore(outer, depth);
    return tape.among<Query>([
      [12, core],
      [depth > 1 ? 2 : 0, () => this.#setOperation(outer, depth)],
      [1, () => this.#tableCommand()],
    ]);
  }

  #withClause(outer: Scope, depth: number): Query {
    const tape = this.#tape;
    const parts: string[] = [];
    let scope = outer;
    const count = 1 + tape.below(2);
    for (let i = 0; i < count; i += 1) {
      const name = tape.chance(15) ? "patients" : this.#fresh("c");
      if (scope.ctes.some((c) => c.name === name && parts.length > 0)) continue;
      const inner = this.#query({ relations: outer.relations, ctes: scope.ctes }, depth - 1);
      const columns = inner.columns.map((c) => ({ ...c, name: this.#fresh("x") }));
      const hint = tape.pick(["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
      parts.push(`${name} (${columns.map((c) => c.name).join(", ")}) AS ${hint}(${inner.sql})`);
      scope = { relations: scope.relations, ctes: [...scope.ctes, { name, columns }] };
    }
    const main = this.#selectCore(scope, depth - 1);
    return { sql: `WITH ${parts.join(", ")} ${main.sql}`, columns: main.columns };
  }

  #setOperation(outer: Scope, depth: number): Query {
    const tape = this.#tape;
    const wanted = Array.from({ length: 1 + tape.below(2) }, () => (tape.chance(60) ? "text" : "int") as Kind);
    const left = this.#selectCore(outer, depth - 1, wanted);
    const right = this.#selectCore(outer, depth - 1, wanted);
    const op = tape.pick(["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"]);
    return { sql: `(${left.sql}) ${op} (${right.sql})`, columns: left.columns };
  }

  #tableCommand(): Query {
    const table = this.#tape.pick(this.#shapes);
    return { sql: `TABLE ${this.#tableName(table)}`, columns: table.columns };
  }

  #tableName(table: { readonly schema: string; readonly name: string }): string {
    return this.#isUnqualified && this.#tape.chance(70) ? table.name : `${table.schema}.${table.name}`;
  }

  #selectCore(outer: Scope, depth: number, wanted?: readonly Kind[]): Query {
    const tape = this.#tape;
    const from = this.#from(outer, depth);
    const scope: Scope = { relations: [...from.relations, ...outer.relations], ctes: outer.ctes };
    const local: Scope = { relations: from.relations, ctes: outer.ctes };
    const where = tape.chance(60) ? ` WHERE ${this.#expression("bool", scope, depth)}` : "";
    const style = tape.below(10);
    if (style >= 8) return this.#aggregated(local, depth, from.sql, where, wanted);
    const targets = (wanted ?? Array.from({ length: 1 + tape.below(3) }, () => anyKind(tape))).map((kind) => ({
      kind,
      sql: style === 7 && !wanted ? this.#windowed(kind, local, depth) : this.#expression(kind, scope, depth),
    }));
    const star = !wanted && tape.chance(15) ? from.relations.find((r) => r.isRow) : undefined;
    const columns: ColumnShape[] = targets.map((t) => ({ name: this.#fresh("x"), kind: t.kind, isProtected: false }));
    const list = targets.map((t, i) => `${t.sql} AS ${columns[i]?.name ?? "x"}`);
    if (star) {
      const names = star.columns;
      return { sql: `SELECT ${star.alias}.* FROM ${from.sql}${where}`, columns: names };
    }
    // LIMIT comes with an order over every output column: ties are then equal rows, so the multiset is fixed.
    const order = tape.chance(35);
    const ordering = order
      ? ` ORDER BY ${targets.map((_, i) => `${i + 1}${tape.pick(["", " DESC", " NULLS FIRST"])}`).join(", ")}`
      : "";
    const limit =
      order && tape.chance(50)
        ? tape.pick([
            " LIMIT 3",
            " OFFSET 2",
            " LIMIT 2 OFFSET 1",
            " FETCH FIRST 2 ROWS ONLY",
            " FETCH FIRST 2 ROWS WITH TIES",
          ])
        : "";
    const distinct = tape.chance(12) ? "DISTINCT " : "";
    return { sql: `SELECT ${distinct}${list.join(", ")} FROM ${from.sql}${where}${ordering}${limit}`, columns };
  }

  #aggregated(scope: Scope, depth: number, from: string, where: string, wanted?: readonly Kind[]): Query {
    const tape = this.#tape;
    const keys = wanted
      ? []
      : Array.from({ length: tape.below(3) }, () =>
          this.#expression(tape.pick(["text", "int", "date"]), scope, depth - 1),
        );
    const kindsOf = wanted ?? [tape.pick(["int", "text", "date", "json"] as const)];
    const aggregates = kindsOf.map((kind) => this.#aggregate(kind, scope, depth - 1));
    const positions = keys.map((_, i) => String(i + 1)).join(", ");
    const grouping =
      keys.length === 0
        ? ""
        : ` GROUP BY ${tape.pick([positions, `ROLLUP (${positions})`, `GROUPING SETS ((${positions}), ())`])}`;
    const having = tape.chance(25)
      ? ` HAVING ${this.#aggregate("int", scope, depth - 1)} ${tape.pick([">", "<", "="])} ${tape.below(20)}`
      : "";
    const list = [...keys.map((k) => `(${k})::text`), ...aggregates];
    const columns: ColumnShape[] = [...keys.map(() => "text" as Kind), ...kindsOf].map((kind) => ({
      name: this.#fresh("x"),
      kind,
      isProtected: false,
    }));
    return {
      sql: `SELECT ${list.map((sql, i) => `${sql} AS ${columns[i]?.name ?? "x"}`).join(", ")} FROM ${from}${where}${grouping}${having}`,
      columns,
    };
  }

  #aggregate(kind: Kind, scope: Scope, depth: number): string {
    const tape = this.#tape;
    const filter = tape.chance(25) ? ` FILTER (WHERE ${this.#expression("bool", scope, depth)})` : "";
    const int = () => this.#expression("int", scope, depth);
    // The cast gives a bare literal a type: some of these are polymorphic.
    const text = () => `(${this.#expression("text", scope, depth)})::text`;
    switch (kind) {
      case "int":
        return `(${tape.among([
          [2, () => "count(*)"],
          [2, () => `count(${text()})`],
          [1, () => `count(DISTINCT ${text()})`],
          [1, () => `max(${int()})`],
          [1, () => `min(${int()})`],
          [1, () => `bit_xor(${int()})`],
        ])}${filter})::int`;
      case "text":
        return tape.among([
          [2, () => `max(${text()})${filter}`],
          [2, () => `min(${text()})${filter}`],
          [
            1,
            () => {
              const x = text();
              return `string_agg(${x}, '|' ORDER BY ${x})${filter}`;
            },
          ],
          [1, () => `(array_agg(DISTINCT ${text()})${filter})::text`],
          [1, () => `mode() WITHIN GROUP (ORDER BY ${text()})::text`],
        ]);
      case "date":
        return `max(${this.#expression("date", scope, depth)})${filter}`;
      case "json":
        return tape.among([
          [
            1,
            () => {
              const x = text();
              return `jsonb_agg(${x} ORDER BY ${x})${filter}`;
            },
          ],
          [1, () => `to_jsonb(percentile_disc(0.5) WITHIN GROUP (ORDER BY ${int()}))`],
        ]);
      case "bool":
        return `bool_or(${this.#expression("bool", scope, depth)})${filter}`;
      default:
        return unreachable(kind);
    }
  }

  /** Only window functions that give peers equal values: the order within peers isn't promised. */
  #windowed(kind: Kind, scope: Scope, depth: number): string {
    const tape = this.#tape;
    const partition = tape.chance(40)
      ? `PARTITION BY ${this.#expression(tape.pick(["text", "int"]), scope, depth - 1)} `
      : "";
    const order = this.#expression(tape.pick(["text", "int", "date"]), scope, depth - 1);
    const over = `OVER (${partition}ORDER BY ${order})`;
    if (kind === "int") return `(${tape.pick(["rank()", "dense_rank()", "count(*)"])} ${over})::int`;
    if (kind === "text") return `max(${this.#expression("text", scope, depth - 1)}) ${over}`;
    return this.#expression(kind, scope, depth);
  }

  #from(outer: Scope, depth: number): { readonly sql: string; readonly relations: readonly InScope[] } {
    const tape = this.#tape;
    let { sql, relation } = this.#fromItem(outer, depth);
    const relations = [relation];
    const joins = depth <= 0 ? 0 : tape.below(10) >= 7 ? 1 + tape.below(2) : 0;
    for (let i = 0; i < joins; i += 1) {
      const isLateral = tape.chance(25) && depth > 0;
      const visible: Scope = isLateral ? { relations: [...relations, ...outer.relations], ctes: outer.ctes } : outer;
      const next = isLateral ? this.#lateral(visible, depth - 1) : this.#fromItem(outer, depth - 1);
      const both: Scope = { relations: [...relations, next.relation], ctes: outer.ctes };
      const kind = isLateral
        ? tape.pick(["CROSS JOIN", "LEFT JOIN", "JOIN"])
        : tape.pick(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "JOIN"]);
      if (kind === "CROSS JOIN") sql = `${sql} CROSS JOIN ${next.sql}`;
      // A FULL JOIN needs a condition that can be merged or hashed.
      else if (kind === "FULL JOIN") sql = `${sql} ${this.#fullJoin(relations, next)}`;
      else sql = `${sql} ${kind} ${next.sql} ON ${this.#expression("bool", both, depth - 1)}`;
      relations.push(next.relation);
      relation = next.relation;
    }
    return { sql, relations };
  }

  #fullJoin(left: readonly InScope[], right: { readonly sql: string; readonly relation: InScope }): string {
    for (const kind of ["int", "text", "date"] as const) {
      const a = this.#column(kind, { relations: left, ctes: [] });
      const b = this.#column(kind, { relations: [right.relation], ctes: [] });
      if (a !== undefined && b !== undefined) return `FULL JOIN ${right.sql} ON ${a} = ${b}`;
    }
    return `CROSS JOIN ${right.sql}`;
  }

  #fromItem(outer: Scope, depth: number): { sql: string; relation: InScope } {
    const tape = this.#tape;
    return tape.among<{ sql: string; relation: InScope }>([
      [14, () => this.#table()],
      [outer.ctes.length > 0 ? 14 : 0, () => this.#cte(outer)],
      [depth > 0 ? 3 : 0, () => this.#derived(outer, depth, "")],
      [1, () => this.#values()],
      [1, () => this.#series()],
    ]);
  }

  #table(): { sql: string; relation: InScope } {
    const tape = this.#tape;
    const table = tape.pick(this.#shapes);
    const alias = this.#fresh("t");
    const only = table.canOnly && tape.chance(15) ? "ONLY " : "";
    if (tape.chance(15)) {
      const columns = table.columns.map((c) => ({ ...c, name: this.#fresh("k") }));
      return {
        sql: `${only}${this.#tableName(table)} AS ${alias} (${columns.map((c) => c.name).join(", ")})`,
        relation: { alias, columns, isRow: true, isRenamed: true },
      };
    }
    return {
      sql: `${only}${this.#tableName(table)} ${tape.pick(["", "AS "])}${alias}`,
      relation: { alias, columns: table.columns, isRow: true },
    };
  }

  #cte(outer: Scope): { sql: string; relation: InScope } {
    const cte = outer.ctes[this.#tape.below(outer.ctes.length)];
    if (!cte) return this.#table();
    const alias = this.#fresh("t");
    return { sql: `${cte.name} AS ${alias}`, relation: { alias, columns: cte.columns, isRow: true } };
  }

  #derived(scope: Scope, depth: number, prefix: string): { sql: string; relation: InScope } {
    const alias = this.#fresh("t");
    const inner = this.#query(scope, depth - 1);
    const columns = inner.columns.map((c) => ({ ...c, name: this.#fresh("k") }));
    return {
      sql: `${prefix}(${inner.sql}) AS ${alias} (${columns.map((c) => c.name).join(", ")})`,
      relation: { alias, columns, isRow: true },
    };
  }

  #values(): { sql: string; relation: InScope } {
    const alias = this.#fresh("t");
    const columns: ColumnShape[] = [
      { name: this.#fresh("k"), kind: "int", isProtected: false },
      { name: this.#fresh("k"), kind: "text", isProtected: false },
    ];
    return {
      sql: `(VALUES (1, 'a'), (2, '4')) AS ${alias} (${columns.map((c) => c.name).join(", ")})`,
      relation: { alias, columns, isRow: true },
    };
  }

  #series(): { sql: string; relation: InScope } {
    const alias = this.#fresh("t");
    const name = this.#fresh("k");
    return {
      sql: `generate_series(1, ${1 + this.#tape.below(4)}) AS ${alias} (${name})`,
      relation: { alias, columns: [{ name, kind: "int", isProtected: false }], isRow: false },
    };
  }

  #lateral(scope: Scope, depth: number): { sql: string; relation: InScope } {
    const tape = this.#tape;
    const json = this.#columns(scope, "json")[0];
    if (json && tape.chance(40)) {
      const alias = this.#fresh("t");
      const [k, v] = [this.#fresh("k"), this.#fresh("k")];
      return {
        sql: `LATERAL jsonb_each_text(${json.sql}) AS ${alias} (${k}, ${v})`,
        relation: {
          alias,
          columns: [
            { name: k, kind: "text", isProtected: true },
            { name: v, kind: "text", isProtected: true },
          ],
          isRow: false,
        },
      };
    }
    return this.#derived(scope, Math.max(depth, 1), "LATERAL ");
  }

  #columns(scope: Scope, kind: Kind): readonly { readonly sql: string; readonly isProtected: boolean }[] {
    return scope.relations.flatMap((r) =>
      r.columns
        .filter((c) => c.kind === kind)
        .map((c) => ({ sql: `${r.alias}.${c.name}`, isProtected: c.isProtected })),
    );
  }

  /** A column of this kind: half of all picks are protected ones, where there are any. */
  #column(kind: Kind, scope: Scope): string | undefined {
    const all = this.#columns(scope, kind);
    const guarded = all.filter((c) => c.isProtected);
    const from = guarded.length > 0 && this.#tape.chance(50) ? guarded : all;
    return from[this.#tape.below(Math.max(1, from.length))]?.sql;
  }

  #row(scope: Scope): string | undefined {
    const rows = scope.relations.filter((r) => r.isRow);
    return rows[this.#tape.below(Math.max(1, rows.length))]?.alias;
  }

  #literal(kind: Kind): string {
    const tape = this.#tape;
    switch (kind) {
      case "int":
        return this.#parameter(tape.pick(["1", "0", "4100", "990", "5200", "12", "3"]), "int");
      case "text":
        return this.#parameter(tape.pick(["a", "4", "an", "***", "", "%n%", "Ana Ruiz", "x@example.org"]), "text");
      case "date":
        return tape.pick(["date '1988-06-01'", "date '2024-06-15'", "date '1975-01-01'"]);
      case "json":
        return tape.pick([`'{"level": 3}'::jsonb`, "'[]'::jsonb", "'null'::jsonb"]);
      case "bool":
        return tape.pick(["true", "false", "NULL::bool"]);
      default:
        return unreachable(kind);
    }
  }

  #parameter(value: string, kind: "int" | "text"): string {
    if (this.#parameters && this.#parameters.length < 5 && this.#tape.chance(40)) {
      this.#parameters.push(value);
      return `$${this.#parameters.length}::${kind}`;
    }
    return kind === "int" ? value : `'${value.replaceAll("'", "''")}'`;
  }

  #expression(kind: Kind, scope: Scope, depth: number): string {
    const tape = this.#tape;
    if (depth <= 0 || tape.chance(35)) {
      const column = tape.chance(85) ? this.#column(kind, scope) : undefined;
      return column ?? this.#literal(kind);
    }
    const sub = (k: Kind) => this.#expression(k, scope, depth - 1);
    const row = this.#row(scope);
    // With renamed columns, to_jsonb of a table's own row type shows the table's names, of a subquery's row the new ones.
    const named = this.#row({ ...scope, relations: scope.relations.filter((r) => !r.isRenamed) });
    const scalar = (k: Kind) => `(${this.#scalar(k, scope, depth)})`;
    switch (kind) {
      case "int":
        return tape.among([
          [2, () => `(${sub("int")} + ${sub("int")})`],
          [1, () => `(${sub("int")} - ${sub("int")})`],
          [2, () => `(1 / (${sub("int")} - ${this.#literal("int")}))`],
          [2, () => `length(${sub("text")})`],
          [1, () => `ascii(${sub("text")})`],
          [1, () => `extract(${tape.pick(["month", "doy", "year", "dow"])} FROM ${sub("date")})::int`],
          [1, () => `(${sub("text")})::int`],
          [1, () => `(${sub("json")} ->> 'level')::int`],
          [1, () => `CASE WHEN ${sub("bool")} THEN ${sub("int")} ELSE ${sub("int")} END`],
          [1, () => `coalesce(${sub("int")}, ${sub("int")})`],
          [1, () => `nullif(${sub("int")}, ${sub("int")})`],
          [1, () => `greatest(${sub("int")}, ${sub("int")})`],
          [1, () => `(${sub("date")} - ${sub("date")})`],
          [2, () => scalar("int")],
          [1, () => `num_nulls(${sub("text")}, ${sub("int")})`],
          [1, () => `(${sub("int")} % nullif(${sub("int")}, 0))`],
          [1, () => `strpos(${sub("text")}, ${sub("text")})`],
        ]);
      case "text":
        return tape.among([
          [3, () => `(${sub("text")} || ${sub("text")})`],
          [1, () => `upper(${sub("text")})`],
          [1, () => `substr(${sub("text")}, ${1 + tape.below(4)}, ${1 + tape.below(4)})`],
          [1, () => `reverse(${sub("text")})`],
          [1, () => `md5(${sub("text")})`],
          [1, () => `replace(${sub("text")}, ${sub("text")}, '-')`],
          [1, () => `(${sub("int")})::text`],
          [1, () => `(${sub("date")})::text`],
          [1, () => `to_char(${sub("date")}, 'YYYY-MM-DD')`],
          [2, () => `(${sub("json")} ->> ${tape.pick(["'bank'", "'policy_no'", "'wage'", "'tax_no'", "'findings'"])})`],
          [1, () => `CASE WHEN ${sub("bool")} THEN ${sub("text")} END`],
          [1, () => `coalesce(${sub("text")}, ${sub("text")})`],
          [1, () => `CASE ${sub("text")} WHEN ${sub("text")} THEN 'same' ELSE ${sub("text")} END`],
          [row ? 2 : 0, () => `${row ?? ""}::text`],
          [row ? 1 : 0, () => `concat(${row ?? ""}.*)`],
          [row ? 1 : 0, () => `format('%s', ${row ?? ""})`],
          [2, () => scalar("text")],
          [1, () => `split_part(${sub("text")}, '@', 1)`],
          [1, () => `encode(convert_to(${sub("text")}, 'UTF8'), 'hex')`],
          [1, () => `(ARRAY[${sub("text")}, ${sub("text")}])[1]`],
          [1, () => `array_to_string(string_to_array(${sub("text")}, 'n'), '/')`],
          [1, () => `regexp_replace(${sub("text")}, '[0-9]', '#', 'g')`],
          [1, () => `left(${sub("text")}, ${sub("int")} % 5)`],
          [1, () => `to_tsvector('simple', ${sub("text")})::text`],
          [1, () => `lpad(${sub("text")}, 12, '.')`],
          [1, () => `(xmlelement(name x, ${sub("text")}))::text`],
        ]);
      case "date":
        return tape.among([
          [2, () => `(${sub("date")} + ${tape.below(40)})`],
          [1, () => `date_trunc('month', ${sub("date")})::date`],
          [1, () => `greatest(${sub("date")}, ${sub("date")})`],
          [1, () => `CASE WHEN ${sub("bool")} THEN ${sub("date")} ELSE ${sub("date")} END`],
          [1, () => `coalesce(${sub("date")}, ${sub("date")})`],
          [1, () => scalar("date")],
          [1, () => `(${sub("text")})::date`],
        ]);
      case "json":
        return tape.among([
          [named ? 4 : 0, () => `to_jsonb(${named ?? ""})`],
          [2, () => `jsonb_build_object('k', ${sub("text")})`],
          [1, () => `(${sub("json")} -> 'level')`],
          [1, () => `(${sub("json")} - 'plan')`],
          [1, () => `to_jsonb(${sub("int")})`],
          [1, () => `jsonb_path_query_first(${sub("json")}, '$.*')`],
          [1, () => `coalesce(${sub("json")}, ${sub("json")})`],
          [1, () => scalar("json")],
          [1, () => `(${sub("text")})::jsonb`],
        ]);
      case "bool":
        return this.#condition(scope, depth, sub, row);
      default:
        return unreachable(kind);
    }
  }

  #condition(scope: Scope, depth: number, sub: (kind: Kind) => string, row: string | undefined): string {
    const tape = this.#tape;
    const compare = () => tape.pick(["=", "<", ">", "<>", "<=", ">="]);
    return tape.among([
      [4, () => `${sub("text")} ${compare()} ${sub("text")}`],
      [4, () => `${sub("int")} ${compare()} ${sub("int")}`],
      [2, () => `${sub("date")} ${compare()} ${sub("date")}`],
      [2, () => `${sub("text")} LIKE ${tape.pick(["'4%'", "'an%'", "'_n%'", "'%hush%'", "'%1%'"])}`],
      [1, () => `${sub("text")} ~ ${tape.pick(["'^4'", "'n[0-9]'", "'^.n'"])}`],
      [1, () => `${sub("text")} ^@ 'a'`],
      [1, () => `${sub(tape.pick(["text", "int", "json"]))} IS ${tape.pick(["NULL", "NOT NULL"])}`],
      [1, () => `${sub("text")} IS DISTINCT FROM ${sub("text")}`],
      [1, () => `${sub("int")} BETWEEN ${sub("int")} AND ${sub("int")}`],
      [1, () => `${sub("int")} IN (1, 4100, ${sub("int")})`],
      [2, () => `(${sub("bool")} AND ${sub("bool")})`],
      [2, () => `(${sub("bool")} OR ${sub("bool")})`],
      [1, () => `NOT (${sub("bool")})`],
      [2, () => `EXISTS (${this.#selectCore(scope, depth - 1, ["int"]).sql})`],
      [1, () => `${sub("text")} = ANY (${this.#selectCore(scope, depth - 1, ["text"]).sql})`],
      [1, () => `${sub("int")} NOT IN (${this.#selectCore(scope, depth - 1, ["int"]).sql})`],
      [1, () => `(${sub("text")}, ${sub("int")}) > (${sub("text")}, ${sub("int")})`],
      [row ? 1 : 0, () => `${row ?? ""} IS NOT NULL`],
      [row ? 1 : 0, () => `${row ?? ""}::text LIKE '%4%'`],
      [1, () => `${sub("json")} @> ${sub("json")}`],
      [1, () => `${sub("json")} ? 'bank'`],
      [1, () => `to_tsvector('simple', ${sub("text")}) @@ to_tsquery('simple', 'a:*')`],
    ]);
  }

  #scalar(kind: Kind, scope: Scope, depth: number): string {
    const inner = this.#from(scope, Math.max(0, depth - 2));
    const all: Scope = { relations: [...inner.relations, ...scope.relations], ctes: scope.ctes };
    const local: Scope = { relations: inner.relations, ctes: scope.ctes };
    const where = this.#tape.chance(60) ? ` WHERE ${this.#expression("bool", all, depth - 2)}` : "";
    return `SELECT ${this.#aggregate(kind, local, depth - 2)} FROM ${inner.sql}${where}`;
  }
}
