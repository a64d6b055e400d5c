// corpus rows + twin worlds of one server -> which rows don't behave, each with a reason that a CI log shows whole

import { disguisesOf, secretsOf } from "../support/clinic.ts";
import type { Database } from "../support/twin-databases.ts";
import { type Answer, failureOf, withoutOrder } from "../support/twin-transcript.ts";
import type { TwinWorlds } from "../support/twin-worlds.ts";
import type { CorpusRow } from "./read-corpus.ts";

export type Wrap = "rollback" | "none";
export type RunRow = (database: Database, wrap: Wrap, row: CorpusRow) => Promise<readonly Answer[]>;
type Pair = readonly [a: readonly Answer[], b: readonly Answer[]];

const secrets = [...secretsOf("A"), ...secretsOf("B")].flatMap(disguisesOf);

export const nameOf = (row: CorpusRow): string => `${row.file}: ${row.name}`;

/** Rows that name a version are grammar of that server: an older one can't show that they leak. */
export const isFor = (row: CorpusRow, major: number): boolean => ![...row.flags].some((flag) => Number(flag) > major);

/** What went through that shouldn't have; `undefined` for a row that was stopped. */
export function leakOf(row: CorpusRow, direct: readonly Answer[], [a, b]: Pair): string | undefined {
  const text = JSON.stringify([a, b]);
  const secret = secrets.find((s) => text.includes(s));
  if (secret !== undefined) return "a secret is shown";
  if (JSON.stringify(withoutOrder(a)) !== JSON.stringify(withoutOrder(b))) return "the twins answer differently";
  if (!row.flags.has("acts") || a.some((answer) => failureOf(answer) !== undefined)) return undefined;
  // A read may be let through with another answer: NULL for a size, fewer settings.
  const isRead = a.every((answer) => answer.kind === "answered" && answer.seen[0]?.kind === "fields");
  return isRead && JSON.stringify(a) !== JSON.stringify(direct) ? undefined : "the denied action was done";
}

/** Run direct, the row does what it is about: it acts, or the twins answer differently. */
export const isProved = (row: CorpusRow, [a, b]: Pair): boolean =>
  row.flags.has("acts")
    ? a.every((answer) => failureOf(answer) === undefined)
    : JSON.stringify(a) !== JSON.stringify(b);

/** On both twins; a row with the flag `own` gets copies of its own. */
export async function onBoth(worlds: TwinWorlds, row: CorpusRow, run: RunRow): Promise<Pair> {
  return Promise.all([onOne(worlds, worlds.A, row, run), onOne(worlds, worlds.B, row, run)]);
}

export async function onOne(
  worlds: TwinWorlds,
  database: Database,
  row: CorpusRow,
  run: RunRow,
): Promise<readonly Answer[]> {
  if (!row.flags.has("own")) return run(database, "rollback", row);
  const own = await worlds.databases.copy(database.database);
  try {
    return await run(own, "none", row);
  } finally {
    await worlds.databases.drop(own);
  }
}

/** Rows that leak through `run`, by name. Those that aren't `expected` are printed with both answers. */
export async function leaksThrough(
  worlds: TwinWorlds,
  rows: readonly CorpusRow[],
  direct: ReadonlyMap<CorpusRow, readonly Answer[]>,
  expected: readonly string[],
  run: RunRow,
): Promise<readonly string[]> {
  const open: string[] = [];
  for (const row of rows) {
    let pair: Pair = [[], []];
    let leak: string | undefined;
    try {
      pair = await onBoth(worlds, row, run);
      leak = leakOf(row, direct.get(row) ?? [], pair);
    } catch (error) {
      leak = `throws ${error instanceof Error ? error.stack : String(error)}`;
    }
    if (leak === undefined) {
      if (expected.includes(nameOf(row))) console.log(`stopped, though a leak is expected: ${nameOf(row)}`);
      continue;
    }
    open.push(nameOf(row));
    if (!expected.includes(nameOf(row))) {
      console.log(
        `LEAK ${nameOf(row)}: ${leak}\n${tell("direct", direct.get(row) ?? [])}${tell("A", pair[0])}${tell("B", pair[1])}`,
      );
    }
  }
  return open.sort();
}

const answerCharsMax = 3_000;

/** One line per statement: a CI log is all that there is of a failure that comes once. */
export const tell = (who: string, answers: readonly Answer[]): string =>
  answers.map((answer, i) => `  ${who} ${i + 1}: ${JSON.stringify(answer).slice(0, answerCharsMax)}\n`).join("");

/** Only what both answers are about: settings that the server reports, and where in a text an error lies, are the text's. */
const comparable = (answers: readonly Answer[]): readonly Answer[] =>
  withoutOrder(answers).map((a) =>
    a.kind === "refused"
      ? a
      : {
          ...a,
          seen: a.seen
            .filter((s) => s.kind !== "parameter")
            .map((s) =>
              s.kind === "error" || s.kind === "notice" ? { ...s, parts: { ...s.parts, position: "" } } : s,
            ),
        },
  );

/** Why a harmless row isn't answered as it should be. */
export function faultOf(row: CorpusRow, given: readonly Answer[], wanted: readonly Answer[]): string | undefined {
  const refused = given.find((a) => a.kind === "refused");
  if (refused) return `is refused: ${refused.kind === "refused" ? `${refused.code}: ${refused.message}` : ""}`;
  const at = given.findIndex((a, i) => failureOf(a) !== undefined && failureOf(wanted[i] ?? a) === undefined);
  const failed = given[at];
  if (failed) return `fails: ${JSON.stringify(failed.kind === "answered" ? failed.seen.at(-1) : failed)}`;
  if (row.flags.has("passes")) return undefined;
  const [a, b] = [comparable(given), comparable(wanted)];
  const other = a.findIndex((answer, i) => JSON.stringify(answer) !== JSON.stringify(b[i]));
  return other === -1 ? undefined : `statement ${other + 1} is answered otherwise`;
}

/** Harmless rows that don't pass through `gated` as they do `direct`, by name. Those that aren't `expected` are printed. */
export async function faultsThrough(
  worlds: TwinWorlds,
  rows: readonly CorpusRow[],
  expected: readonly string[],
  direct: RunRow,
  gated: RunRow,
): Promise<readonly string[]> {
  const open: string[] = [];
  for (const row of rows) {
    let [wanted, given]: Pair = [[], []];
    let fault: string | undefined;
    try {
      wanted = await onOne(worlds, row.flags.has("real") ? worlds.A : worlds.M, row, direct);
      given = await onOne(worlds, worlds.A, row, gated);
      fault = faultOf(row, given, wanted);
    } catch (error) {
      fault = `throws ${error instanceof Error ? error.stack : String(error)}`;
    }
    if (fault === undefined) continue;
    open.push(nameOf(row));
    if (!expected.includes(nameOf(row))) {
      console.log(`FAULT ${nameOf(row)}: ${fault}\n${tell("direct", wanted)}${tell("gated", given)}`);
    }
  }
  return open.sort();
}
