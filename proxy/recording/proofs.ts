// recording + checkpoints -> what can be proved to somebody who has neither
import { basename, resolve } from "node:path";
import {
  consistencyPath,
  type Hash,
  inclusionPath,
  leafHash,
  rootsOf,
  verifyConsistency,
  verifyInclusion,
} from "../../engine/evidence/merkle.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { z } from "../schema.ts";
import {
  type Checkpoint,
  type CheckpointKeys,
  hashOfCheckpoint,
  keyIdOf,
  openCheckpoint,
  openSigned,
} from "./checkpoints.ts";
import { checkPrune, frontierOf, goneOf, keptFrom } from "./prunes.ts";
import { linesOf } from "./read.ts";

export type CheckpointFault = {
  /** From 1, in the order of the file. 0: it is about what was pruned. */
  readonly checkpoint: number;
  readonly why: string;
};
export type CheckedCheckpoints = {
  readonly checkpoints: number;
  /** Lines that the last good one covers. */
  readonly covered: number;
  /** Checkpoints that cover nothing but lines that are gone, on record: they can't be held against anything. */
  readonly pruned: number;
  readonly faults: readonly CheckpointFault[];
};

/**
 * Holds the recording against checkpoints, its own or copies from elsewhere. With several `keys`
 * one may follow another; what was replaced doesn't sign any more.
 */
export async function checkCheckpoints(
  directory: string,
  lines: readonly string[],
  keys: CheckpointKeys,
): Promise<CheckedCheckpoints> {
  const faults: CheckpointFault[] = [];
  // Workers sign with one key: a folder of one in the place of another's would hold in itself.
  const [worker] = /^worker-\d+$/.exec(basename(resolve(directory))) ?? [];
  const bySize = new Map<number, { readonly number: number; readonly checkpoint: Checkpoint }[]>();
  let previous: { readonly line: string; readonly size: number } | undefined;
  let signer: string | undefined;
  const replaced = new Set<string>();
  for (const [i, line] of lines.entries()) {
    const opened = await openSigned(line, keys);
    if (!opened.ok) {
      faults.push({ checkpoint: i + 1, why: opened.error });
      previous = undefined;
      continue;
    }
    const { checkpoint, key } = opened.value;
    if (replaced.has(key)) {
      faults.push({ checkpoint: i + 1, why: `it is signed by the key ${keyIdOf(key)}, which was replaced before` });
    }
    if (signer !== undefined && signer !== key) replaced.add(signer);
    signer = key;
    if (worker !== undefined && !checkpoint.node.endsWith(`/${worker}`)) {
      faults.push({ checkpoint: i + 1, why: `it is of \`${checkpoint.node}\`: another chain's` });
    }
    if (previous !== undefined && checkpoint.previous !== hashOfCheckpoint(previous.line)) {
      faults.push({ checkpoint: i + 1, why: "it doesn't follow the one before: checkpoints are missing or moved" });
    }
    if (i === 0 && checkpoint.previous !== undefined) {
      faults.push({ checkpoint: 1, why: "it follows one that isn't here: checkpoints are missing" });
    }
    if (previous !== undefined && checkpoint.size < previous.size) {
      faults.push({ checkpoint: i + 1, why: "it covers less than the one before" });
    }
    previous = { line, size: checkpoint.size };
    bySize.set(checkpoint.size, [...(bySize.get(checkpoint.size) ?? []), { number: i + 1, checkpoint }]);
  }
  const kept = keptFrom(directory);
  const frontier = frontierOf(kept);
  if (kept.kind === "pruned") {
    const signed = await checkPrune(kept.record, keys);
    if (!signed.ok) faults.push({ checkpoint: 0, why: signed.error });
  }
  let pruned = 0;
  for (const [size, gone] of bySize) {
    if (size >= frontier.size) continue;
    pruned += gone.length;
    bySize.delete(size);
  }
  let covered = 0;
  const compare = (): void => {
    for (const { number, checkpoint } of bySize.get(frontier.size) ?? []) {
      if (frontier.root().toString("hex") === checkpoint.root) covered = frontier.size;
      else faults.push({ checkpoint: number, why: `the first ${checkpoint.size} lines aren't those that it covers` });
    }
    bySize.delete(frontier.size);
  };
  compare();
  for await (const line of linesOf(directory)) {
    if (line.isTorn) break;
    frontier.append(leafHash(line.text));
    compare();
  }
  for (const [size, beyond] of bySize) {
    for (const { number } of beyond) {
      faults.push({ checkpoint: number, why: `it covers ${size} lines, of which ${frontier.size} are left` });
    }
  }
  return { checkpoints: lines.length, covered, pruned, faults: faults.sort((a, b) => a.checkpoint - b.checkpoint) };
}

const hexes = z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(128);
const proofSchema = z.discriminatedUnion("gatewright", [
  z.strictObject({
    gatewright: z.literal("inclusion-proof/1"),
    checkpoint: z.string(),
    lines: z.array(z.strictObject({ index: z.int().min(0), line: z.string(), path: hexes })).min(1),
  }),
  z.strictObject({
    gatewright: z.literal("consistency-proof/1"),
    first: z.string(),
    second: z.string(),
    path: hexes,
  }),
]);
/** As it lies in a file. `index`: of the line, from 0. */
export type Proof = z.infer<typeof proofSchema>;

/** That the lines which name `id` are in the recording that a checkpoint covers. The error is one sentence. */
export async function proveInclusion(
  directory: string,
  id: string,
  checkpoints: readonly string[],
  keys: CheckpointKeys,
): Promise<Result<Proof, string>> {
  const { leaves, found, gone } = await leavesOf(directory, id);
  if (found.length === 0) return err(`no line of the recording names \`${id}\``);
  const last = Math.max(...found.map(({ index }) => index));
  for (const line of checkpoints) {
    const opened = await openCheckpoint(line, keys);
    if (!opened.ok || opened.value.size <= last) continue;
    const { size, root } = opened.value;
    const rootOf = rootsOf(leaves.slice(0, size - gone.size), gone);
    if (size > gone.size + leaves.length || rootOf(0, size).toString("hex") !== root) {
      return err("the recording isn't what its checkpoints cover: `gw audit verify` says where");
    }
    const lines = found.map(({ index, line: text }) => ({
      index,
      line: text,
      path: inclusionPath(rootOf, index, size).map(hexOf),
    }));
    return ok({ gatewright: "inclusion-proof/1", checkpoint: line, lines });
  }
  return err("no checkpoint covers it yet: they are made at intervals, and when the gateway ends");
}

/** That a checkpoint continues an earlier one: nothing of what that covered was changed or taken away. */
export async function proveConsistency(
  directory: string,
  firstLine: string,
  secondLine: string,
  keys: CheckpointKeys,
): Promise<Result<Proof, string>> {
  const [first, second] = [await openCheckpoint(firstLine, keys), await openCheckpoint(secondLine, keys)];
  if (!first.ok) return err(`the earlier checkpoint can't be used: ${first.error}`);
  if (!second.ok) return err(`the later checkpoint can't be used: ${second.error}`);
  const { leaves, gone } = await leavesOf(directory, undefined);
  if (first.value.size === 0 || first.value.size > second.value.size)
    return err("the first checkpoint isn't the earlier one");
  if (second.value.size > gone.size + leaves.length) return err("lines of the recording were cut off");
  if (first.value.size < gone.size) return err("what the earlier checkpoint covers was pruned: take a newer one");
  const rootOf = rootsOf(leaves.slice(0, second.value.size - gone.size), gone);
  const [before, now] = [rootOf(0, first.value.size), rootOf(0, second.value.size)].map(hexOf);
  if (before !== first.value.root) return err("the recording isn't what the earlier checkpoint covers");
  if (now !== second.value.root) return err("the recording isn't what the later checkpoint covers");
  const path = consistencyPath(rootOf, first.value.size, second.value.size).map(hexOf);
  return ok({ gatewright: "consistency-proof/1", first: firstLine, second: secondLine, path });
}

export type CheckedProof =
  | { readonly kind: "inclusion"; readonly checkpoint: Checkpoint; readonly lines: readonly string[] }
  | { readonly kind: "consistency"; readonly first: Checkpoint; readonly second: Checkpoint };

/** Needs the proof and the key, nothing else. The error says what doesn't hold. */
export async function checkProof(text: string, keys: CheckpointKeys): Promise<Result<CheckedProof, string>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return err("it is not JSON");
  }
  const parsed = proofSchema.safeParse(json);
  if (!parsed.success) return err("it is no proof");
  const proof = parsed.data;
  if (proof.gatewright === "consistency-proof/1") {
    const [first, second] = [await openCheckpoint(proof.first, keys), await openCheckpoint(proof.second, keys)];
    if (!first.ok) return err(`its earlier checkpoint: ${first.error}`);
    if (!second.ok) return err(`its later checkpoint: ${second.error}`);
    const holds = verifyConsistency(treeOf(first.value), treeOf(second.value), proof.path.map(bytesOf));
    return holds
      ? ok({ kind: "consistency", first: first.value, second: second.value })
      : err("the later checkpoint does not continue the earlier one");
  }
  const checkpoint = await openCheckpoint(proof.checkpoint, keys);
  if (!checkpoint.ok) return err(`its checkpoint: ${checkpoint.error}`);
  const { size, root } = treeOf(checkpoint.value);
  for (const { index, line, path } of proof.lines) {
    if (!verifyInclusion(leafHash(Buffer.from(line)), index, size, path.map(bytesOf), root)) {
      return err(`line ${index + 1} is not in the recording that the checkpoint covers`);
    }
  }
  return ok({ kind: "inclusion", checkpoint: checkpoint.value, lines: proof.lines.map(({ line }) => line) });
}

async function leavesOf(directory: string, id: string | undefined) {
  const gone = goneOf(keptFrom(directory));
  const leaves: Hash[] = [];
  const found: { readonly index: number; readonly line: string }[] = [];
  const needle = id === undefined ? undefined : Buffer.from(`"id":${JSON.stringify(id)}`);
  for await (const { text, isTorn } of linesOf(directory)) {
    if (isTorn) break;
    if (needle !== undefined && text.includes(needle))
      found.push({ index: gone.size + leaves.length, line: text.toString("utf8") });
    leaves.push(leafHash(text));
  }
  return { leaves, found, gone };
}

const hexOf = (hash: Hash): string => hash.toString("hex");
const bytesOf = (hex: string): Hash => Buffer.from(hex, "hex");
const treeOf = ({ size, root }: Checkpoint) => ({ size, root: bytesOf(root) });
