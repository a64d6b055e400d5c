// Which checkpoint each place got last: what waited at a crash is sent at the next start. No evidence, may be deleted.
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "../schema.ts";
import { hashOfCheckpoint } from "./checkpoints.ts";

export const sentName = "checkpoints.sent.json";
const marksSchema = z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/));

/** Name of a place -> SHA-256 of the line that it got last. */
export type SentMarks = Readonly<Record<string, string>>;

/** Empty where there are none, or they can't be read: everything is sent again then. */
export async function readSentMarks(directory: string): Promise<SentMarks> {
  try {
    return marksSchema.parse(JSON.parse(await readFile(join(directory, sentName), "utf8")));
  } catch {
    return {};
  }
}

/** @throws the system's error */
export async function writeSentMarks(directory: string, marks: SentMarks): Promise<void> {
  const path = join(directory, sentName);
  await writeFile(`${path}.tmp`, JSON.stringify(marks), { mode: 0o640 });
  await rename(`${path}.tmp`, path);
}

/** What stands behind the one that was sent last; all of them where that isn't among them. */
export function unsentOf(lines: readonly string[], mark: string | undefined): readonly string[] {
  return lines.slice(lines.findLastIndex((line) => hashOfCheckpoint(line) === mark) + 1);
}

/** Two places may have one name: webhooks of one origin. */
export function sentKeys(names: readonly string[]): readonly string[] {
  return names.map((name, i) => `${name}#${names.slice(0, i).filter((other) => other === name).length + 1}`);
}
