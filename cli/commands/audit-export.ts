// gw audit export: the recording's decisions as lines of JSON that other systems read
import { type Command, Option } from "commander";
import { readAllEvents } from "../../proxy/recording/chains.ts";
import { type DecisionRow, ocsfEvent, opaEntry } from "../../proxy/telemetry/decision-entry.ts";
import type { CommandContext } from "../main.ts";
import { type RecordingOptions, recordingFolder } from "../recording-folder.ts";

type ExportOptions = RecordingOptions & { readonly format: "ocsf" | "opa"; readonly node: string };

/** Sessions whose start is remembered; of an older one only its id is known. */
const sessionsMax = 100_000;

export function registerExport(audit: Command, { terminal }: CommandContext): void {
  audit
    .command("export")
    .description("decisions as JSON lines, oldest first: no text of statements, no rows")
    .addOption(new Option("--format <format>", "whose format").choices(["ocsf", "opa"]).makeOptionMandatory())
    .option("-c, --config <file>", "the configuration that names the recording", "gw.yaml")
    .option("-r, --recording <folder>", "the recording itself")
    .option("--node <name>", "name of the gateway in each line", "gatewright")
    .action(async (options: ExportOptions) => {
      for await (const row of decisionRows(await recordingFolder(options))) {
        const line =
          options.format === "ocsf"
            ? ocsfEvent(row, options.node)
            : opaEntry(row, { id: options.node, app: "gatewright" });
        terminal.out(`${JSON.stringify(line)}\n`);
      }
    });
}

type Start = Pick<DecisionRow, "connection" | "protocol" | "principal" | "client">;
const unknownStart: Start = { connection: "", protocol: "", principal: { sub: "unknown", kind: "unknown" } };

async function* decisionRows(directory: string): AsyncGenerator<DecisionRow> {
  const starts = new Map<string, Start>();
  for await (const event of readAllEvents(directory)) {
    if (event.type === "session-start") {
      const oldest = starts.keys().next().value;
      if (starts.size >= sessionsMax && oldest !== undefined) starts.delete(oldest);
      const { sub, kind } = event.principal;
      const { connection, protocol, client } = event;
      starts.set(event.session, { connection, protocol, client, principal: { sub, kind } });
    } else if (event.type === "session-end") {
      starts.delete(event.session);
    } else if (event.type === "statement") {
      const { atMs, session, id, fingerprint, effect, rules, policy, revision } = event;
      yield {
        ...(starts.get(session) ?? unknownStart),
        ...{ atMs, session, fingerprint, effect, rules, revision },
        decisionId: id,
        accesses: event.accesses.map((access) => access.replace(/ \(.*$/s, "")),
        policyHash: policy,
      };
    }
  }
}
