// gw mcp pins list CONNECTION | accept CONNECTION TOOL
import type { Command } from "commander";
import { readConfig } from "../../proxy/config.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { openPinBook, type PinBook } from "../../proxy/mcp/pins.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { showLine } from "../show-text.ts";
import { renderTable } from "../table.ts";

type Options = { readonly config: string };

export function registerPins(mcp: Command, { terminal, exit }: CommandContext): void {
  const pins = mcp.command("pins").description("what the tools of a server looked like when they were first seen");
  const withConfig = (command: Command): Command =>
    command.option("-c, --config <file>", "the configuration", "gw.yaml");
  withConfig(pins.command("list").description("every known tool").argument("<connection>")).action(
    async (connection: string, options: Options) => {
      const book = await openBook(connection, options);
      const time = (atMs: number): string => new Date(atMs).toISOString().slice(0, 19).replace("T", " ");
      const rows = [...book.list()].map(([tool, { pin, firstSeenMs, changed }]) => [
        showLine(tool),
        changed === undefined ? "as seen first" : "changed",
        time(changed?.seenMs ?? firstSeenMs),
        (changed?.pin ?? pin).slice(0, 19),
      ]);
      terminal.out(
        rows.length === 0 ? "no tools seen yet\n" : `${renderTable(["tool", "state", "since", "pin"], rows)}\n`,
      );
    },
  );
  withConfig(
    pins
      .command("accept")
      .description("take the changed description of a tool as the known one")
      .argument("<connection>")
      .argument("<tool>"),
  ).action(async (connection: string, tool: string, options: Options) => {
    if ((await openBook(connection, options)).accept(tool)) return terminal.out(`${showLine(tool)} accepted\n`);
    terminal.err(
      `nothing of \`${showLine(tool)}\` changed on ${connection}: \`gw mcp pins list ${connection}\` shows what did\n`,
    );
    exit(exitCodes.failed);
  });
}

async function openBook(name: string, { config: path }: Options): Promise<PinBook> {
  const config = await readConfig(path, process.env);
  const connection = config.http.find((each) => each.kind === "mcp" && each.name === name);
  if (connection?.kind !== "mcp") {
    throw new GatewayError("config-invalid", `there is no connection \`${name}\` of kind mcp in ${path}`);
  }
  return openPinBook(connection.pinsFile, { nowMs: () => Date.now() });
}
