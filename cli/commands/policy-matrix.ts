// gw policy matrix: who may do what, as a table: fixtures × tables and verbs, and × routes, tools and models
import { type Command, Option } from "commander";
import { GatewayError } from "../../proxy/errors.ts";
import { compileOrShow } from "../compiled-bundle.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { type PlaceCell, placeCells, type TableCell, tableCells, verbs } from "../matrix-cells.ts";
import { defaultPath, selectBundles } from "../read-bundle.ts";
import { renderTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

type Flags = {
  readonly as: readonly string[];
  readonly at?: string;
  readonly given: readonly string[];
  readonly json?: boolean;
};

export function addMatrix(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("matrix")
    .description("who may do what to which table, route, tool and model; the people are the bundle's fixtures")
    .argument("[folder]", "the bundle; default: policies, else this folder")
    .option("--as <names>", "only these fixtures, with commas between", (text: string) => text.split(","), [])
    .option("--at <connection>", "only this connection")
    .addOption(
      new Option("-g, --given <given>", "what else a test could give: `time { hour: 3 }`; may be repeated")
        .argParser((value: string, all: readonly string[]) => [...all, value])
        .default([], "nothing"),
    )
    .option("--json", "as JSON")
    .action(async (folder: string | undefined, flags: Flags) => exit(await policyMatrix(terminal, folder, flags)));
}

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
  const people = [...new Set(fixtures)].filter((name) => flags.as.length === 0 || flags.as.includes(name));
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
  const isWanted = (connection: string): boolean => flags.at === undefined || flags.at === connection;
  const asked = { people, given: flags.given };
  for (const connection of [...connections].filter(isWanted)) {
    const cells = tableCells(bundle, checked, connection, asked);
    if (flags.json) terminal.out(`${JSON.stringify({ connection, cells }, undefined, 2)}\n`);
    else terminal.out(renderTables(connection, people, cells));
  }
  for (const [connection, cells] of placeCells(bundle, checked, asked)) {
    if (!isWanted(connection)) continue;
    if (flags.json) terminal.out(`${JSON.stringify({ connection, cells }, undefined, 2)}\n`);
    else terminal.out(renderPlaces(connection, people, cells));
  }
  return exitCodes.ok;
}

function renderTables(connection: string, people: readonly string[], cells: readonly TableCell[]): string {
  const rows = [...grouped(cells, (cell) => cell.table)].map(([table, row]) => [
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

function renderPlaces(connection: string, people: readonly string[], cells: readonly PlaceCell[]): string {
  const rows = [...grouped(cells, (cell) => cell.what)].map(([what, row]) => [
    what,
    ...people.map((who) => row.find((cell) => cell.who === who)?.mark ?? "-"),
  ]);
  const legend = "- denied, + allowed, m masked, f items filtered, a after approval; ? depends on what is sent";
  return `${renderTable([connection, ...people], rows)}\n\n${legend}\n`;
}

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
