// Legal holds: lines of holds.jsonl, each bound to the one before. While one is in force, what it is about is not pruned.
import { createHash } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { limits } from "../../engine/limits.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { z } from "../schema.ts";

export const holdsName = "holds.jsonl";

export type HoldScope =
  | { readonly scope: "session" | "person"; readonly subject: string }
  | { readonly scope: "all"; readonly subject?: undefined };

const lineSchema = z.strictObject({
  id: z.string(),
  state: z.enum(["added", "released"]),
  scope: z.enum(["session", "person", "all"]),
  subject: z.string().min(1).max(1_024).optional(),
  /** It ends by itself then. */
  until: z.iso.datetime().optional(),
  reason: z.string().min(1).max(2_000),
  by: z.string().min(1).max(256),
  at: z.iso.datetime(),
  prev: z.string().regex(/^[0-9a-f]{64}$/),
});
export type HoldLine = z.infer<typeof lineSchema>;

export type Holds = { readonly lines: readonly HoldLine[]; readonly head: string };

const none = "0".repeat(64);

/**
 * Every line, in order. @throws GatewayError `recording-damaged` where one was changed or taken away from the middle: then nothing
 * may be pruned, as nobody knows what is held
 */
export function readHolds(directory: string): Holds {
  const path = join(directory, holdsName);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (causeCode(error) === "ENOENT") return { lines: [], head: none };
    throw damaged(path, causeCode(error));
  }
  const lines: HoldLine[] = [];
  let head = none;
  for (const [i, line] of text.split("\n").entries()) {
    if (line === "" && i === text.split("\n").length - 1) continue;
    const parsed = parseLine(line);
    if (parsed === undefined || parsed.prev !== head) throw damaged(path, `line ${i + 1}`);
    lines.push(parsed);
    head = createHash("sha256").update(line).digest("hex");
  }
  return { lines, head };
}

function parseLine(line: string): HoldLine | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

const damaged = (path: string, where: string): GatewayError =>
  new GatewayError(
    "recording-damaged",
    `\`${path}\` can't be relied upon: ${where}`,
    "nothing is pruned until it is put right: bring it back from a copy",
  );

/** Added, not released, not past their time. */
export function holdsInForce({ lines }: Holds, nowMs: number): readonly HoldLine[] {
  const released = new Set(lines.filter(({ state }) => state === "released").map(({ id }) => id));
  return lines.filter(
    ({ state, id, until }) =>
      state === "added" && !released.has(id) && (until === undefined || Date.parse(until) > nowMs),
  );
}

/** Durable when it returns. @throws GatewayError as `readHolds`, or `config-invalid` over `holdsMax` */
export function appendHold(directory: string, line: Omit<HoldLine, "prev">): HoldLine {
  const { lines, head } = readHolds(directory);
  if (lines.length >= limits.holdsMax) {
    throw new GatewayError("config-invalid", `there are ${lines.length} lines of holds already`, "use wider ones");
  }
  const added = lineSchema.parse({ ...line, prev: head });
  appendFileSync(join(directory, holdsName), `${JSON.stringify(added)}\n`, { mode: 0o640, flush: true });
  return added;
}

export type HoldEvent = Extract<SessionEvent, { readonly type: "hold" }> & Pick<SessionEvent, "atMs" | "session">;

export const holdEvent = (line: HoldLine): HoldEvent => {
  const { id, state, scope, subject, until, by, reason, at } = line;
  return { atMs: Date.parse(at), session: "", type: "hold", id, state, scope, subject, until, by, reason };
};
