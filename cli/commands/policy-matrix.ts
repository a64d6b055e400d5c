// gw policy matrix: who may do what, as a table: fixtures x tables x verbs
import type { Command } from "commander";
import type { Checked } from "../../dsl/checked.ts";
import { interpretProgram } from "../../dsl/interpret.ts";
import { evaluate } from "../../engine/evaluate.ts";
import type { Relation } from "../../engine/model/catalog.ts";
import type { Decision } from "../../engine/model/decision.ts";
import { quoteIdent } from "../../engine/model/row-predicate.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { askAll } from "../ask-bundle.ts";
import { compileOrShow } from "../compiled-bundle.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { type BundleFolder, defaultPath, selectBundles } from "../read-bundle.ts";
import { renderTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

type Flags = { readonly as: readonly string[]; readonly at?: string; readonly json?: boolean };

export function addMatrix(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("matrix")
    .description("who may do what to which table; the people are the bundle's fixtures")
    .argument("[folder]", "the bundle; default: policies, else this folder")
    .option("--as <names>", "only these fixtures, with commas between", (text: string) => text.split(","), [])
    .option("--at <connection>", "only this connection")
    .option("--json", "as JSON")
    .action(async (folder: string | undefined, flags: Flags) => exit(await policyMatrix(terminal, folder, flags)));
}

type Cell = { readonly who: string; readonly table: string; readonly verb: Verb; readonly mark: string };
const verbs = ["select", "insert", "update", "delete"] as const;
type Verb = (typeof verbs)[number];

export async function policyMatrix(terminal: Terminal, folder: string | undefined, flags: Flags): Promise<ExitCode> {
  const [selection] = await selectBundles([folder ?? defaultPath()]);
  if (!selection) throw new GatewayError("config-unreadable", "there is no bundle");
  const { bundle } = selection;
  const compiled = compileOrShow(terminal, bundle);
  if (!compiled) return exitCodes.failed;
  const { checked } = compiled;
  const own = [...checked.files].filter(([path]) => !bundle.inner.some((inner) => path.startsWith(inner)));
  const fixtures = own.flatMap(([, file]) =>
    file.decls.flatMap((decl) =>
      decl.kind === "fixture" && decl.type.atom.kind === "named" && decl.type.atom.name.parts[0]?.text === "identity"
        ? [decl.name.text]
        : [],
    ),
  );
  const people = fixtures.filter((name) => flags.as.length === 0 || flags.as.includes(name));
  if (people.length === 0) {
    throw new GatewayError(
      "config-invalid",
      fixtures.length === 0 ? "the bundle has no fixtures of type identity" : "no fixture has that name",
      fixtures.length === 0
        ? "write one per kind of caller: `fixture bot: identity = { … }`"
        : `there are ${fixtures.join(", ")}`,
    );
  }
  const connections = new Set(
    own.flatMap(([, file]) => file.decls.flatMap((decl) => (decl.kind === "catalog" ? [decl.connection.raw] : []))),
  );
  for (const connection of connections) {
    if (flags.at !== undefined && flags.at !== connection) continue;
    const cells = cellsOf(bundle, checked, connection, people);
    if (flags.json) terminal.out(`${JSON.stringify({ connection, cells }, undefined, 2)}\n`);
    else terminal.out(renderMatrix(connection, people, cells));
  }
  return exitCodes.ok;
}

function cellsOf(
  bundle: BundleFolder,
  checked: Checked,
  connection: string,
  people: readonly string[],
): readonly Cell[] {
  const relations = [...(checked.catalogs.get(connection)?.relations ?? [])].filter(([, r]) =>
    ["table", "partitioned-table", "view", "materialized-view"].includes(r.kind),
  );
  const asked = relations.flatMap(([table, relation]) =>
    people.flatMap((who) => verbs.map((verb) => ({ who, table, verb, sql: statementFor(verb, relation) }))),
  );
  const answers = askAll(
    bundle,
    asked.map(({ who, sql }) => ({ as: who, action: { kind: "sql" as const, text: sql }, at: connection, given: [] })),
  );
  return asked.map(({ who, table, verb }, i) => {
    const prepared = answers.ok ? answers.prepared[i] : undefined;
    const [request] = prepared?.requests ?? [];
    if (!answers.ok || !prepared || prepared.fault || !request) return { who, table, verb, mark: "-" };
    const program = interpretProgram(answers.checked, { data: prepared.data });
    return { who, table, verb, mark: markOf(evaluate(program, request)) };
  });
}

/** `-` denied, `+` allowed, `m` with masks, `f` with a row filter, `a` after an approval. */
function markOf(decision: Decision): string {
  if (decision.effect === "deny") return "-";
  const { masks, filters } = decision.obligations;
  const isMasked = [...masks.values()].some((columns) => columns.size > 0);
  return `${decision.effect === "approval" ? "a" : "+"}${isMasked ? "m" : ""}${filters.size > 0 ? "f" : ""}`;
}

function statementFor(verb: Verb, relation: Relation): string {
  const table = `${quoteIdent(relation.schema)}.${quoteIdent(relation.name)}`;
  const column = quoteIdent(relation.columns[0]?.name ?? "");
  const other = quoteIdent(relation.columns.at(-1)?.name ?? "");
  switch (verb) {
    case "select":
      return `select * from ${table}`;
    case "insert":
      return `insert into ${table} (${column}) values (null)`;
    case "update":
      return `update ${table} set ${other} = null where ${column} = $1`;
    case "delete":
      return `delete from ${table} where ${column} = $1`;
  }
}

function renderMatrix(connection: string, people: readonly string[], cells: readonly Cell[]): string {
  const byTable = new Map<string, Cell[]>();
  for (const cell of cells) byTable.set(cell.table, [...(byTable.get(cell.table) ?? []), cell]);
  const rows = [...byTable].map(([table, row]) => [
    table,
    ...people.map((who) =>
      row
        .filter((cell) => cell.who === who)
        .map((cell) => cell.mark.padEnd(4))
        .join("")
        .trimEnd(),
    ),
  ]);
  const legend = `each cell: ${verbs.join(", ")} of all columns; - denied, + allowed, m masked, f rows filtered, a after approval`;
  return `${renderTable([connection, ...people], rows)}\n\n${legend}\n`;
}
