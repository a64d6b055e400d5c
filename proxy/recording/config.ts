// `recording:` of gw.yaml
import { createPrivateKey } from "node:crypto";
import { limits } from "../../engine/limits.ts";
import type { ConfigReader, Path } from "../config-reader.ts";
import { durationMs, durationSchema, keysIn, secretOf, secretSchema } from "../config-schema.ts";
import { recipientFault } from "../identity/jose.ts";
import { z } from "../schema.ts";
import { factNameFault } from "./caller-facts.ts";
import type { CheckpointSinkConfig } from "./checkpoint-sinks.ts";
import type { ContentConfig, FactsConfig, ResultsConfig } from "./content.ts";
import type { Retention } from "./prune.ts";

export type CheckpointConfig = {
  /** Ed25519, PKCS #8 PEM. */
  readonly key: string;
  readonly everyMs: number;
  readonly sinks: readonly CheckpointSinkConfig[];
};

const sinkSchema = z.strictObject({
  file: z.string().min(1).optional(),
  webhook: z.url({ protocol: /^https?$/ }).optional(),
  token: secretSchema.optional(),
  s3: z
    .strictObject({
      bucket: z.string().min(1),
      prefix: z.string().default(""),
      region: z.string().min(1).default("us-east-1"),
      endpoint: z.url({ protocol: /^https?$/ }).optional(),
      access_key_id: secretSchema.optional(),
      secret_access_key: secretSchema.optional(),
      lock_days: z.int().min(1).max(36_500).optional(),
    })
    .optional(),
});
const checkpointsSchema = z.strictObject({
  key: secretSchema,
  every: durationSchema.optional(),
  to: z.array(sinkSchema).default([]),
});

const encryptSchema = z.strictObject({ to: z.string().min(1), statement: z.boolean().default(false) });

const resultsSchema = z.strictObject({
  as: z.enum(["clear", "sealed"]).default("sealed"),
  rows: z.int().min(0).max(10_000).default(limits.recordResultRows),
  bytes: z.int().min(64).max(limits.recordResultBytesMax).default(limits.recordResultBytes),
  connections: z.array(z.string().min(1)).optional(),
});
const callerSchema = z.strictObject({
  as: z.enum(["clear", "sealed"]).default("sealed"),
  facts: z.array(z.string().min(1)).max(limits.recordFactsMax),
});

const retentionSchema = z.strictObject({
  age: z
    .string()
    .regex(/^\d{1,6}[hd]$/, "write an age like `365d` or `12h`")
    .optional(),
  size: z
    .string()
    .regex(/^\d{1,9}(?:MiB|GiB|TiB)$/, "write a size like `200GiB`")
    .optional(),
  at_least: z
    .string()
    .regex(/^\d{1,6}[hd]$/, "write an age like `7d`")
    .default("7d"),
});

export const recordingSchema = z.strictObject({
  retention: retentionSchema.optional(),
  results: resultsSchema.optional(),
  caller: callerSchema.optional(),
  parameters: z.enum(["count", "clear"]).default("count"),
  encrypt: encryptSchema.optional(),
  directory: z.string().min(1),
  durability: z.enum(["sync", "batched", "async"]).default("batched"),
  checkpoints: checkpointsSchema.optional(),
});
export const recordingKeys: readonly string[] = [
  recordingSchema,
  encryptSchema,
  resultsSchema,
  callerSchema,
  retentionSchema,
  checkpointsSchema,
  sinkSchema,
  sinkSchema.shape.s3.unwrap(),
].flatMap(keysIn);

type Parsed = z.infer<typeof recordingSchema>;

/** Undefined: bind values are counted, and nothing is recorded of results and of who asks beyond `principal`. */
export function buildContent(
  { parameters, encrypt, results, caller }: Pick<Parsed, "parameters" | "encrypt" | "results" | "caller">,
  connections: readonly string[],
  path: Path,
  at: ConfigReader,
): ContentConfig | undefined {
  const beside = {
    ...(results === undefined ? {} : { results: buildResults(results, connections, [...path, "results"], at) }),
    ...(caller === undefined ? {} : { facts: buildFacts(caller, [...path, "caller"], at) }),
  };
  if (encrypt === undefined) {
    for (const [name, part] of Object.entries({ results, caller })) {
      if (part?.as === "sealed") {
        at.complain([...path, name], "there is nobody to seal it for: add `encrypt: { to: … }`, or say `as: clear`");
      }
    }
    if (parameters === "clear") return { kind: "clear", ...beside };
    return results === undefined && caller === undefined ? undefined : { kind: "clear", hasNoValues: true, ...beside };
  }
  if (parameters === "clear") at.complain([...path, "parameters"], "values are either in clear or encrypted, not both");
  const to = at.file(encrypt.to, [...path, "encrypt", "to"]);
  const fault = to === "" ? undefined : recipientFault(to);
  if (fault !== undefined) at.complain([...path, "encrypt", "to"], fault);
  return { kind: "sealed", to, isStatementSealed: encrypt.statement, ...beside };
}

function buildResults(
  { as, rows, bytes, connections }: z.infer<typeof resultsSchema>,
  known: readonly string[],
  path: Path,
  at: ConfigReader,
): ResultsConfig {
  for (const [i, name] of (connections ?? []).entries()) {
    if (!known.includes(name)) at.complain([...path, "connections", i], `there is no connection \`${name}\``);
  }
  return {
    isSealed: as === "sealed",
    rowsMax: rows,
    bytesMax: bytes,
    connections: connections === undefined ? undefined : new Set(connections),
  };
}

function buildFacts({ as, facts }: z.infer<typeof callerSchema>, path: Path, at: ConfigReader): FactsConfig {
  for (const [i, name] of facts.entries()) {
    const fault = factNameFault(name);
    if (fault !== undefined) at.complain([...path, "facts", i], fault);
  }
  return { isSealed: as === "sealed", names: facts };
}

/** What is past it goes; undefined: everything stays. */
export function buildRetention(
  { age, size, at_least }: z.infer<typeof retentionSchema>,
  path: Path,
  at: ConfigReader,
): Retention {
  if (age === undefined && size === undefined)
    at.complain(path, "say how long what is recorded stays: `age` or `size`");
  const retention = retentionOf({ age, size, atLeast: at_least });
  if (retention.ageMs !== undefined && retention.ageMs < retention.atLeastMs) {
    at.complain([...path, "age"], "`age` is less than `at_least`, which is 7d where nothing is said");
  }
  return retention;
}

/** Spelled as the schema has them. */
export const retentionOf = ({
  age,
  size,
  atLeast,
}: {
  readonly age: string | undefined;
  readonly size: string | undefined;
  readonly atLeast: string;
}): Retention => ({
  ageMs: age === undefined ? undefined : ageMs(age),
  bytesMax: size === undefined ? undefined : Number.parseInt(size, 10) * (sizes[size.replace(/^\d+/, "")] ?? 1),
  atLeastMs: ageMs(atLeast),
});

const sizes: Readonly<Record<string, number>> = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
const ageMs = (text: string): number =>
  Number.parseInt(text, 10) * (text.endsWith("d") ? limits.dayMs : limits.dayMs / 24);

export function buildCheckpoints(
  parsed: z.infer<typeof checkpointsSchema>,
  path: Path,
  at: ConfigReader,
): CheckpointConfig {
  const key = at.secretNow(parsed.key, [...path, "key"]) ?? "";
  if (key !== "" && !isEd25519(key)) {
    at.complain([...path, "key"], "this is no Ed25519 key: `openssl genpkey -algorithm ed25519` makes one");
  }
  return {
    key,
    everyMs: parsed.every === undefined ? limits.checkpointEveryMs : durationMs(parsed.every),
    sinks: parsed.to.map((sink, i) => buildSink(sink, [...path, "to", i], at)),
  };
}

function buildSink(parsed: z.infer<typeof sinkSchema>, path: Path, at: ConfigReader): CheckpointSinkConfig {
  const given = [parsed.file, parsed.webhook, parsed.s3].filter((x) => x !== undefined).length;
  if (given !== 1) at.complain(path, "a copy goes to exactly one of `file`, `webhook`, `s3`");
  if (parsed.s3 !== undefined) {
    const { bucket, prefix, region, endpoint, lock_days } = parsed.s3;
    const accessKeyId = secretOf(parsed.s3.access_key_id, [...path, "s3", "access_key_id"], at);
    const secretAccessKey = secretOf(parsed.s3.secret_access_key, [...path, "s3", "secret_access_key"], at);
    const credentials =
      accessKeyId === undefined || secretAccessKey === undefined ? undefined : { accessKeyId, secretAccessKey };
    return { kind: "s3", target: { bucket, region, endpoint, credentials }, prefix, lockDays: lock_days };
  }
  if (parsed.webhook !== undefined) {
    if (parsed.token !== undefined && !isPrivate(parsed.webhook)) {
      at.complain([...path, "webhook"], "a token would travel in clear: use https");
    }
    return { kind: "webhook", url: parsed.webhook, token: secretOf(parsed.token, [...path, "token"], at) };
  }
  return { kind: "file", path: at.path(parsed.file ?? "") };
}

/** Encrypted, or on this machine. */
function isPrivate(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" || /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

function isEd25519(key: string): boolean {
  try {
    return createPrivateKey(key).asymmetricKeyType === "ed25519";
  } catch {
    return false;
  }
}
