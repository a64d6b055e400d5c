// gw sessions search
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { indexName, openSearchIndex, searchRecording } from "../../proxy/recording/search.ts";
import type { SearchQuery } from "../../proxy/recording/search-index.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { type RecordingOptions, recordingFolder } from "../recording-folder.ts";
import { showLine } from "../show-text.ts";
import { renderTable } from "../table.ts";

type Options = RecordingOptions &
  Pick<SearchQuery, "person" | "table" | "column" | "rule" | "decision" | "text" | "limit"> & {
    readonly since?: number;
    readonly until?: number;
    readonly index?: string;
    readonly rebuild?: boolean;
    readonly json?: boolean;
  };

export function registerSearch(search: Command, { terminal, exit }: CommandContext, nowMs: () => number): void {
  const when = (text: string): number => momentOf(text, nowMs());
  search
    .description("statements, newest first; ends with 1 if there are none")
    .option("--person <sub>", "who asked, or whom they acted for")
    .option("--table <name>", "with or without its schema")
    .option("--column <name>", "of that table, or of any")
    .option("--rule <id>", "that decided")
    .addOption(new Option("--decision <effect>", "what was decided").choices(["allow", "deny", "approval"]))
    .option("--since <time>", "2026-11-22, 2026-11-22T09:30Z, or how long ago: 90m, 12h, 7d", when)
    .option("--until <time>", "the same", when)
    .option("--text <words>", "words of the statement")
    .option("--limit <n>", "at most this many", countOf, 50)
    .option("--index <file>", "where the index lies; default: in the recording")
    .option("--rebuild", "make the index anew")
    .option("--json", "the events as JSON, one a line")
    .action(async (options: Options) => {
      const folder = await recordingFolder(options);
      const index = await openSearchIndex(folder, {
        path: options.index ?? join(folder, indexName),
        isRebuilt: options.rebuild === true,
        onLines: (lines) => {
          if (lines >= 1_000_000 && lines % 1_000_000 === 0)
            terminal.err(`indexed ${lines / 1_000_000} million lines\n`);
        },
      });
      try {
        const { since, until, ...rest } = options;
        const found = searchRecording(folder, index, { ...rest, sinceMs: since, untilMs: until });
        if (options.json) for (const event of found) terminal.out(`${JSON.stringify(event)}\n`);
        else if (found.length === 0) terminal.out("nothing found\n");
        else {
          const rows = found.flatMap((event) =>
            event.type === "statement"
              ? [
                  [
                    new Date(event.atMs).toISOString(),
                    event.session,
                    event.effect,
                    event.id,
                    shortened(event.statement),
                  ],
                ]
              : [],
          );
          terminal.out(`${renderTable(["time", "session", "decision", "id", "statement"], rows)}\n`);
        }
        exit(found.length === 0 ? exitCodes.failed : exitCodes.ok);
      } finally {
        index.close();
      }
    });
}

const shortened = (text: string): string => {
  const line = showLine(text);
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
};

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** ms since the epoch. A time without a zone is UTC. */
export function momentOf(text: string, nowMs: number): number {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ago = units[unit ?? ""];
  if (ago !== undefined) return nowMs - Number(amount) * ago;
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.exec(text);
  const at =
    isTime === null ? Number.NaN : Date.parse(isTime[1] !== undefined && isTime[4] === undefined ? `${text}Z` : text);
  if (Number.isNaN(at)) throw new InvalidArgumentError("a time such as 2026-11-22T09:30Z, or 7d");
  return at;
}

function countOf(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 10_000) return number;
  throw new InvalidArgumentError("a whole number from 1 to 10000");
}
