// gw sessions list | show ID
import type { Command } from "commander";
import { GatewayError } from "../../proxy/errors.ts";
import { readAllEvents } from "../../proxy/recording/chains.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { type RecordingOptions, recordingFolder } from "../recording-folder.ts";
import { openedEvents, readKey } from "../session-content.ts";
import { eventsOf, renderSession, summaries } from "../session-view.ts";
import { renderTable } from "../table.ts";

type Options = RecordingOptions & { readonly json?: boolean };

export function register(program: Command, { terminal, exit }: CommandContext): void {
  const sessions = program.command("sessions").description("recorded sessions");
  const recording = (command: Command): Command =>
    command
      .option("-c, --config <file>", "the configuration that names the recording", "gw.yaml")
      .option("-r, --recording <folder>", "the recording itself")
      .option("--json", "as JSON, one object a line");

  recording(sessions.command("list").description("newest first"))
    .option("--by <sub>", "only sessions of this principal")
    .option("--limit <n>", "at most this many", "50")
    .action(async (options: Options & { readonly by?: string; readonly limit: string }) => {
      const all = await summaries(readAllEvents(await recordingFolder(options)));
      const shown = all
        .filter((session) => options.by === undefined || session.sub === options.by)
        .reverse()
        .slice(0, Math.max(1, Number(options.limit) || 50));
      if (options.json) for (const session of shown) terminal.out(`${JSON.stringify(session)}\n`);
      else if (shown.length === 0) terminal.out("no sessions\n");
      else {
        const header = ["session", "started", "who", "connection", "statements", "denied", "state"];
        const rows = shown.map((s) => [
          s.session,
          s.started.replace("T", " ").slice(0, 19),
          s.onBehalfOf === undefined ? `${s.sub} (${s.kind})` : `${s.sub} (${s.kind} of ${s.onBehalfOf})`,
          s.connection,
          String(s.statements),
          String(s.denied),
          s.ended ?? "open",
        ]);
        terminal.out(`${renderTable(header, rows)}\n`);
      }
    });

  recording(
    sessions
      .command("show")
      .description("everything that one session did, or one run of an agent over all its channels")
      .argument("<id>", "a session, or `agent/<id>` as the agent's client names its run"),
  )
    .option("--key <file>", "opens sealed fields: the private key, PEM")
    .action(async (id: string, options: Options & { readonly key?: string }) => {
      const all = readAllEvents(await recordingFolder(options));
      const opened = options.key === undefined ? all : openedEvents(all, readKey(options.key));
      const events = await eventsOf(id, opened);
      if (events.length === 0) {
        throw new GatewayError(
          "config-invalid",
          `no session \`${id}\` is recorded here`,
          "`gw sessions list` shows them",
        );
      }
      if (options.json) for (const event of events) terminal.out(`${JSON.stringify(event)}\n`);
      else terminal.out(renderSession(events));
      exit(exitCodes.ok);
    });
}
