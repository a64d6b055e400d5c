// How far a recording had come, signed: a line of checkpoints.jsonl. docs/recording-format.md describes both.
import { createHash, createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { causeCode } from "../errors.ts";
import { signCompact, verifyCompact } from "../identity/jose.ts";
import { z } from "../schema.ts";
import type { ChainHead } from "./chain.ts";

export const checkpointsName = "checkpoints.jsonl";

export type Checkpoint = {
  readonly node: string;
  /** Lines that it covers, from the first one on. */
  readonly size: number;
  /** Root of the Merkle tree over them, 64 hex digits. */
  readonly root: string;
  /** Number and hash of the last of them. */
  readonly head: ChainHead;
  /** ms since the epoch. */
  readonly atMs: number;
  /** SHA-256 of the checkpoint before, as it stands in its line; undefined: there is none. */
  readonly previous: string | undefined;
};

/** Ed25519: who can check must not be able to sign. */
const algorithm = "EdDSA";
const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const payloadSchema = z.strictObject({
  gatewright: z.literal("checkpoint/1"),
  node: z.string(),
  size: z.int().min(0),
  root: hex64,
  head: z.strictObject({ seq: z.int().min(0), hash: hex64 }),
  at: z.iso.datetime(),
  previous: hex64.optional(),
});

/** A compact JWS, one line without its line feed. `key`: PKCS #8 PEM. */
export function signCheckpoint(checkpoint: Checkpoint, key: string): Promise<Result<string, string>> {
  const { node, size, root, head, atMs, previous } = checkpoint;
  const payload = { gatewright: "checkpoint/1", node, size, root, head, at: new Date(atMs).toISOString(), previous };
  return signCompact(new TextEncoder().encode(JSON.stringify(payload)), key, algorithm, keyIdOf(publicKeyOf(key)));
}

/** Public keys that may have signed, SPKI PEM: one, or those that followed each other. */
export type CheckpointKeys = string | readonly string[];
export const keysOf = (keys: CheckpointKeys): readonly string[] => (typeof keys === "string" ? [keys] : keys);

/** The error is one sentence. */
export async function openCheckpoint(line: string, keys: CheckpointKeys): Promise<Result<Checkpoint, string>> {
  const opened = await openSigned(line, keys);
  return opened.ok ? ok(opened.value.checkpoint) : opened;
}

/** `openCheckpoint`, and which of the keys signed it. */
export async function openSigned(
  line: string,
  keys: CheckpointKeys,
): Promise<Result<{ readonly checkpoint: Checkpoint; readonly key: string }, string>> {
  let error = "there is no key to check it with";
  for (const key of keysOf(keys)) {
    const opened = await openByOne(line, key);
    if (opened.ok) return ok({ checkpoint: opened.value, key });
    error = opened.error;
  }
  return err(keysOf(keys).length > 1 ? "the signature is by none of these keys" : error);
}

async function openByOne(line: string, key: string): Promise<Result<Checkpoint, string>> {
  // Base64url has spare bits: the same signature could be spelled in several ways, and a changed byte would pass.
  const isSpelledOnce = line
    .trim()
    .split(".")
    .every((part) => Buffer.from(part, "base64url").toString("base64url") === part);
  if (!isSpelledOnce) return err("the signature is not by this key");
  const payload = await verifyCompact(line.trim(), key, algorithm);
  if (!payload.ok) return payload;
  const parsed = payloadSchema.safeParse(parseJson(payload.value));
  if (!parsed.success) return err("it is signed, but is no checkpoint");
  const { node, size, root, head, at, previous } = parsed.data;
  return ok({ node, size, root, head, atMs: Date.parse(at), previous });
}

/** The lines of a folder's checkpoints, oldest first; [] where there are none. */
export async function checkpointLines(directory: string): Promise<readonly string[]> {
  const text = await readFile(join(directory, checkpointsName), "utf8").catch((error: unknown) => {
    if (causeCode(error) === "ENOENT") return "";
    throw error;
  });
  return text.split("\n").filter((line) => line !== "");
}

export const hashOfCheckpoint = (line: string): string => createHash("sha256").update(line.trim()).digest("hex");

/** SPKI PEM of a private key in PEM. @throws for what isn't one */
export const publicKeyOf = (key: string): string =>
  String(createPublicKey(key).export({ type: "spki", format: "pem" }));

export const keyIdOf = (publicKey: string): string =>
  createHash("sha256")
    .update(createPublicKey(publicKey).export({ type: "spki", format: "der" }))
    .digest("hex")
    .slice(0, 16);

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
