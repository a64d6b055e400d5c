// tape -> a schema, a policy, and data for two databases that agree on everything the policy shows
import { createHash } from "node:crypto";
import type { ColumnShape, Kind, TableShape } from "./twin-shapes.ts";
import type { Tape } from "./twin-tape.ts";

export type Side = "A" | "B";

export type LawWorld = {
  readonly schema: string;
  readonly policy: string;
  readonly data: (side: Side) => string;
  /** Relations as the grammar names them. */
  readonly shapes: readonly [TableShape, ...TableShape[]];
  /** Tables that can be written to: their columns without id. */
  readonly tables: readonly [TableShape, ...TableShape[]];
  /** Tables with a column `ref`, and those that it refers to. */
  readonly references: readonly (readonly [from: string, to: string])[];
  /** Texts that no answer may hold, whatever was asked. */
  readonly secrets: readonly string[];
};

type Column = {
  readonly name: string;
  readonly kind: Kind;
  readonly type: string;
  readonly isNullable: boolean;
  readonly mask: string | undefined;
};
type Table = {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Column[];
  readonly isFiltered: boolean;
  readonly form: "plain" | "partitioned" | "inherited";
  readonly refersTo: Table | undefined;
  readonly generated: { readonly from: Column; readonly sql: string } | undefined;
  readonly hasTrigger: boolean;
  readonly rows: number;
};

const types: Readonly<Record<Kind, readonly [string, ...string[]]>> = {
  int: ["int4", "int4", "int2"],
  text: ["text", "varchar(60)"],
  date: ["date"],
  json: ["jsonb"],
  bool: ["bool"],
};
const masks: Readonly<Record<Kind, readonly [string, ...string[]]>> = {
  int: ["nullify", "redact", "bucket(size: 10)"],
  text: [
    "redact",
    "nullify",
    "partial(first: 1)",
    "partial(first: 1, last: 1)",
    "partial(keep_domain: true)",
    'hash(salt: "law")',
  ],
  date: ["redact", "nullify", 'bucket(unit: "year")'],
  json: ["redact", "nullify"],
  bool: ["redact", "nullify"],
};
/** Expressions of generated columns, of type text. */
const computations = {
  int: [(c: string) => `CASE WHEN ${c} % 2 = 0 THEN 'even' END`, (c: string) => `md5((${c} / 3)::text)`],
  text: [(c: string) => `CASE WHEN right(${c}, 1) < '8' THEN 'low' END`, (c: string) => `md5(${c})`],
} as const;

/** Names that break what counts bytes, folds case or forgets quotes. */
const oddNames = [
  (i: number) => `t${i}`,
  (i: number) => `t${i}`,
  (i: number) => `t${i}`,
  (i: number) => `"T ${i}"`,
  (i: number) => `"größe${i}"`,
  (i: number) => `"a""b${i}"`,
  (i: number) => `${"n".repeat(62)}${i}`,
  (i: number) => `"${"é".repeat(31)}${i}"`,
] as const;

export function lawWorldOf(tape: Tape): LawWorld {
  const tables: Table[] = [];
  const count = 2 + tape.below(3);
  for (let i = 0; i < count; i += 1) tables.push(tableOf(tape, i, tables));
  const views = [viewOf(tape, tables, 0), ...(tape.chance(50) ? [viewOf(tape, tables, 1)] : [])];
  const stored = tables.find((t) => !t.isFiltered && t.form === "plain");
  const shapes = [...tables.flatMap(shapesOf), ...views.map((v) => v.shape), ...(stored ? [storedShape(stored)] : [])];
  const seed = String(tape.below(10_000));
  const isAnalyzed = tape.chance(30);
  return {
    schema: [
      "CREATE SCHEMA seen; CREATE SCHEMA parts; CREATE SCHEMA vault; CREATE TABLE vault.tokens (id int PRIMARY KEY, secret text);",
      ...tables.map((t) => `CREATE SCHEMA ${t.schema};\n${createOf(t)}`),
      ...views.map((v) => v.sql),
      ...(stored
        ? [
            `CREATE MATERIALIZED VIEW seen.stored AS SELECT ${columnsOf(stored).join(", ")} FROM ${keyOf(stored)} WITH NO DATA;`,
          ]
        : []),
    ].join("\n"),
    policy: policyOf(tables),
    data: (side) =>
      [
        ...tables.map((table) => rowsOf(table, side, seed)),
        `INSERT INTO vault.tokens VALUES (1, 'vault-${token(side, seed, "vault", 12)}');`,
        ...tables.filter((t) => t.hasTrigger).map((t) => `ALTER TABLE ${keyOf(t)} ENABLE TRIGGER USER;`),
        ...(stored ? ["REFRESH MATERIALIZED VIEW seen.stored;"] : []),
        ...(isAnalyzed ? ["ANALYZE;"] : []),
      ].join("\n"),
    shapes: nonEmpty(shapes),
    tables: nonEmpty(tables.map((t) => shapeOf(t, keyOf(t)))),
    references: tables.flatMap((t) => (t.refersTo ? [[keyOf(t), keyOf(t.refersTo)] as const] : [])),
    secrets: (["A", "B"] as const).flatMap((side) => secretsOf(tables, side, seed)),
  };
}

function nonEmpty<T>(items: readonly T[]): readonly [T, ...T[]] {
  const [first, ...rest] = items;
  if (first === undefined) throw new Error("a world without tables");
  return [first, ...rest];
}

function tableOf(tape: Tape, i: number, before: readonly Table[]): Table {
  const columns: Column[] = [];
  const count = 2 + tape.below(4);
  for (let n = 0; n < count; n += 1) {
    const kind = tape.pick<Kind>(["text", "int", "text", "date", "json", "int", "bool"]);
    columns.push({
      name: tape.chance(10) ? `${"k".repeat(62)}${n}` : `c${n}`,
      kind,
      type: tape.pick(types[kind]),
      isNullable: tape.chance(60),
      mask: tape.chance(55) ? tape.pick(masks[kind]) : undefined,
    });
  }
  // Masked ones first: what is computed from them is what is interesting.
  const inputs = [...columns].sort((a, b) => Number(b.mask !== undefined) - Number(a.mask !== undefined));
  const input = inputs.find((c) => c.kind === "text" || c.kind === "int");
  return {
    // One each: a policy has no spelling for names that need quotes, it says `s1.*`.
    schema: `s${i}`,
    name: tape.pick(oddNames)(i),
    columns,
    isFiltered: tape.chance(55),
    form: tape.pick(["plain", "plain", "plain", "partitioned", "inherited"]),
    refersTo: tape.chance(40) ? before.findLast((t) => t.form === "plain") : undefined,
    generated:
      tape.chance(50) && input
        ? { from: input, sql: tape.pick(computations[input.kind === "int" ? "int" : "text"])(input.name) }
        : undefined,
    hasTrigger: tape.chance(25),
    rows: 3 + tape.below(8),
  };
}

const keyOf = (t: Table): string => `${t.schema}.${t.name}`;
const columnsOf = (t: Table): readonly string[] => ["id", "grp", ...t.columns.map((c) => c.name)];
/** In a schema that no rule names: what holds for them comes from their parent. */
const partOf = (t: Table, part: string): string =>
  `parts.part_${t.schema}_${createHash("md5").update(t.name).digest("hex").slice(0, 6)}_${part}`;

function shapeOf(t: Table, key: string): TableShape {
  const [schema = "", ...name] = key.split(".");
  const columns: ColumnShape[] = [
    { name: "id", kind: "int", isProtected: false },
    { name: "grp", kind: "text", isProtected: false },
    ...t.columns.map((c) => ({ name: c.name, kind: c.kind, isProtected: c.mask !== undefined || t.isFiltered })),
    ...(t.generated ? [{ name: "gen", kind: "text" as const, isProtected: t.generated.from.mask !== undefined }] : []),
  ];
  return { schema, name: name.join("."), canOnly: t.form === "inherited", columns };
}

function shapesOf(t: Table): readonly TableShape[] {
  const own = shapeOf(t, keyOf(t));
  if (t.form === "partitioned") return [own, own, shapeOf(t, partOf(t, "lo"))];
  if (t.form === "inherited") return [own, own, shapeOf(t, partOf(t, "kid"))];
  return [own, own];
}

const storedShape = (t: Table): TableShape => ({
  schema: "seen",
  name: "stored",
  canOnly: false,
  columns: shapeOf(t, keyOf(t)).columns.filter((c) => c.name !== "gen"),
});

function viewOf(tape: Tape, tables: readonly Table[], i: number): { readonly sql: string; readonly shape: TableShape } {
  const [left, right] = [tables[tape.below(tables.length)], tables[tape.below(tables.length)]];
  if (!left || !right) throw new Error("a world without tables");
  const join = tape.pick(["JOIN", "LEFT JOIN", "RIGHT JOIN"]);
  const shown = [
    ...left.columns.slice(0, 2).map((c) => ({ sql: `a.${c.name}`, column: c })),
    ...right.columns.slice(0, 2).map((c) => ({ sql: `b.${c.name}`, column: c })),
  ];
  const options = tape.pick(["", "", " WITH (security_barrier = true)", " WITH (security_invoker = true)"]);
  const list = shown.map((s, n) => `${s.sql} AS v${n}`).join(", ");
  return {
    sql: `CREATE VIEW seen.view${i}${options} AS SELECT a.id, ${list} FROM ${keyOf(left)} a ${join} ${keyOf(right)} b ON b.id = a.id;`,
    shape: {
      schema: "seen",
      name: `view${i}`,
      canOnly: false,
      columns: [
        { name: "id", kind: "int", isProtected: false },
        ...shown.map((s, n) => ({ name: `v${n}`, kind: s.column.kind, isProtected: s.column.mask !== undefined })),
      ],
    },
  };
}

function createOf(t: Table): string {
  const columns = [
    `id int ${t.form === "partitioned" ? "NOT NULL" : "PRIMARY KEY"}`,
    "grp text NOT NULL",
    ...t.columns.map((c) => `${c.name} ${c.type}${c.isNullable ? "" : " NOT NULL"}`),
    ...(t.refersTo ? [`ref int REFERENCES ${keyOf(t.refersTo)}`] : []),
    ...(t.generated ? [`gen text GENERATED ALWAYS AS (${t.generated.sql}) STORED`] : []),
  ];
  const key = keyOf(t);
  const sql = [
    `CREATE TABLE ${key} (${columns.join(", ")})${t.form === "partitioned" ? " PARTITION BY RANGE (id)" : " WITH (autovacuum_enabled = false)"};`,
  ];
  if (t.form === "partitioned") {
    sql.push(
      `CREATE TABLE ${partOf(t, "lo")} PARTITION OF ${key} FOR VALUES FROM (MINVALUE) TO (20) WITH (autovacuum_enabled = false);`,
    );
    sql.push(
      `CREATE TABLE ${partOf(t, "hi")} PARTITION OF ${key} FOR VALUES FROM (20) TO (MAXVALUE) WITH (autovacuum_enabled = false);`,
    );
  }
  if (t.form === "inherited")
    sql.push(`CREATE TABLE ${partOf(t, "kid")} () INHERITS (${key}) WITH (autovacuum_enabled = false);`);
  const told = t.columns.find((c) => c.mask !== undefined);
  if (t.hasTrigger) {
    const name = partOf(t, "tell");
    const value = told ? `(SELECT max(${told.name}::text) FROM ${key})` : `(SELECT count(*) FROM ${key})`;
    sql.push(
      `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'told %', ${value}; RETURN NEW; END $$;`,
    );
    sql.push(
      `CREATE TRIGGER tell AFTER INSERT OR UPDATE ON ${key} FOR EACH ROW EXECUTE FUNCTION ${name}(); ALTER TABLE ${key} DISABLE TRIGGER USER;`,
    );
  }
  return sql.join("\n");
}

function policyOf(tables: readonly Table[]): string {
  const lines = [
    "package law.world",
    "",
    "allow everybody on sql read, write, tcl, session",
    "deny vault on sql of vault.*",
  ];
  for (const [i, t] of tables.entries()) {
    const key = `${t.schema}.*`;
    for (const [n, c] of t.columns.entries()) {
      if (c.mask !== undefined) lines.push(`mask m${i}_${n} of ${key}.${c.name} using ${c.mask}`);
    }
    if (t.isFiltered) lines.push(`filter f${i} of ${key} where row.grp in ["a", "b", "c"]`);
  }
  return `${lines.join("\n")}\n`;
}

const token = (side: string, seed: string, what: string, length: number): string =>
  createHash("sha256").update(`${side}:${seed}:${what}`).digest("hex").slice(0, length);
const number = (side: string, seed: string, what: string, below: number): number =>
  Number.parseInt(token(side, seed, what, 8), 16) % below;

/** The value of a masked column: what its mask shows is drawn for both sides, the rest for each. */
function drawnValue(c: Column, at: string, side: Side, seed: string, isHidden: boolean): string {
  const both = isHidden ? side : "both";
  const own = c.mask === undefined && !isHidden ? "both" : side;
  const nullSide = c.mask === "nullify" ? own : both;
  if (c.isNullable && number(nullSide, seed, `${at} null`, 6) === 0) return "NULL";
  switch (c.kind) {
    case "int":
      if (c.mask?.startsWith("bucket"))
        return String(number(both, seed, at, 30) * 10 + number(own, seed, `${at} rest`, 10));
      return String(number(own, seed, at, 300));
    case "bool":
      return number(own, seed, at, 2) === 0 ? "true" : "false";
    case "date": {
      const year = 1950 + number(c.mask?.startsWith("bucket") ? both : own, seed, `${at} year`, 70);
      return `'${year}-${pad(1 + number(own, seed, `${at} month`, 12))}-${pad(1 + number(own, seed, `${at} day`, 28))}'`;
    }
    case "json":
      return `'${JSON.stringify({ level: number(own, seed, `${at} level`, 30), bank: token(own, seed, `${at} bank`, 12), tags: [token(own, seed, `${at} tag`, 4)] })}'`;
    case "text":
      return `'${textOf(c, at, own, both, seed)}'`;
  }
}

const pad = (n: number): string => String(n).padStart(2, "0");

function textOf(c: Column, at: string, own: string, both: string, seed: string): string {
  // A digest shows whether two values are equal: the sides have the same ones.
  if (c.mask?.startsWith("hash")) return `h${token(both, seed, `${at} hash`, 12)}`;
  const middle = token(own, seed, `${at} text`, 10 + number(own, seed, `${at} length`, 5));
  const [first, last] = [token(both, seed, `${at} first`, 1), token(both, seed, `${at} last`, 1)];
  return c.mask === "partial(keep_domain: true)" ? `${middle}@${first}.test` : `${first}${middle}${last}`;
}

function rowsOf(t: Table, side: Side, seed: string): string {
  const rows: string[] = [];
  const kids: string[] = [];
  const add = (id: number, grp: string, isHidden: boolean): void => {
    const at = `${keyOf(t)} ${id}`;
    const values = [
      String(id),
      `'${grp}'`,
      ...t.columns.map((c) => drawnValue(c, `${at} ${c.name}`, side, seed, isHidden)),
      ...(t.refersTo ? [isHidden ? "NULL" : String(1 + (id % t.refersTo.rows))] : []),
    ];
    (t.form === "inherited" && id % 3 === 0 ? kids : rows).push(`(${values.join(", ")})`);
  };
  for (let id = 1; id <= t.rows; id += 1) {
    const hidden = t.isFiltered ? number(side, seed, `${keyOf(t)} ${id} hidden`, 3) : 0;
    for (let n = 0; n < hidden; n += 1) add((side === "A" ? 100 : 500) + id * 5 + n, "x", true);
    add(id, ["a", "b", "c"][id % 3] ?? "a", false);
  }
  const columns = [...columnsOf(t), ...(t.refersTo ? ["ref"] : [])].join(", ");
  const into = (key: string, all: readonly string[]) =>
    all.length === 0 ? "" : `INSERT INTO ${key} (${columns}) VALUES ${all.join(", ")};`;
  return `${into(keyOf(t), rows)}${into(partOf(t, "kid"), kids)}`;
}

/** Long enough to be nobody else's. What a digest covers is a secret too. */
function secretsOf(tables: readonly Table[], side: Side, seed: string): readonly string[] {
  const found = [token(side, seed, "vault", 12)];
  for (const t of tables)
    for (const c of t.columns) {
      if (c.mask === undefined || (c.kind !== "text" && c.kind !== "json")) continue;
      for (let id = 1; id <= t.rows; id += 1) {
        const at = `${keyOf(t)} ${id} ${c.name}`;
        if (c.kind === "json") found.push(token(side, seed, `${at} bank`, 12));
        else if (c.mask.startsWith("hash")) found.push(token("both", seed, `${at} hash`, 12));
        else found.push(token(side, seed, `${at} text`, 10));
      }
    }
  return found;
}
