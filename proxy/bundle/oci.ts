// A bundle in an OCI registry, as `oras push` and the `policy` tool put it there: manifest -> one layer -> bytes.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md ; tokens: https://distribution.github.io/distribution/spec/auth/token/
import { createHash } from "node:crypto";
import { limits } from "../../engine/limits.ts";
import { causeCode, GatewayError } from "../errors.ts";
import type { HttpAnswer, HttpGet } from "../http-get.ts";
import { z } from "../schema.ts";
import { type BundleFetcher, unreachable } from "./fetch.ts";

export type OciLocation = {
  /** `https://registry.example`; `http://` for a registry on this host only. */
  readonly registry: string;
  /** `team/policies` */
  readonly repository: string;
  /** A tag, or `sha256:…`. */
  readonly reference: string;
  readonly credentials: { readonly user: string; readonly password: () => Promise<string> } | undefined;
};

const manifestTypes = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
] as const;
const layerTypes: readonly string[] = [
  "application/vnd.oci.image.layer.v1.tar+gzip",
  "application/vnd.openpolicyagent.bundle.layer.v1.tar+gzip",
  "application/vnd.docker.image.rootfs.diff.tar.gzip",
];
const manifestSchema = z.looseObject({
  layers: z.array(z.looseObject({ mediaType: z.string(), digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) })).max(100),
});
const tokenSchema = z.looseObject({ token: z.string().optional(), access_token: z.string().optional() });

export function ociFetcher(location: OciLocation, get: HttpGet): BundleFetcher {
  const { registry, repository, reference } = location;
  const name = `${registry.replace(/^https?:\/\//, "")}/${repository}${reference.startsWith("sha256:") ? "@" : ":"}${reference}`;
  const fail = (why: string): never => {
    throw unreachable(name, why);
  };
  const small = (signal: AbortSignal) => ({
    bytesMax: limits.bundleAnswerBytesMax,
    timeoutMs: limits.bundleFetchMs,
    signal,
  });

  /** What a 401 asks for. A token is for this registry's address only. */
  const authorize = async (refused: HttpAnswer, signal: AbortSignal): Promise<string> => {
    const challenge = refused.headers.get("www-authenticate") ?? "";
    const basic = location.credentials && (await basicOf(location.credentials));
    if (/^basic\b/i.test(challenge)) return basic ?? fail("the registry asks for a user and a password");
    const realm = /\brealm="([^"]+)"/.exec(challenge)?.[1];
    if (!/^bearer\b/i.test(challenge) || realm === undefined || !URL.canParse(realm)) {
      return fail("the registry refuses, and doesn't say how to log in");
    }
    const url = new URL(realm);
    if (url.protocol !== "https:" && new URL(registry).protocol === "https:")
      return fail("its token server is not on https");
    for (const key of ["service", "scope"]) {
      const value = new RegExp(`\\b${key}="([^"]+)"`).exec(challenge)?.[1];
      if (value !== undefined) url.searchParams.set(key, value);
    }
    const answer = await get(url.href, basic === undefined ? {} : { authorization: basic }, small(signal));
    const parsed = answer.status === 200 ? tokenSchema.safeParse(json(answer.body)) : undefined;
    const token = parsed?.data?.token ?? parsed?.data?.access_token;
    return token === undefined ? fail(`its token server answers ${answer.status}`) : `Bearer ${token}`;
  };

  const fetch = async (tag: string | undefined, signal: AbortSignal) => {
    const base = `${registry}/v2/${repository}`;
    const manifestUrl = `${base}/manifests/${reference}`;
    const accept = { accept: manifestTypes.join(", ") };
    let authorization: string | undefined;
    let answer = await get(manifestUrl, accept, small(signal));
    if (answer.status === 401) {
      authorization = await authorize(answer, signal);
      answer = await get(manifestUrl, { ...accept, authorization }, small(signal));
    }
    if (answer.status !== 200) return fail(`its manifest answers ${answer.status}`);
    const digest = `sha256:${createHash("sha256").update(answer.body).digest("hex")}`;
    if (reference.startsWith("sha256:") && reference !== digest)
      return fail("the manifest isn't the one that was asked for");
    if (digest === tag) return { state: "unchanged" as const };
    const layers = manifestSchema
      .safeParse(json(answer.body))
      .data?.layers.filter((l) => layerTypes.includes(l.mediaType));
    const [layer] = layers ?? [];
    if (layers?.length !== 1 || layer === undefined)
      return fail("its manifest must have exactly one layer that is a .tar.gz");
    const bytes = await blob(`${base}/blobs/${layer.digest}`, authorization, signal);
    if (`sha256:${createHash("sha256").update(bytes).digest("hex")}` !== layer.digest) {
      return fail("the layer isn't what its digest says");
    }
    return { state: "new" as const, bytes, tag: digest };
  };

  /** Registries send blobs from elsewhere: followed without the token, and never from https to http. */
  const blob = async (url: string, authorization: string | undefined, signal: AbortSignal): Promise<Uint8Array> => {
    let at = url;
    for (let hops = 0; hops <= 3; hops += 1) {
      const own = new URL(at).origin === new URL(url).origin && authorization !== undefined;
      const answer = await get(at, own ? { authorization } : {}, {
        bytesMax: limits.bundleBytesMax,
        timeoutMs: limits.bundleFetchMs,
        signal,
      });
      if (answer.status === 200) return answer.body;
      const next = answer.headers.get("location");
      if (![301, 302, 303, 307, 308].includes(answer.status) || next === null)
        return fail(`its layer answers ${answer.status}`);
      const target = new URL(next, at);
      if (target.protocol !== "https:" && new URL(url).protocol === "https:") return fail("its layer is not on https");
      at = target.href;
    }
    return fail("its layer is redirected too often");
  };

  return {
    name,
    isLongPoll: false,
    fetch: (tag, signal) =>
      fetch(tag, signal).catch((error: unknown) => {
        throw error instanceof GatewayError && error.code === "bundle-unreachable"
          ? error
          : unreachable(name, causeCode(error));
      }),
  };
}

const basicOf = async (credentials: NonNullable<OciLocation["credentials"]>): Promise<string> =>
  `Basic ${Buffer.from(`${credentials.user}:${await credentials.password()}`).toString("base64")}`;

function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
