// gw sessions list | show | replay | export | search
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { GatewayError } from "../../proxy/errors.ts";
import { readAllEvents } from "../../proxy/recording/chains.ts";
import type { RecordedEvent } from "../../proxy/recording/read.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { type RecordingOptions, recordingFolder } from "../recording-folder.ts";
import { openedEvents, prunedKeys, readKey } from "../session-content.ts";
import { type ExportFormat, exported } from "../session-export.ts";
import { type FrameFilter, filtered, framesOf, jumped } from "../session-frames.ts";
import { type ReplayIo, replay } from "../session-replay.ts";
import { eventsOf, renderSession, summaries } from "../session-view.ts";
import { renderTable } from "../table.ts";
import { registerSearch } from "./sessions-search.ts";

type Options = RecordingOptions & { readonly json?: boolean };
type SessionOptions = RecordingOptions & { readonly key?: string };

const aSession = "a session, or `agent/<id>` as the agent's client names its run";

export function register(program: Command, context: CommandContext): void {
  const sessions = program.command("sessions").description("recorded sessions");
  registerList(sessions, context);
  registerShow(sessions, context);
  registerReplay(sessions, context);
  registerExport(sessions, context);
  registerSearch(inRecording(sessions.command("search")), context, () => Date.now());
}

const inRecording = (command: Command): Command =>
  command
    .option("-c, --config <file>", "the configuration that names the recording", "gw.yaml")
    .option("-r, --recording <folder>", "the recording itself");

const ofSession = (command: Command): Command =>
  inRecording(command.argument("<id>", aSession)).option("--key <file>", "opens sealed fields: the private key, PEM");

function registerList(sessions: Command, { terminal }: CommandContext): void {
  inRecording(sessions.command("list").description("newest first"))
    .option("--json", "as JSON, one object a line")
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
}

/** @throws GatewayError where nothing is recorded of it */
async function recordedOf(id: string, options: SessionOptions): Promise<readonly RecordedEvent[]> {
  const folder = await recordingFolder(options);
  const all = readAllEvents(folder);
  const opened = options.key === undefined ? all : openedEvents(all, readKey(options.key), prunedKeys(folder));
  const events = await eventsOf(id, opened);
  if (events.length > 0) return events;
  throw new GatewayError("config-invalid", `no session \`${id}\` is recorded here`, "`gw sessions list` shows them");
}

function registerShow(sessions: Command, { terminal, exit }: CommandContext): void {
  ofSession(
    sessions
      .command("show")
      .description("everything that one session did, or one run of an agent over all its channels"),
  )
    .option("--json", "as JSON, one object a line")
    .action(async (id: string, options: SessionOptions & Options) => {
      const events = await recordedOf(id, options);
      if (options.json) for (const event of events) terminal.out(`${JSON.stringify(event)}\n`);
      else terminal.out(renderSession(events));
      exit(exitCodes.ok);
    });
}

type ReplayOptions = SessionOptions & {
  readonly speed: number;
  readonly step?: boolean;
  readonly jump?: string;
  readonly filter: FrameFilter;
  readonly idle: number;
};

function registerReplay(sessions: Command, { terminal }: CommandContext): void {
  ofSession(sessions.command("replay").description("the same as it went by, with its transactions"))
    .option("--speed <factor>", "2 is twice as fast; 0 doesn't wait", speedOf, 1)
    .option("--idle <seconds>", "silences are no longer than this", speedOf, 5)
    .option("--step", "one event with each return; q ends")
    .option("--jump <place>", "from a decision's id on, or from a time after the start: 90s, 5m")
    .addOption(
      new Option("--filter <what>", "only these statements")
        .choices(["all", "denied", "held", "errors"])
        .default("all"),
    )
    .action(async (id: string, options: ReplayOptions) => {
      const whole = framesOf(await recordedOf(id, options));
      const from = options.jump === undefined ? whole : jumped(whole, options.jump);
      if (from === undefined) {
        throw new GatewayError(
          "config-invalid",
          `there is no place \`${options.jump}\` in \`${id}\``,
          "name a decision's id, or a time within the session such as `90s`",
        );
      }
      const frames = filtered(from, options.filter);
      const speed = options.speed === 0 ? Number.POSITIVE_INFINITY : options.speed;
      const person = options.step === true ? stepper() : undefined;
      const io: ReplayIo = {
        out: terminal.out,
        wait: async (ms) => pause(ms),
        next: async () => person?.next() ?? false,
      };
      try {
        await replay(frames, person ? { kind: "steps" } : { kind: "time", speed, idleMsMax: options.idle * 1_000 }, io);
      } finally {
        person?.close();
      }
    });
}

/** A line from standard input for each step; its end, or `q`, is the last. */
function stepper(): { readonly next: () => Promise<boolean>; readonly close: () => void } {
  const lines = createInterface({ input: process.stdin, terminal: false });
  const answers = lines[Symbol.asyncIterator]();
  return {
    next: async () => {
      const { value, done } = await answers.next();
      return done !== true && value.trim() !== "q";
    },
    close: () => lines.close(),
  };
}

function speedOf(text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number >= 0 && text.trim() !== "") return number;
  throw new InvalidArgumentError("a number from 0 on");
}

function registerExport(sessions: Command, { terminal }: CommandContext): void {
  ofSession(sessions.command("export").description("to standard output, for those who have no gw"))
    .addOption(
      new Option("--format <format>", "events as JSON, a page for any browser, or an asciinema cast")
        .choices(["json", "html", "cast"])
        .default("json"),
    )
    .action(async (id: string, options: SessionOptions & { readonly format: ExportFormat }) => {
      terminal.out(exported(framesOf(await recordedOf(id, options)), options.format, `session ${id}`));
    });
}
