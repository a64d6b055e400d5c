// tape + world -> what a client sends, message by message: both protocols, every kind of statement that is let through, and
// those that aren't
import { frontend, say } from "../wire/raw-client.ts";
import type { LawWorld } from "./law-world.ts";
import { Grammar } from "./twin-grammar.ts";
import { respell } from "./twin-layout.ts";
import type { ColumnShape, TableShape } from "./twin-shapes.ts";
import type { Tape } from "./twin-tape.ts";

/** Bytes that are sent at once, and how many ReadyForQuery answer them. */
export type Turn = { readonly bytes: Buffer; readonly readies: number; readonly texts: readonly string[] };
export type WireCase = { readonly form: string; readonly turns: readonly Turn[] };

const identifiers: ReadonlySet<string> = new Set([
  "id",
  "grp",
  "seen",
  "c0",
  "c1",
  "c2",
  "c3",
  "c4",
  "gen",
  "s0",
  "s1",
  "s2",
  "t0",
  "t1",
  "t2",
]);

const query = (...texts: readonly string[]): Turn => ({
  bytes: Buffer.concat(texts.map((text) => say.query(text))),
  readies: texts.length,
  texts,
});
const turn = (texts: readonly string[], ...frames: readonly Buffer[]): Turn => ({
  bytes: Buffer.concat([...frames, say.sync()]),
  readies: 1,
  texts,
});

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);

/** Values as text, results in this format. */
function bind(values: readonly string[], format: 0 | 1, statement = "", portal = ""): Buffer {
  const length = (value: string): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(Buffer.byteLength(value));
    return bytes;
  };
  return frontend(
    "B",
    Buffer.from(`${portal}\0${statement}\0`),
    int16(0),
    int16(values.length),
    ...values.flatMap((value) => [length(value), Buffer.from(value)]),
    int16(1),
    int16(format),
  );
}

/** Everything that one case is made of. */
class Maker {
  readonly tape: Tape;
  readonly world: LawWorld;

  constructor(tape: Tape, world: LawWorld) {
    this.tape = tape;
    this.world = world;
  }

  spelt(text: string): string {
    return respell(this.tape, text, identifiers);
  }

  grammar(parameters?: string[]): Grammar {
    return new Grammar(this.tape, {
      isUnqualified: false,
      shapes: this.world.shapes,
      ...(parameters ? { parameters } : {}),
    });
  }

  select(): string {
    return this.spelt(this.grammar().select());
  }

  /** With arguments, every one of which is used: the server counts them. */
  withParameters(): { readonly text: string; readonly values: readonly string[] } {
    const values: string[] = [];
    const text = this.grammar(values).select();
    return values.every((_, i) => text.includes(`$${i + 1}::`))
      ? { text: this.spelt(text), values }
      : { text: this.select(), values: [] };
  }

  table(): TableShape {
    return this.tape.pick(this.world.tables);
  }

  shape(): TableShape {
    return this.tape.pick(this.world.shapes);
  }

  column(table: TableShape): ColumnShape {
    return table.columns[this.tape.below(table.columns.length)] ?? { name: "id", kind: "int", isProtected: false };
  }

  format(): 0 | 1 {
    return this.tape.chance(50) ? 1 : 0;
  }

  /** One statement, by either protocol. */
  either(text: string): Turn {
    if (this.tape.chance(50)) return query(text);
    return turn([text], say.parse(text), bind([], this.format()), say.describe("P"), say.execute());
  }

  rolledBack(form: string, ...texts: readonly string[]): WireCase {
    return { form, turns: [query("BEGIN"), ...texts.map((text) => this.either(text)), query("ROLLBACK")] };
  }
}

const nameOf = (t: TableShape): string => `${t.schema}.${t.name}`;

export function wireCaseOf(tape: Tape, world: LawWorld): WireCase {
  const m = new Maker(tape, world);
  return tape.among<WireCase>([
    [14, () => ({ form: "select", turns: [query(m.select())] })],
    [14, () => extended(m)],
    [4, () => portals(m)],
    [3, () => pipeline(m)],
    [3, () => ({ form: "several", turns: [query(`${m.select()}; ${m.select()}`)] })],
    [4, () => copyOut(m)],
    [2, () => copyIn(m)],
    [3, () => prepared(m)],
    [3, () => cursor(m)],
    [3, () => temporary(m)],
    [2, () => savepoints(m)],
    [3, () => insert(m)],
    [4, () => update(m)],
    [3, () => remove(m)],
    [2, () => merge(m)],
    [2, () => modifyingCte(m)],
    [2, () => explain(m)],
    [2, () => locking(m)],
    [2, () => settings(m)],
    [5, () => catalogs(m)],
    [4, () => oracles(m)],
    [2, () => channels(m)],
    [3, () => denied(m)],
    [2, () => broken(m)],
  ]);
}

/** What no draw should leave out, in every world. */
export const fixedCases = (world: LawWorld): readonly WireCase[] => [
  ...plainCases(world),
  ...catalogTexts(world.tables[0]).map((text): WireCase => ({ form: "catalogs", turns: [query(text)] })),
  ...world.tables.map(
    (table): WireCase => ({
      form: "not null",
      turns: [query("BEGIN"), query(`UPDATE ${nameOf(table)} SET grp = NULL WHERE id = 1`), query("ROLLBACK")],
    }),
  ),
  ...world.tables.map(
    (table): WireCase => ({
      form: "trigger",
      turns: [query("BEGIN"), query(`UPDATE ${nameOf(table)} SET id = id WHERE id = 1`), query("ROLLBACK")],
    }),
  ),
];

/** One column of one table at a time, as a driver would read it, with and without Describe. */
export function plainCases(world: LawWorld): readonly WireCase[] {
  return world.tables.flatMap((table) =>
    table.columns.flatMap(({ name }): readonly WireCase[] => {
      const text = `SELECT ${name} FROM ${nameOf(table)}`;
      return [
        { form: "plain", turns: [query(text)] },
        { form: "plain", turns: [turn([text], say.parse(text), bind([], 1), say.execute())] },
        { form: "plain", turns: [turn([text], say.parse(text, "q")), turn([], bind([], 0, "q"), say.execute())] },
      ];
    }),
  );
}

function extended(m: Maker): WireCase {
  const { text, values } = m.withParameters();
  const describe = m.tape.pick([[], [say.describe("S")], [say.describe("P")], [say.flush()]] as const);
  const isStatement = describe[0]?.[5] === 0x53;
  return {
    form: "extended",
    turns: [
      turn(
        [text],
        say.parse(text),
        ...(isStatement ? describe : []),
        bind(values, m.format()),
        ...(isStatement ? [] : describe),
        say.execute(),
      ),
    ],
  };
}

/** A named statement bound twice, read row by row, in one transaction. */
function portals(m: Maker): WireCase {
  const { text, values } = m.withParameters();
  return {
    form: "portals",
    turns: [
      query("BEGIN"),
      turn([text], say.parse(text, "q"), say.describe("S", "q")),
      turn([], bind(values, m.format(), "q", "p"), say.describe("P", "p"), say.execute("p", 1), say.execute("p", 2)),
      turn(
        [],
        bind(values, m.format(), "q", "p2"),
        say.execute("p2", 1),
        say.execute("p"),
        say.close("P", "p2"),
        say.close("S", "q"),
      ),
      query("ROLLBACK"),
    ],
  };
}

/** Everything in one write, with an error somewhere. */
function pipeline(m: Maker): WireCase {
  const [one, two] = [m.select(), m.select()];
  const bad = m.tape.pick(["SELECT 1/0", "SELECT no_such_column", "TABLE vault.tokens", "SELECT 'x'::int"]);
  const parts = [
    turn([one], say.parse(one), bind([], 1), say.execute()),
    query(bad),
    turn([two], say.parse(two), say.describe("S"), bind([], 0), say.execute()),
  ];
  return {
    form: "pipeline",
    turns: [{ bytes: Buffer.concat(parts.map((p) => p.bytes)), readies: 3, texts: parts.flatMap((p) => p.texts) }],
  };
}

function copyOut(m: Maker): WireCase {
  const form = m.tape.pick([
    "",
    " WITH (FORMAT csv)",
    " (FORMAT csv, HEADER)",
    " WITH (FORMAT binary)",
    " WITH (NULL '-')",
  ]);
  const table = m.shape();
  const columns = table.columns.filter(() => m.tape.chance(60)).map((c) => c.name);
  const from = m.tape.chance(60)
    ? `(${m.select()})`
    : `${nameOf(table)}${columns.length > 0 ? ` (${columns.join(", ")})` : ""}`;
  return { form: "copy out", turns: [m.either(`COPY ${from} TO STDOUT${form}`)] };
}

/** An answer to a COPY that is refused is not waited for: its data is then stray, and ignored. */
function copyIn(m: Maker): WireCase {
  const table = m.table();
  const columns = table.columns.filter((c) => !c.isProtected || m.tape.chance(20));
  const row = columns
    .map((c) => ({ int: "900", text: "a", date: "2020-02-02", json: "{}", bool: "t" })[c.kind])
    .join("\t");
  const text = `COPY ${nameOf(table)} (${columns.map((c) => c.name).join(", ")}) FROM STDIN`;
  const end = m.tape.chance(20) ? say.copyFail("no more") : say.copyDone();
  return {
    form: "copy in",
    turns: [
      query("BEGIN"),
      {
        bytes: Buffer.concat([say.query(text), say.copyData(`${row}\n`), say.copyData("\\.\n"), end]),
        readies: 1,
        texts: [text],
      },
      query(`SELECT count(*) FROM ${nameOf(table)}`),
      query("ROLLBACK"),
    ],
  };
}

function prepared(m: Maker): WireCase {
  const { text, values } = m.withParameters();
  const args = values.length > 0 ? ` (${values.map((v) => `'${v.replaceAll("'", "''")}'`).join(", ")})` : "";
  const bound = turn([], bind(values, m.format(), "q"), say.describe("P"), say.execute());
  return {
    form: "prepare",
    turns: [
      query(`PREPARE q AS ${text}`),
      m.either(`EXECUTE q${args}`),
      ...(m.tape.chance(50) ? [bound] : []),
      query("DEALLOCATE q"),
    ],
  };
}

function cursor(m: Maker): WireCase {
  const kind = m.tape.pick(["", "SCROLL ", "NO SCROLL ", "INSENSITIVE ", "BINARY "]);
  const fetch = m.tape.pick([
    query("FETCH ALL FROM c"),
    query("FETCH 2 FROM c; MOVE 1 FROM c; FETCH FORWARD ALL FROM c"),
    turn([], say.describe("P", "c"), say.execute("c", 2), say.execute("c")),
    query("FETCH 1 FROM c", "FETCH RELATIVE 1 FROM c"),
  ]);
  return {
    form: "cursor",
    turns: [
      query("BEGIN"),
      m.either(`DECLARE c ${kind}CURSOR FOR ${m.select()}`),
      fetch,
      query("CLOSE c"),
      query("ROLLBACK"),
    ],
  };
}

function temporary(m: Maker): WireCase {
  const name = m.tape.pick(["stash", "pg_temp.stash"]);
  const make = m.tape.pick([
    `CREATE TEMP TABLE ${name} AS ${m.select()}`,
    `CREATE TEMP TABLE IF NOT EXISTS ${name} AS ${m.select()} WITH NO DATA`,
    "CREATE TEMP TABLE stash (a int, b text)",
  ]);
  return {
    form: "temporary",
    turns: [
      query("BEGIN"),
      m.either(make),
      m.either("SELECT * FROM stash"),
      query(`INSERT INTO stash ${m.select()}`),
      query("ROLLBACK"),
    ],
  };
}

const savepoints = (m: Maker): WireCase =>
  m.rolledBack(
    "savepoint",
    "SAVEPOINT a",
    m.select(),
    "ROLLBACK TO a",
    m.select(),
    "SAVEPOINT a",
    m.select(),
    "RELEASE a",
  );

function returning(m: Maker, grammar: Grammar, alias: string, columns: readonly ColumnShape[]): string {
  return m.tape.among([
    [3, () => ""],
    [2, () => ` RETURNING ${grammar.value(m.tape.pick(["text", "int", "json"]), [{ alias, columns }])}`],
    [1, () => ` RETURNING ${alias}.id, ${alias}.grp`],
    [1, () => ` RETURNING ${alias}.*`],
  ]);
}

const open = (table: TableShape): readonly ColumnShape[] =>
  table.columns.filter((c) => !c.isProtected && c.name !== "gen");
const after = (table: TableShape): string => `SELECT id, grp FROM ${nameOf(table)} ORDER BY id`;

function insert(m: Maker): WireCase {
  const table = m.table();
  const grammar = m.grammar();
  const columns = m.tape.chance(85) ? open(table) : table.columns;
  const value = (c: ColumnShape): string =>
    c.name === "id"
      ? String(m.tape.pick([1, 100, 500]) + m.tape.below(60))
      : c.name === "grp"
        ? m.tape.pick(["'a'", "'b'", "'x'"])
        : grammar.value(c.kind, []);
  const source = m.tape.chance(60)
    ? `VALUES (${columns.map(value).join(", ")}), (${columns.map(value).join(", ")})`
    : grammar.selectOf(columns.map((c) => c.kind));
  const conflict = m.tape.pick([
    "",
    "",
    " ON CONFLICT DO NOTHING",
    " ON CONFLICT (id) DO UPDATE SET grp = excluded.grp",
  ]);
  const text = `INSERT INTO ${nameOf(table)} AS w (${columns.map((c) => c.name).join(", ")}) ${source}${conflict}${returning(m, grammar, "w", table.columns)}`;
  return m.rolledBack("insert", m.spelt(text), after(table));
}

function update(m: Maker): WireCase {
  const table = m.table();
  const grammar = m.grammar();
  const settable = open(table).filter((c) => c.name !== "id" && (c.name !== "grp" || m.tape.chance(20)));
  const target = settable[m.tape.below(Math.max(1, settable.length))] ?? m.column(table);
  const from = m.tape.chance(25) ? ` FROM (${grammar.selectOf(["int"])}) AS f (a)` : "";
  const where = ` WHERE ${from === "" ? "" : "w.id = f.a AND "}${grammar.condition("w", table.columns)}`;
  const value = grammar.value(target.kind, [{ alias: "w", columns: table.columns }]);
  const text = `UPDATE ${nameOf(table)} AS w SET ${target.name} = ${value}${from}${where}${from === "" ? returning(m, grammar, "w", table.columns) : ""}`;
  return m.rolledBack("update", m.spelt(text), after(table));
}

function remove(m: Maker): WireCase {
  const table = m.table();
  const grammar = m.grammar();
  const using = m.tape.chance(25) ? ` USING (${grammar.selectOf(["int"])}) AS f (a)` : "";
  const where = ` WHERE ${using === "" ? "" : "w.id > f.a AND "}${grammar.condition("w", table.columns)}`;
  const text = `DELETE FROM ${nameOf(table)} AS w${using}${where}${using === "" ? returning(m, grammar, "w", table.columns) : ""}`;
  return m.rolledBack("delete", m.spelt(text), after(table));
}

function merge(m: Maker): WireCase {
  const table = m.table();
  const grammar = m.grammar();
  const source = `SELECT DISTINCT ON (1) s.a, s.b FROM (${grammar.selectOf(["int", "text"])}) AS s (a, b) WHERE s.a IS NOT NULL ORDER BY 1, 2`;
  const action = m.tape.pick(["UPDATE SET grp = left(s.b, 1)", "DELETE", "DO NOTHING"]);
  const text = `MERGE INTO ${nameOf(table)} AS w USING (${source}) AS s (a, b) ON w.id = s.a WHEN MATCHED THEN ${action} WHEN NOT MATCHED THEN DO NOTHING`;
  return m.rolledBack("merge", m.spelt(text), after(table));
}

function modifyingCte(m: Maker): WireCase {
  const table = m.table();
  const grammar = m.grammar();
  const write = m.tape.pick([
    `UPDATE ${nameOf(table)} AS w SET id = w.id WHERE ${grammar.condition("w", table.columns)} RETURNING w.id, w.grp`,
    `DELETE FROM ${nameOf(table)} AS w WHERE ${grammar.condition("w", table.columns)} RETURNING w.id, w.grp`,
  ]);
  return m.rolledBack(
    "modifying cte",
    m.spelt(`WITH u (a, b) AS (${write}) SELECT u.a, u.b, (SELECT count(*) FROM (${grammar.select()}) AS z) FROM u`),
  );
}

const explain = (m: Maker): WireCase => ({
  form: "explain",
  turns: [
    m.either(
      `EXPLAIN ${m.tape.pick(["", "(COSTS off) ", "(VERBOSE) ", "(FORMAT json) ", "ANALYZE "])}${m.tape.chance(50) ? "SELECT 1" : m.select()}`,
    ),
  ],
});

const locking = (m: Maker): WireCase =>
  m.rolledBack(
    "lock",
    `SELECT id, grp FROM ${nameOf(m.shape())} ${m.tape.pick(["FOR UPDATE", "FOR SHARE", "FOR KEY SHARE SKIP LOCKED", "FOR NO KEY UPDATE NOWAIT"])}`,
    `LOCK TABLE ${nameOf(m.table())} IN ${m.tape.pick(["ACCESS SHARE", "ROW EXCLUSIVE"])} MODE`,
  );

function settings(m: Maker): WireCase {
  const set = m.tape.pick([
    "SET extra_float_digits = -15",
    "SET timezone = 'America/New_York'",
    "SET datestyle = 'German, DMY'",
    "SET intervalstyle = 'iso_8601'",
    "SET bytea_output = 'escape'",
    "SET LOCAL statement_timeout = '3s'",
    "SET enable_seqscan = off",
    "SET search_path = seen, s0, s1",
    "SELECT set_config('search_path', 's0, seen', false)",
    "SET standard_conforming_strings = off",
    "SET row_security = off",
    "SET app.tenant = 'x'",
    "RESET ALL",
    "SHOW search_path",
    "SHOW ALL",
    "SET default_transaction_read_only = on",
  ]);
  return {
    form: "settings",
    turns: [query("BEGIN"), m.either(set), m.either(m.select()), query("ROLLBACK"), m.either(m.select())],
  };
}

/** What the catalogs know of hidden rows and masked values. */
function catalogTexts(table: TableShape): readonly [string, ...string[]] {
  const name = `'${nameOf(table).replaceAll("'", "''")}'`;
  return [
    `SELECT reltuples, relpages, relallvisible FROM pg_class WHERE oid = ${name}::regclass`,
    "SELECT schemaname, relname, n_live_tup, n_tup_ins, seq_tup_read FROM pg_stat_user_tables",
    "SELECT tablename, attname, n_distinct, most_common_vals FROM pg_stats WHERE schemaname LIKE 's%'",
    `SELECT pg_relation_size(${name}), pg_total_relation_size(${name}), pg_table_size(${name})`,
    "SELECT stavalues1 FROM pg_statistic",
    "SELECT relname, reltuples, relpages FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace::regnamespace::text ~ '^(s.|parts)$' ORDER BY oid",
    "SELECT query FROM pg_stat_activity",
    "SELECT * FROM pg_prepared_statements",
    "SELECT name, setting FROM pg_settings WHERE name LIKE 'search%'",
    "SELECT relname, heap_blks_read FROM pg_statio_user_tables",
    `SELECT pg_stat_get_live_tuples(${name}::regclass), pg_stat_get_numscans(${name}::regclass)`,
    "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'seen'::regnamespace ORDER BY 1, 2",
    "SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE table_schema LIKE 's%' ORDER BY 1, 2, 3",
    "SELECT pg_get_viewdef('seen.view0'::regclass)",
    `SELECT pg_column_size(t), pg_column_compression(t::text) FROM ${nameOf(table)} t`,
    "SELECT count(*) FROM pg_locks",
    "SELECT pg_current_xact_id_if_assigned(), txid_current()",
    `SELECT ctid, cmin FROM ${nameOf(table)}`,
    "SELECT lo_get(loid) FROM pg_largeobject",
    "SELECT * FROM pg_sequences",
    `SELECT query_to_xml('TABLE ${nameOf(table).replaceAll("'", "''")}', true, false, '')`,
  ];
}

const catalogs = (m: Maker): WireCase => ({
  form: "catalogs",
  turns: [m.either(m.tape.pick(catalogTexts(m.table())))],
});

const channels = (m: Maker): WireCase => ({
  form: "channels",
  turns: [
    query(
      m.tape.pick([
        "LISTEN ch",
        "NOTIFY ch, 'x'",
        "SELECT pg_notify('ch', max(grp)) FROM s0.t0",
        "UNLISTEN *",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(count(*)) FROM vault.tokens",
      ]),
    ),
    query(m.select()),
  ],
});

/** Does a hidden row have this key, does one refer to that? Ids of hidden rows are drawn as law-world.ts draws them. */
function oracles(m: Maker): WireCase {
  const table = m.table();
  const name = nameOf(table);
  const hidden = String(m.tape.pick([100, 500]) + 5 * (1 + m.tape.below(6)) + m.tape.below(2));
  const shown = String(1 + m.tape.below(4));
  const columns = table.columns.filter((c) => c.name !== "id" && c.name !== "gen").map((c) => c.name);
  const reference = m.world.references[m.tape.below(Math.max(1, m.world.references.length))];
  const text = m.tape.among([
    [3, () => `UPDATE ${name} SET id = ${hidden} WHERE id = ${shown}`],
    [
      2,
      () =>
        `INSERT INTO ${name} (id, ${columns.join(", ")}) SELECT ${hidden}, ${columns.join(", ")} FROM ${name} WHERE id = ${shown}`,
    ],
    [1, () => `INSERT INTO ${name} (id, grp) VALUES (${hidden}, 'a') ON CONFLICT DO NOTHING`],
    [reference ? 3 : 0, () => `UPDATE ${reference?.[0]} SET ref = ${hidden} WHERE id = ${shown}`],
    [reference ? 1 : 0, () => `DELETE FROM ${reference?.[1]} WHERE id = ${hidden}`],
    [1, () => `SELECT id FROM ${name} WHERE id = ${hidden} FOR UPDATE NOWAIT`],
  ]);
  return m.rolledBack("oracle", text, `SELECT count(*) FROM ${name}`);
}

/** Kinds of statements that the policy has no rule for, or that are never let through. */
function denied(m: Maker): WireCase {
  const name = nameOf(m.table());
  const text = m.tape.pick([
    `TRUNCATE ${name}`,
    `DROP TABLE ${name}`,
    `ALTER TABLE ${name} ADD CHECK (id > 3)`,
    `CREATE INDEX ON ${name} ((1 / (id - 1)))`,
    `CREATE VIEW seen.mine AS SELECT * FROM ${name}`,
    `CREATE TABLE seen.mine AS SELECT * FROM ${name}`,
    `COMMENT ON TABLE ${name} IS 'x'`,
    `VACUUM (VERBOSE) ${name}`,
    `ANALYZE VERBOSE ${name}`,
    "DO $$ BEGIN RAISE NOTICE '%', (SELECT max(secret) FROM vault.tokens); END $$",
    "TABLE vault.tokens",
    "SELECT max(secret) FROM vault.tokens",
    "CREATE ROLE mallory SUPERUSER",
    `GRANT ALL ON ${name} TO PUBLIC`,
    "COPY vault.tokens TO STDOUT",
    `COPY ${name} TO PROGRAM 'cat'`,
    "SET ROLE postgres",
    "SET CONSTRAINTS ALL DEFERRED",
    "PREPARE TRANSACTION 'x'",
    "CALL seen.nothing()",
    `REINDEX TABLE ${name}`,
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_sleep(0)",
    `SELECT pg_get_expr(adbin, adrelid), (SELECT count(*) FROM ${name} TABLESAMPLE BERNOULLI (50) REPEATABLE (1)) FROM pg_attrdef`,
  ]);
  return { form: "denied", turns: [m.either(text), query("SELECT 1")] };
}

/** Errors at every stage: their words and positions are part of the answer. */
function broken(m: Maker): WireCase {
  const name = nameOf(m.table());
  const column = m.column(m.table()).name;
  const text = m.tape.pick([
    `SELECT nothing FROM ${name}`,
    `SELECT ${column} FROM seen.nowhere`,
    `SELECT ${column} + interval '1 day' * 'x' FROM ${name}`,
    `SELEC ${column} FROM ${name}`,
    `SELECT * FROM ${name} WHERE ${column} = 'x`,
    `SELECT max(${column}) OVER (ORDER BY count(*)) FROM ${name}`,
    `SELECT id, count(*) FROM ${name}`,
    `SELECT ${column}::int, ${column}::date FROM ${name}`,
    `INSERT INTO ${name} (id, grp) VALUES (1, NULL)`,
    `SELECT (SELECT id FROM ${name})`,
    `SELECT to_char(id, ${column}::text) FROM ${name}`,
  ]);
  return { form: "broken", turns: [query("BEGIN"), m.either(text), m.either("SELECT 1"), query("ROLLBACK")] };
}
