// `policies:` of gw.yaml: a folder or a bundle, a shadow beside it, and who may roll back
import { join } from "node:path";
import { limits } from "../../engine/limits.ts";
import type { ConfigReader, Path } from "../config-reader.ts";
import { durationMs, durationSchema, keysIn, secretOf, secretSchema } from "../config-schema.ts";
import { z } from "../schema.ts";
import { type BundleLocation, fetcherOf } from "./fetch.ts";
import type { TrustedKey } from "./policy-bundle.ts";
import { signatureAlgorithms } from "./signature.ts";

export type PolicySourceConfig =
  | { readonly kind: "folder"; readonly path: string }
  | {
      readonly kind: "bundle";
      readonly location: BundleLocation;
      readonly trusted: TrustedKey | undefined;
      readonly pollMs: number;
      readonly acceptsOlder: boolean;
      /** Its own tests must pass before it is in force. */
      readonly isTested: boolean;
      /** So far back it must permit and reveal no more of what was recorded; undefined: nobody looks. */
      readonly replayMs?: number;
    };

export type ShadowConfig = {
  readonly source: PolicySourceConfig;
  /** Names of connections; undefined: all. */
  readonly connections: readonly string[] | undefined;
  /** Of the principals, from 0 to 1: the same ones each time. */
  readonly share: number;
};

export const keySchema = z.strictObject({ key: z.string().min(1), algorithm: z.enum(signatureAlgorithms) });

const s3Schema = z.strictObject({
  bucket: z.string().min(1),
  key: z.string().min(1),
  region: z.string().min(1).default("us-east-1"),
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  access_key_id: secretSchema.optional(),
  secret_access_key: secretSchema.optional(),
});
const bundleSchema = z.strictObject({
  file: z.string().min(1).optional(),
  url: z.url({ protocol: /^https?$/ }).optional(),
  oci: z
    .string()
    .regex(
      /^(?:https?:\/\/)?[\w.-]+(?::\d+)?\/[\w./-]+(?::[\w.-]+|@sha256:[0-9a-f]{64})$/,
      "write `registry/repository:tag`",
    )
    .optional(),
  s3: s3Schema.optional(),
  token: secretSchema.optional(),
  user: z.string().min(1).optional(),
  password: secretSchema.optional(),
  ca: z.string().optional(),
  wait: durationSchema.optional(),
  poll: durationSchema.optional(),
  signed_by: keySchema.optional(),
  accept_older: z.boolean().default(false),
  test: z.boolean().default(true),
  replay: durationSchema.optional(),
});
const sourceKeys = { path: z.string().min(1).optional(), bundle: bundleSchema.optional() };

export const shadowSchema = z.strictObject({
  ...sourceKeys,
  connections: z.array(z.string()).min(1).optional(),
  share: z.number().gt(0).max(1).default(1),
});
export const policiesKeys = {
  ...sourceKeys,
  /** Where bundles that were in force are kept. */
  state: z.string().min(1).optional(),
  operators: z.array(z.string().min(1)).default([]),
  shadow: shadowSchema.optional(),
};
export const bundleKeys: readonly string[] = [bundleSchema, s3Schema, shadowSchema, keySchema].flatMap(keysIn);

type Source = { readonly path?: string | undefined; readonly bundle?: z.infer<typeof bundleSchema> | undefined };

export function buildSource(parsed: Source, path: Path, at: ConfigReader): PolicySourceConfig {
  const { bundle } = parsed;
  if ((parsed.path === undefined) === (bundle === undefined)) {
    at.complain(path, "policies come from either a `path` or a `bundle`");
  }
  if (bundle === undefined) return { kind: "folder", path: at.path(parsed.path ?? ".") };
  return {
    kind: "bundle",
    location: buildLocation(bundle, [...path, "bundle"], at),
    trusted:
      bundle.signed_by === undefined
        ? undefined
        : {
            key: at.file(bundle.signed_by.key, [...path, "bundle", "signed_by", "key"]),
            algorithm: bundle.signed_by.algorithm,
          },
    pollMs: bundle.poll === undefined ? limits.bundlePollMs : durationMs(bundle.poll),
    acceptsOlder: bundle.accept_older,
    isTested: bundle.test,
    ...(bundle.replay === undefined ? {} : { replayMs: durationMs(bundle.replay) }),
  };
}

function buildLocation(bundle: z.infer<typeof bundleSchema>, path: Path, at: ConfigReader): BundleLocation {
  const given = [bundle.file, bundle.url, bundle.oci, bundle.s3].filter((x) => x !== undefined).length;
  if (given !== 1) at.complain(path, "a bundle comes from exactly one of `file`, `url`, `oci`, `s3`");
  const trust = { ca: bundle.ca === undefined ? undefined : at.file(bundle.ca, [...path, "ca"]) };
  const password = secretOf(bundle.password, [...path, "password"], at);
  if ((bundle.user === undefined) !== (password === undefined))
    at.complain(path, "`user` and `password` belong together");
  if (bundle.oci !== undefined) {
    const reference = ociReference(bundle.oci);
    if (isInClear(reference.registry) && bundle.signed_by === undefined) at.complain([...path, "oci"], inClear);
    const credentials =
      bundle.user === undefined || password === undefined ? undefined : { user: bundle.user, password };
    return { kind: "oci", ...reference, credentials, trust };
  }
  if (bundle.s3 !== undefined) {
    const { bucket, key, region, endpoint } = bundle.s3;
    const accessKeyId = secretOf(bundle.s3.access_key_id, [...path, "s3", "access_key_id"], at);
    const secretAccessKey = secretOf(bundle.s3.secret_access_key, [...path, "s3", "secret_access_key"], at);
    if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
      at.complain([...path, "s3"], "`access_key_id` and `secret_access_key` belong together");
    }
    if (endpoint !== undefined && isInClear(endpoint) && bundle.signed_by === undefined) {
      at.complain([...path, "s3", "endpoint"], inClear);
    }
    const credentials =
      accessKeyId === undefined || secretAccessKey === undefined ? undefined : { accessKeyId, secretAccessKey };
    return { kind: "s3", bucket, key, region, endpoint, credentials };
  }
  if (bundle.url !== undefined) {
    if (isInClear(bundle.url) && bundle.signed_by === undefined) at.complain([...path, "url"], inClear);
    const token = secretOf(bundle.token, [...path, "token"], at);
    return {
      kind: "http",
      url: bundle.url,
      token,
      waitMs: bundle.wait === undefined ? 0 : durationMs(bundle.wait),
      trust,
    };
  }
  return { kind: "file", path: at.path(bundle.file ?? "") };
}

const inClear = "a bundle that travels in clear must be `signed_by` a key: use https, or sign it";

/** Another host, without TLS. */
function isInClear(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !/^(?:127\.|localhost$|\[::1\]$)/.test(hostname);
}

function ociReference(text: string): {
  readonly registry: string;
  readonly repository: string;
  readonly reference: string;
} {
  const whole = /^https?:\/\//.test(text) ? text : `https://${text}`;
  const slash = whole.indexOf("/", whole.indexOf("//") + 2);
  const path = whole.slice(slash + 1);
  const cut = path.includes("@") ? path.indexOf("@") : path.lastIndexOf(":");
  return { registry: whole.slice(0, slash), repository: path.slice(0, cut), reference: path.slice(cut + 1) };
}

export function buildShadow(
  parsed: z.infer<typeof shadowSchema>,
  names: ReadonlySet<string>,
  path: Path,
  at: ConfigReader,
): ShadowConfig {
  parsed.connections?.forEach((name, i) => {
    if (!names.has(name)) at.complain([...path, "connections", i], `there is no connection \`${name}\``);
  });
  return { source: buildSource(parsed, path, at), connections: parsed.connections, share: parsed.share };
}

export const defaultState = (recordingDirectory: string): string => join(recordingDirectory, "bundles");

/** For people, without credentials. */
export const describeSource = (source: PolicySourceConfig): string =>
  source.kind === "folder" ? source.path : fetcherOf(source.location).name;
