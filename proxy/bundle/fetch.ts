// Where a bundle is fetched from. Each answers with bytes, or that nothing has changed.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { limits } from "../../engine/limits.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { type HttpGet, type HttpTrust, httpGetter } from "../http-get.ts";
import { type GetObject, objectGetter, type S3Location } from "../object-storage.ts";
import { type OciLocation, ociFetcher } from "./oci.ts";

export type Fetched =
  | { readonly state: "unchanged" }
  /** `tag`: what the source tells this state from others by, to be handed back at the next fetch. */
  | { readonly state: "new"; readonly bytes: Uint8Array; readonly tag: string | undefined };

export type BundleFetcher = {
  /** For people, without credentials. */
  readonly name: string;
  /** The server answers when something changes: ask again at once. */
  readonly isLongPoll: boolean;
  /** @throws GatewayError `bundle-unreachable` */
  readonly fetch: (tag: string | undefined, signal: AbortSignal) => Promise<Fetched>;
};

export type BundleLocation =
  | { readonly kind: "file"; readonly path: string }
  | {
      readonly kind: "http";
      readonly url: string;
      readonly token: (() => Promise<string>) | undefined;
      /** 0: no long polling. */
      readonly waitMs: number;
      readonly trust: HttpTrust;
    }
  | ({ readonly kind: "oci"; readonly trust: HttpTrust } & OciLocation)
  | ({ readonly kind: "s3" } & S3Location);

export function fetcherOf(location: BundleLocation): BundleFetcher {
  switch (location.kind) {
    case "file":
      return fileFetcher(location.path);
    case "http":
      return httpFetcher(location, httpGetter(location.trust));
    case "oci":
      return ociFetcher(location, httpGetter(location.trust));
    case "s3":
      return s3Fetcher(location, objectGetter(location));
  }
}

function fileFetcher(path: string): BundleFetcher {
  return {
    name: path,
    isLongPoll: false,
    fetch: async (tag) => {
      const bytes = await readFile(path).catch((error: unknown) => {
        throw unreachable(path, causeCode(error));
      });
      const digest = createHash("sha256").update(bytes).digest("hex");
      return digest === tag ? { state: "unchanged" } : { state: "new", bytes, tag: digest };
    },
  };
}

/** OPA's bundle service API: ETag, and long polling where the server has it. https://www.openpolicyagent.org/docs/management-bundles */
function httpFetcher(location: BundleLocation & { readonly kind: "http" }, get: HttpGet): BundleFetcher {
  const name = shown(location.url);
  const wait = location.waitMs === 0 ? [] : [`wait=${Math.ceil(location.waitMs / 1_000)}`];
  return {
    name,
    isLongPoll: location.waitMs > 0,
    fetch: async (tag, signal) => {
      const token = await location.token?.();
      const answer = await get(
        location.url,
        {
          accept: "application/vnd.openpolicyagent.bundles, application/gzip, application/octet-stream",
          prefer: ["modes=snapshot", ...wait].join(";"),
          ...(tag === undefined ? {} : { "if-none-match": tag }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        { bytesMax: limits.bundleBytesMax, timeoutMs: location.waitMs + limits.bundleFetchMs, signal },
      ).catch((error: unknown) => {
        throw unreachable(name, causeCode(error));
      });
      if (answer.status === 304) return { state: "unchanged" };
      if (answer.status !== 200) throw unreachable(name, `it answers ${answer.status}`);
      return { state: "new", bytes: answer.body, tag: answer.headers.get("etag") ?? undefined };
    },
  };
}

function s3Fetcher(location: S3Location, get: GetObject): BundleFetcher {
  const name = `s3://${location.bucket}/${location.key}`;
  return {
    name,
    isLongPoll: false,
    fetch: async (tag, signal) => {
      const object = await get(location.key, tag, { bytesMax: limits.bundleBytesMax, signal }).catch(
        (error: unknown) => {
          throw unreachable(name, causeCode(error));
        },
      );
      return object === "unchanged" ? { state: "unchanged" } : { state: "new", bytes: object.bytes, tag: object.etag };
    },
  };
}

/** A user and a password in an address are not for people. */
function shown(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

export const unreachable = (name: string, why: string): GatewayError =>
  new GatewayError("bundle-unreachable", `the bundle at \`${name}\` can't be fetched: ${why}`, "check the source");
