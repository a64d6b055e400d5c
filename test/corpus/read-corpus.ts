// table files -> rows. A row is a header `--- mechanism [flags]` and statements, each ending with `;` at a line's end.
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Step } from "../support/twin-transcript.ts";

/**
 * `acts`: run direct it performs a denied action (without it: direct answers differ between the twins).
 * `own`: changes things that a rollback doesn't bring back, so it gets a database of its own.
 * `real`: a benign statement whose answer is compared with the real database, not with the masked copy (catalogs).
 * `passes`: a benign statement that must be let through, though its answer may be another one.
 * `unordered`: rows are compared as multisets.
 * `16`, `17`, `18`: needs at least this server.
 */
export type CorpusFlag = "acts" | "own" | "real" | "passes" | "unordered" | "16" | "17" | "18";
export type CorpusRow = {
  readonly file: string;
  readonly name: string;
  readonly flags: ReadonlySet<string>;
  readonly steps: readonly Step[];
  /** Why what the row does is let through on purpose. The tests fail when it no longer does it. */
  readonly accepted: string | undefined;
};

const flagNames: ReadonlySet<string> = new Set([
  "acts",
  "own",
  "real",
  "passes",
  "unordered",
  "16",
  "17",
  "18",
] satisfies CorpusFlag[]);

/** Every row of `test/corpus/<folder>/*.sql`, in file order. Throws on a malformed row: the corpus is source. */
export function readCorpus(folder: string): readonly CorpusRow[] {
  return globSync(`test/corpus/${folder}/*.sql`)
    .sort()
    .flatMap((path) => rowsOf(basename(path, ".sql"), readFileSync(path, "utf8")));
}

function rowsOf(file: string, text: string): readonly CorpusRow[] {
  const [head = "", ...blocks] = text.split(/^--- /m);
  const fileFlags = flagsIn(/^-- flags: (.*)$/m.exec(head)?.[1] ?? "");
  return blocks.map((block) => {
    const [header = "", ...all] = block.split("\n");
    const accepted = all.map((line) => /^-- accepted: (.+)$/.exec(line)?.[1]).find((reason) => reason !== undefined);
    const lines = all.filter((line) => !line.startsWith("-- accepted: "));
    const match = /^(.*?)\s*(?:\[([a-z0-9 ]+)\])?$/.exec(header);
    const name = match?.[1] ?? "";
    const flags = new Set([...fileFlags, ...flagsIn(match?.[2] ?? "")]);
    const steps = stepsOf(lines);
    if (name === "" || steps.length === 0) throw new Error(`${file}: a row without name or statement: ${header}`);
    return { file, name, flags, steps, accepted };
  });
}

function flagsIn(text: string): readonly string[] {
  const flags = text.split(" ").filter((f) => f !== "");
  for (const flag of flags) if (!flagNames.has(flag)) throw new Error(`unknown flag \`${flag}\``);
  return flags;
}

/**
 * Rows that are expected to fail: `-- accepted: reason` in a row says that it does so on purpose, a line of
 * open-findings.md that it shouldn't.
 */
export const acceptedRows = (rows: readonly CorpusRow[]): readonly string[] =>
  rows.filter((row) => row.accepted !== undefined).map((row) => `${row.file}: ${row.name}`);

/** A line `-- $ ["a", null]` after a statement gives its arguments: it is then sent by the extended protocol. `-- < row` is COPY data. */
function stepsOf(lines: readonly string[]): readonly Step[] {
  const steps: Step[] = [];
  let current: string[] = [];
  for (const line of lines) {
    const args = /^-- \$ (\[.*\])$/.exec(line);
    const last = steps.at(-1);
    const copied = /^-- < (.*)$/.exec(line)?.[1];
    if (copied !== undefined && last && current.length === 0) {
      steps[steps.length - 1] = { ...last, copied: `${last.copied ?? ""}${copied}\n` };
      continue;
    }
    if (args?.[1] !== undefined && last && current.length === 0) {
      steps[steps.length - 1] = { text: last.text, args: JSON.parse(args[1]) as (string | null)[] };
      continue;
    }
    if (current.length === 0 && line.trim() === "") continue;
    current.push(line);
    if (line.trimEnd().endsWith(";")) {
      steps.push({ text: unescaped(current.join("\n")) });
      current = [];
    }
  }
  if (current.some((l) => l.trim() !== "")) steps.push({ text: unescaped(current.join("\n")) });
  return steps;
}

/** `\u{…}` stands for a character that an editor would spoil. */
const unescaped = (text: string): string =>
  text.replace(/\\u\{([0-9a-fA-F]+)\}/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)));
