// What was taken away from the beginning of a chain: records of it -> where the rest begins, and who says so
import { appendFileSync, closeSync, fsyncSync, openSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Frontier, type Gone } from "../../engine/evidence/merkle.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { PruneBoundary, SessionEvent } from "../../engine/model/session-event.ts";
import { causeCode } from "../errors.ts";
import { signCompact, verifyCompact } from "../identity/jose.ts";
import { z } from "../schema.ts";
import { type ChainHead, chainStart } from "./chain.ts";
import { type CheckpointKeys, keyIdOf, keysOf, publicKeyOf } from "./checkpoints.ts";
import { segmentsOf } from "./segments.ts";

export type PruneEvent = Extract<SessionEvent, { readonly type: "prune" }>;

/** Copies of the records, to be found without reading the chain. What they say holds only as far as the chain says the same. */
export const prunesName = "prunes.jsonl";

const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const boundarySchema = z.strictObject({
  segment: z.string().regex(/^\d{8}\.jsonl$/),
  size: z.int().min(1),
  hash: hex64,
  roots: z.array(hex64).min(1).max(53),
});
const eventSchema = z.object({
  type: z.literal("prune"),
  id: z.string(),
  node: z.string(),
  boundaries: z.array(boundarySchema).min(1),
  keys: z.array(z.strictObject({ id: z.string(), recipient: z.string(), wrapped: z.string() })),
  signed: z.string().optional(),
});
export type PruneRecord = z.infer<typeof eventSchema>;

/** Undefined: it is no record of pruning. */
export function pruneRecordOf(text: string): PruneRecord | undefined {
  try {
    return eventSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** What stands before the first line that is left. */
export type KeptFrom =
  | { readonly kind: "start" }
  | { readonly kind: "pruned"; readonly boundary: PruneBoundary; readonly record: PruneRecord }
  /** Segments are gone and no record says so. */
  | { readonly kind: "unexplained" };

export function keptFrom(directory: string): KeptFrom {
  const [first] = segmentsOf(directory);
  const number = first === undefined ? 1 : Number(basename(first).slice(0, 8));
  if (number === 1) return { kind: "start" };
  for (const record of pruneRecords(directory).toReversed()) {
    const boundary = record.boundaries.find(({ segment }) => Number(segment.slice(0, 8)) === number - 1);
    if (boundary !== undefined && fits(boundary)) return { kind: "pruned", boundary, record };
  }
  return { kind: "unexplained" };
}

/** A frontier has a root for each full subtree. */
function fits({ size, roots }: PruneBoundary): boolean {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count === roots.length;
}

/** Oldest first. A line that can't be read is none. */
export function pruneRecords(directory: string): readonly PruneRecord[] {
  let text: string;
  try {
    text = readFileSync(join(directory, prunesName), "utf8");
  } catch (error) {
    if (causeCode(error) === "ENOENT") return [];
    throw error;
  }
  return text.split("\n").flatMap((line) => pruneRecordOf(line) ?? []);
}

/** Durable when it returns. */
export function keepPruneRecord(directory: string, event: PruneEvent): void {
  const path = join(directory, prunesName);
  appendFileSync(path, `${JSON.stringify(event)}\n`, { mode: 0o640, flush: true });
  const folder = openSync(directory, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** The last line that is gone. */
export const headBefore = (kept: KeptFrom): ChainHead | undefined =>
  kept.kind === "pruned"
    ? { seq: kept.boundary.size, hash: kept.boundary.hash }
    : kept.kind === "start"
      ? chainStart
      : undefined;

export const goneOf = (kept: KeptFrom): Gone =>
  kept.kind === "pruned"
    ? { size: kept.boundary.size, roots: kept.boundary.roots.map((root) => Buffer.from(root, "hex")) }
    : { size: 0, roots: [] };

export function frontierOf(kept: KeptFrom): Frontier {
  const { size, roots } = goneOf(kept);
  return new Frontier(size, roots);
}

const payloadSchema = z.strictObject({
  gatewright: z.literal("prune/1"),
  node: z.string(),
  id: z.string(),
  boundaries: z.array(boundarySchema),
});

/** By the key of the checkpoints: PKCS #8 PEM. */
export function signPrune(
  { node, id, boundaries }: Pick<PruneEvent, "node" | "id" | "boundaries">,
  key: string,
): Promise<Result<string, string>> {
  const payload = { gatewright: "prune/1", node, id, boundaries };
  return signCompact(new TextEncoder().encode(JSON.stringify(payload)), key, "EdDSA", keyIdOf(publicKeyOf(key)));
}

/** That whoever has the key of the checkpoints took away what the record says. */
export async function checkPrune(record: PruneRecord, keys: CheckpointKeys): Promise<Result<undefined, string>> {
  if (record.signed === undefined) return err("the record of what was pruned isn't signed");
  let payload: Awaited<ReturnType<typeof verifyCompact>> | undefined;
  for (const key of keysOf(keys)) {
    if (payload?.ok !== true) payload = await verifyCompact(record.signed, key, "EdDSA");
  }
  if (payload?.ok !== true) return err("the record of what was pruned isn't signed by this key");
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload.value));
  } catch {
    return err("what is signed is no record of pruning");
  }
  const { node, id, boundaries } = record;
  const said = payloadSchema.safeParse(json);
  if (!said.success) return err("what is signed is no record of pruning");
  const isSame =
    JSON.stringify([said.data.node, said.data.id, said.data.boundaries]) === JSON.stringify([node, id, boundaries]);
  return isSame ? ok(undefined) : err("the record of what was pruned isn't the one that was signed");
}
