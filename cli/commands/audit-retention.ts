// gw audit hold | prune: what must stay, and what may go
import { userInfo } from "node:os";
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { readConfig } from "../../proxy/config.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { silentLog } from "../../proxy/log.ts";
import { createNewId } from "../../proxy/new-id.ts";
import { chainFolders } from "../../proxy/recording/chains.ts";
import { startCheckpointer } from "../../proxy/recording/checkpointer.ts";
import { retentionOf } from "../../proxy/recording/config.ts";
import { appendHold, type HoldLine, type HoldScope, holdsInForce, readHolds } from "../../proxy/recording/holds.ts";
import { type PrunePlan, planPrune, type Retention } from "../../proxy/recording/prune.ts";
import { startPruner } from "../../proxy/recording/pruner.ts";
import { openRecorder } from "../../proxy/recording/recorder.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { type RecordingOptions, recordingFolder } from "../recording-folder.ts";
import { showLine } from "../show-text.ts";
import { renderTable } from "../table.ts";

const clock = { nowMs: () => Date.now() };

export function registerRetention(audit: Command, context: CommandContext): void {
  registerHold(audit.command("hold").description("what must stay, however old it is"), context);
  registerPrune(audit, context);
}

const inRecording = (command: Command): Command =>
  command
    .option("-c, --config <file>", "the configuration that names the recording", "gw.yaml")
    .option("-r, --recording <folder>", "the recording itself");

type AddOptions = RecordingOptions & {
  readonly reason: string;
  readonly until?: string;
  readonly by?: string;
  readonly person?: boolean;
};

function registerHold(hold: Command, { terminal, exit }: CommandContext): void {
  inRecording(hold.command("add").description("of a session, of everything that is about a person, or of all"))
    .argument("<what>", "ses_…, a person's name as it is recorded, or ALL")
    .requiredOption("--reason <text>", "why, in a sentence")
    .option("--until <time>", "it ends by itself then: 2027-11-22 or 2027-11-22T09:30Z", momentOf)
    .option("--person", "what is named is a person, whatever it looks like")
    .option("--by <name>", "who asks for it; default: the user of this process")
    .action(async (what: string, options: AddOptions) => {
      const { until, reason } = options;
      const added = appendHold(await recordingFolder(options), {
        id: createNewId(clock)("hold"),
        state: "added",
        ...scopeOf(what, options.person === true),
        ...(until === undefined ? {} : { until }),
        reason,
        by: options.by ?? userInfo().username,
        at: new Date().toISOString(),
      });
      terminal.out(`${added.id}\n`);
    });
  inRecording(hold.command("list").description("those in force"))
    .option("--all", "those that have ended, too")
    .option("--json", "as JSON, one a line")
    .action(async (options: RecordingOptions & { readonly all?: boolean; readonly json?: boolean }) => {
      const holds = readHolds(await recordingFolder(options));
      const shown = options.all === true ? holds.lines : holdsInForce(holds, clock.nowMs());
      if (options.json) for (const line of shown) terminal.out(`${JSON.stringify(line)}\n`);
      else if (shown.length === 0) terminal.out("no holds\n");
      else terminal.out(`${renderTable(["hold", "state", "what", "until", "by", "reason"], shown.map(rowOf))}\n`);
    });
  inRecording(hold.command("release").description("what it was about may go when its time has come"))
    .argument("<id>", "hold_…")
    .requiredOption("--reason <text>", "why, in a sentence")
    .option("--by <name>", "who asks for it; default: the user of this process")
    .action(async (id: string, options: AddOptions) => {
      const folder = await recordingFolder(options);
      const held = holdsInForce(readHolds(folder), clock.nowMs()).find((line) => line.id === id);
      if (held === undefined) {
        terminal.err(`no hold \`${showLine(id)}\` is in force: \`gw audit hold list\` shows them\n`);
        return exit(exitCodes.failed);
      }
      const { scope, subject } = held;
      appendHold(folder, {
        id,
        state: "released",
        scope,
        subject,
        reason: options.reason,
        by: options.by ?? userInfo().username,
        at: new Date().toISOString(),
      });
      terminal.out(`${id} released\n`);
    });
}

const rowOf = ({ id, state, scope, subject, until, by, reason }: HoldLine): readonly string[] => [
  id,
  state,
  scope === "all" ? "everything" : `${scope} ${showLine(subject ?? "")}`,
  until?.slice(0, 16) ?? "",
  showLine(by),
  showLine(reason),
];

function scopeOf(what: string, isPerson: boolean): HoldScope {
  if (!isPerson && what === "ALL") return { scope: "all" };
  return { scope: !isPerson && /^ses_[a-z0-9]+$/.test(what) ? "session" : "person", subject: what };
}

function momentOf(text: string): string {
  const isTime = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?Z)?$/.test(text);
  const ms = isTime ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new InvalidArgumentError("write it as 2027-11-22 or 2027-11-22T09:30Z.");
  return new Date(ms).toISOString();
}

type PruneOptions = {
  readonly config: string;
  readonly dryRun?: boolean;
  readonly age?: string;
  readonly size?: string;
};

/** A running gateway prunes by itself; this is for looking ahead, and for recordings that nobody writes any more. */
function registerPrune(audit: Command, { terminal, exit }: CommandContext): void {
  audit
    .command("prune")
    .description(
      "take away whole segments that are past their time, with a record of it; a running gateway does so by itself",
    )
    .option("-c, --config <file>", "the configuration with `recording.retention`", "gw.yaml")
    .option("--dry-run", "say what would go, and what keeps the rest")
    .addOption(new Option("--age <age>", "in place of the configuration's: 365d").argParser(matching(/^\d{1,6}[hd]$/)))
    .addOption(
      new Option("--size <size>", "in place of the configuration's: 200GiB").argParser(
        matching(/^\d{1,9}(?:MiB|GiB|TiB)$/),
      ),
    )
    .action(async (options: PruneOptions) => {
      const config = await readConfig(options.config, process.env);
      const { directory, checkpoints } = config.recording;
      const retention = asked(options) ?? config.recording.retention;
      if (retention === undefined) {
        throw new GatewayError(
          "config-invalid",
          "nothing says how long what is recorded stays",
          "add `retention: { age: 365d }` to `recording`, or give `--age`",
        );
      }
      for (const chain of chainFolders(directory)) {
        const folder = join(directory, chain);
        const nowMs = clock.nowMs();
        const plan = await planPrune({ directory: folder, holdsDirectory: directory, retention, nowMs });
        terminal.out(shownPlan(chain, plan, options.dryRun === true));
        if (options.dryRun === true || plan.segments.length === 0) continue;
        const node = chain === "" ? config.node : `${config.node}/${chain}`;
        const own = { directory: folder, node, clock, log: silentLog };
        const recorder = openRecorder({ ...own, durability: "sync" });
        try {
          const key = checkpoints?.key;
          const checkpointer =
            key === undefined ? undefined : await startCheckpointer({ ...own, key, everyMs: 3_600_000, sinks: [] });
          const newId = createNewId(clock);
          const pruner = startPruner({
            ...own,
            holdsDirectory: directory,
            retention,
            key,
            recorder,
            checkpointer,
            newId,
          });
          await pruner.look();
          await pruner.close();
          await checkpointer?.close();
        } finally {
          await recorder.close();
        }
      }
      exit(exitCodes.ok);
    });
}

const asked = ({ age, size }: PruneOptions): Retention | undefined =>
  age === undefined && size === undefined ? undefined : retentionOf({ age, size, atLeast: "0h" });

const matching =
  (pattern: RegExp) =>
  (text: string): string => {
    if (pattern.test(text)) return text;
    throw new InvalidArgumentError("write it like `365d`, `12h` or `200GiB`.");
  };

function shownPlan(chain: string, { segments, heldBy }: PrunePlan, isDry: boolean): string {
  const name = chain === "" ? "" : `${chain}: `;
  const lines = segments.map(
    ({ path, bytes, lastMs }) =>
      `${name}${isDry ? "would go" : "goes"}: ${path}, ${(bytes / 2 ** 20).toFixed(1)} MiB, up to ${new Date(lastMs).toISOString()}`,
  );
  if (heldBy !== undefined)
    lines.push(`${name}stays: ${heldBy.path}, by ${heldBy.hold.id}: ${showLine(heldBy.hold.reason)}`);
  return `${(lines.length === 0 ? [`${name}nothing is past its time`] : lines).join("\n")}\n`;
}
