// tape -> a session's worth of statements: reads in every form, writes and what they left behind, session statements
import { Grammar } from "./twin-grammar.ts";
import { respell } from "./twin-layout.ts";
import { type ColumnShape, identifiers, type TableShape, writableShapes } from "./twin-shapes.ts";
import type { Tape } from "./twin-tape.ts";
import type { Step } from "./twin-transcript.ts";

export type TwinCase = { readonly form: string; readonly steps: readonly Step[] };

/** Reads take half of all cases. */
export function caseOf(tape: Tape): TwinCase {
  const plain = tape.among<TwinCase>([
    [20, () => one("select", new Grammar(tape, { isUnqualified: false }).select())],
    [5, () => parameterised(tape)],
    [4, () => unqualified(tape)],
    [3, () => copied(tape)],
    [3, () => prepared(tape)],
    [3, () => cursor(tape)],
    [1, () => temporary(tape)],
    [2, () => savepoints(tape)],
    [3, () => insert(tape)],
    [4, () => update(tape)],
    [3, () => remove(tape)],
    [3, () => merge(tape)],
    [2, () => modifyingCte(tape)],
  ]);
  return { ...plain, steps: plain.steps.map((s) => ({ ...s, text: respell(tape, s.text, identifiers) })) };
}

const one = (form: string, text: string): TwinCase => ({ form, steps: [{ text }] });
const select = (tape: Tape): string => new Grammar(tape, { isUnqualified: false }).select();

/** Every argument is used: the server counts them. */
function withParameters(tape: Tape): { readonly text: string; readonly parameters: readonly string[] } {
  const parameters: string[] = [];
  const text = new Grammar(tape, { isUnqualified: false, parameters }).select();
  return parameters.every((_, i) => text.includes(`$${i + 1}::`))
    ? { text, parameters }
    : { text: select(tape), parameters: [] };
}

function parameterised(tape: Tape): TwinCase {
  const { text, parameters } = withParameters(tape);
  return { form: "extended", steps: [{ text, args: parameters }] };
}

function unqualified(tape: Tape): TwinCase {
  const path = tape.pick(["clinic, staff", "staff, clinic", '"$user", clinic, staff']);
  const set = tape.pick([
    `SET search_path = ${path}`,
    `SET LOCAL search_path TO ${path}`,
    `SELECT set_config('search_path', '${path}', false)`,
  ]);
  return { form: "search_path", steps: [{ text: set }, { text: new Grammar(tape, { isUnqualified: true }).select() }] };
}

function copied(tape: Tape): TwinCase {
  const form = tape.pick(["", " WITH (FORMAT csv)", " (FORMAT csv, HEADER)", " WITH (NULL '-')"]);
  const table = tape.pick([
    "clinic.patients (id, email, born, cover)",
    "clinic.visits_24",
    "staff.temps",
    "clinic.patients (id, tax_no)",
    "clinic.visits_25 (ward, cost)",
  ]);
  return one("copy", `COPY ${tape.chance(70) ? `(${select(tape)})` : table} TO STDOUT${form}`);
}

function prepared(tape: Tape): TwinCase {
  const { text, parameters } = withParameters(tape);
  const args = parameters.length > 0 ? ` (${parameters.map((p) => `'${p.replaceAll("'", "''")}'`).join(", ")})` : "";
  return {
    form: "prepare",
    steps: [{ text: `PREPARE q AS ${text}` }, { text: `EXECUTE q${args}` }, { text: "DEALLOCATE q" }],
  };
}

function cursor(tape: Tape): TwinCase {
  const kind = tape.pick(["", "SCROLL ", "NO SCROLL ", "INSENSITIVE "]);
  const fetch = tape.pick(["FETCH ALL FROM c", "FETCH FORWARD ALL FROM c", "MOVE ALL FROM c"]);
  return {
    form: "cursor",
    steps: [{ text: `DECLARE c ${kind}CURSOR FOR ${select(tape)}` }, { text: fetch }, { text: "CLOSE c" }],
  };
}

function temporary(tape: Tape): TwinCase {
  const name = tape.pick(["stash", "patients", "tmp1"]);
  return {
    form: "temporary",
    steps: [
      { text: `CREATE TEMP TABLE ${name} AS ${select(tape)}` },
      { text: `SELECT * FROM ${name}` },
      { text: `SELECT count(*) FROM ${name}` },
    ],
  };
}

function savepoints(tape: Tape): TwinCase {
  return {
    form: "savepoint",
    steps: [
      { text: "SAVEPOINT a" },
      { text: select(tape) },
      { text: "ROLLBACK TO SAVEPOINT a" },
      { text: select(tape) },
      { text: "RELEASE a" },
    ],
  };
}

const open = (table: TableShape): readonly ColumnShape[] =>
  table.columns.filter(
    (c) => !c.isProtected && c.name !== "id" && c.name !== "patient_id" && c.name !== "ward" && c.name !== "visit_id",
  );

function returning(tape: Tape, grammar: Grammar, alias: string, columns: readonly ColumnShape[]): string {
  return tape.among([
    [3, () => ""],
    [2, () => ` RETURNING ${grammar.value(tape.pick(["text", "int", "json"]), [{ alias, columns }])}`],
    [1, () => ` RETURNING ${alias}.*`],
    [1, () => ` RETURNING ${alias}`],
  ]);
}

const after = { text: "SELECT id, label, floor FROM clinic.rooms ORDER BY id" };

function insert(tape: Tape): TwinCase {
  const grammar = new Grammar(tape, { isUnqualified: false });
  const rooms: readonly ColumnShape[] = [
    { name: "id", kind: "int", isProtected: false },
    { name: "label", kind: "text", isProtected: false },
    { name: "floor", kind: "int", isProtected: false },
  ];
  const source = tape.chance(60)
    ? `SELECT 100 + row_number() OVER (ORDER BY s.a, s.b)::int, s.a, s.b FROM (${grammar.selectOf(["text", "int"])}) AS s (a, b)`
    : `VALUES (1, ${grammar.value("text", [])}, 5), (77, ${grammar.value("text", [])}, ${grammar.value("int", [])})`;
  const conflict = tape.pick([
    "",
    " ON CONFLICT DO NOTHING",
    " ON CONFLICT (id) DO UPDATE SET label = excluded.label",
    `ON CONFLICT (id) DO UPDATE SET floor = ${grammar.value("int", [{ alias: "r", columns: rooms }])}`,
  ]);
  return {
    form: "insert",
    steps: [
      {
        text: `INSERT INTO clinic.rooms AS r (id, label, floor) ${source} ${conflict}${returning(tape, grammar, "r", rooms)}`,
      },
      after,
    ],
  };
}

function update(tape: Tape): TwinCase {
  const grammar = new Grammar(tape, { isUnqualified: false });
  const table = tape.pick(writableShapes.slice(1) as unknown as readonly [TableShape, ...TableShape[]]);
  const settable =
    table.name === "visits"
      ? table.columns.filter((c) => c.name === "findings" || c.name === "cost")
      : open(table).filter((c) => c.name !== "at" && c.name !== "name" && c.name !== "chart");
  const target = settable[tape.below(Math.max(1, settable.length))] ?? {
    name: "chart",
    kind: "text" as const,
    isProtected: false,
  };
  const isJoined = tape.chance(30);
  const relations = [{ alias: "w", columns: table.columns }];
  const from = isJoined ? ` FROM (${grammar.selectOf(["int", "text"])}) AS f (a, b)` : "";
  const where = ` WHERE ${isJoined ? `w.id = f.a AND ` : ""}${grammar.condition("w", table.columns)}`;
  // Joined rows may match twice; which one wins isn't promised, so the new value doesn't name the source then.
  const value =
    target.kind === "text" ? `left(${grammar.value("text", relations)}, 30)` : grammar.value(target.kind, relations);
  return {
    form: "update",
    steps: [
      {
        text: `UPDATE ${table.schema}.${table.name} AS w SET ${target.name} = ${table.name === "patients" ? `coalesce(${value}, '-')` : value}${from}${where}${isJoined ? "" : returning(tape, grammar, "w", table.columns)}`,
      },
      { text: `SELECT id, ${target.name} FROM ${table.schema}.${table.name} ORDER BY id` },
    ],
  };
}

function remove(tape: Tape): TwinCase {
  const grammar = new Grammar(tape, { isUnqualified: false });
  const table = tape.pick([writableShapes[0], writableShapes[0], writableShapes[1] ?? writableShapes[0]] as const);
  const using = tape.chance(25) ? ` USING (${grammar.selectOf(["int"])}) AS f (a)` : "";
  const where = ` WHERE ${using === "" ? "" : "w.id > f.a AND "}${grammar.condition("w", table.columns)}`;
  return {
    form: "delete",
    steps: [
      {
        text: `DELETE FROM ${table.schema}.${table.name} AS w${using}${where}${using === "" ? returning(tape, grammar, "w", table.columns) : ""}`,
      },
      { text: `SELECT count(*) FROM ${table.schema}.${table.name}` },
    ],
  };
}

function merge(tape: Tape): TwinCase {
  const grammar = new Grammar(tape, { isUnqualified: false });
  const source = `SELECT DISTINCT ON (1) s.a, s.b FROM (${grammar.selectOf(["int", "text"])}) AS s (a, b) WHERE s.a IS NOT NULL ORDER BY 1, 2`;
  const both = [
    {
      alias: "s",
      columns: [
        { name: "a", kind: "int", isProtected: true },
        { name: "b", kind: "text", isProtected: true },
      ] as const,
    },
  ];
  const guard = tape.chance(40) ? ` AND ${grammar.condition("s", both[0]?.columns ?? [])}` : "";
  const action = tape.pick([`UPDATE SET label = ${grammar.value("text", both)}`, "DELETE", "DO NOTHING"]);
  return {
    form: "merge",
    steps: [
      {
        text: `MERGE INTO clinic.rooms AS r USING (${source}) AS s (a, b) ON r.id = s.a WHEN MATCHED${guard} THEN ${action} WHEN NOT MATCHED THEN INSERT (id, label) VALUES (s.a, s.b)`,
      },
      after,
    ],
  };
}

function modifyingCte(tape: Tape): TwinCase {
  const grammar = new Grammar(tape, { isUnqualified: false });
  const table = writableShapes[1] ?? writableShapes[0];
  const write = tape.pick([
    `UPDATE clinic.visits AS w SET findings = 'seen' WHERE ${grammar.condition("w", table.columns)} RETURNING w.id, w.cost`,
    `UPDATE clinic.patients AS w SET chart = 'seen' WHERE ${grammar.condition("w", writableShapes[2]?.columns ?? [])} RETURNING w.id, w.email`,
    `DELETE FROM clinic.bills AS w WHERE ${grammar.condition("w", writableShapes[0].columns)} RETURNING w.id, w.visit_id`,
  ]);
  return {
    form: "modifying cte",
    steps: [
      { text: `WITH u (a, b) AS (${write}) SELECT u.a, u.b, (SELECT count(*) FROM (${select(tape)}) AS z) FROM u` },
    ],
  };
}
