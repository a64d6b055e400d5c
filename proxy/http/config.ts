// `kind: http` in gw.yaml -> how requests find the connection, and where they go

import { percentDecode } from "../../engine/http/percent.ts";
import { renderPath, renderTarget } from "../../engine/http/target.ts";
import { limits } from "../../engine/limits.ts";
import type { ConfigReader, Path } from "../config-reader.ts";
import { addressSchema, durationMs, durationSchema, keysIn, nameSchema, secretSchema } from "../config-schema.ts";
import type { Address, ClientTls } from "../gateway-config.ts";
import { z } from "../schema.ts";
import type { Credential, HttpUpstreamTarget } from "./upstream.ts";

/** What every connection over HTTP has: a place on a listener, and an upstream. */
export type HttpConnectionBase = {
  readonly name: string;
  readonly listen: Address;
  readonly env: string;
  readonly tags: readonly string[];
  readonly tls: ClientTls;
  readonly hosts: readonly string[];
  /** Segments. */
  readonly prefix: readonly string[];
  readonly upstream: HttpUpstreamTarget;
  readonly bodyBytesMax: number;
  readonly isCaseInsensitive: boolean;
  readonly passCookies: boolean;
  /** Key of the `hash` and `tokenize` masks: at least 16 bytes. */
  readonly maskKey: Uint8Array;
};

export type HttpConnectionConfig = HttpConnectionBase & {
  readonly kind: "http";
  /** Text of an OpenAPI document, and the path it was read from. */
  readonly openapi: { readonly path: string; readonly text: string } | undefined;
};

const headerName = z.string().regex(/^[A-Za-z0-9-]+$/, "write a header's name like `X-Api-Key`");

const credentialSchema = z.union([
  z.strictObject({ bearer: secretSchema }),
  z.strictObject({ header: headerName, prefix: z.string().default(""), secret: secretSchema }),
  z.strictObject({ basic: z.strictObject({ user: z.string().min(1), password: secretSchema }) }),
  z.strictObject({ query: z.string().min(1), secret: secretSchema }),
]);

const upstreamSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  ca: z.string().optional(),
  client_certificate: z.strictObject({ certificate: z.string(), key: z.string() }).optional(),
  credential: credentialSchema.optional(),
  timeout: durationSchema.optional(),
  idle_timeout: durationSchema.optional(),
  connections: z.int().min(1).max(10_000).optional(),
});

/** Keys that every kind of connection over HTTP takes; each adds `kind` and its own. */
export const httpConnectionKeys = {
  name: nameSchema,
  listen: addressSchema,
  env: z.string().default("dev"),
  tags: z.array(z.string()).default([]),
  tls: z
    .union([z.literal("off"), z.literal("self-signed"), z.strictObject({ certificate: z.string(), key: z.string() })])
    .default("self-signed"),
  hosts: z.array(z.string().regex(/^[a-z0-9.-]+$/, "write a host name in lower case, without a port")).default([]),
  prefix: z.string().regex(/^\//, "a prefix starts with `/`").default("/"),
  upstream: upstreamSchema,
  body_max_bytes: z.int().min(0).optional(),
  case_insensitive: z.boolean().default(false),
  cookies: z.boolean().default(false),
  mask_key: secretSchema.optional(),
} as const;

const baseSchema = z.strictObject(httpConnectionKeys);
type ParsedBase = z.infer<typeof baseSchema>;

export const httpConnectionSchema = z.strictObject({
  ...httpConnectionKeys,
  kind: z.literal("http"),
  openapi: z.string().min(1).optional(),
});

/** What a mistyped key is compared with. */
export const httpKeys: readonly string[] = [
  ...keysIn(httpConnectionSchema),
  ...keysIn(upstreamSchema),
  "certificate",
  "bearer",
  "header",
  "secret",
  "basic",
  "query",
];

export function buildHttpConnection(
  parsed: z.infer<typeof httpConnectionSchema>,
  path: Path,
  at: ConfigReader,
): HttpConnectionConfig {
  const { openapi } = parsed;
  return {
    ...buildHttpBase(parsed, path, at),
    kind: "http",
    openapi:
      openapi === undefined ? undefined : { path: at.path(openapi), text: at.file(openapi, [...path, "openapi"]) },
  };
}

export function buildHttpBase(parsed: ParsedBase, path: Path, at: ConfigReader): HttpConnectionBase {
  const segments = pathSegments(parsed.prefix);
  if (segments === undefined) at.complain([...path, "prefix"], "a prefix is a plain path such as `/crm`");
  const colon = parsed.listen.lastIndexOf(":");
  return {
    name: parsed.name,
    listen: {
      host: parsed.listen.slice(0, colon).replace(/^\[|\]$/g, ""),
      port: Number(parsed.listen.slice(colon + 1)),
    },
    env: parsed.env,
    tags: parsed.tags,
    tls: buildTls(parsed.tls, [...path, "tls"], at),
    hosts: parsed.hosts,
    prefix: segments ?? [],
    upstream: buildUpstream(parsed, [...path, "upstream"], at),
    bodyBytesMax: parsed.body_max_bytes ?? limits.httpBodyBytesMax,
    isCaseInsensitive: parsed.case_insensitive,
    passCookies: parsed.cookies,
    maskKey: maskKeyOf(parsed.mask_key, [...path, "mask_key"], at),
  };
}

function pathSegments(path: string): readonly string[] | undefined {
  const segments = path.split("/").filter((segment) => segment !== "");
  const isPlain = segments.every((s) => percentDecode(s) === s && s !== "." && s !== ".." && !/[?#;\\\s]/.test(s));
  return isPlain ? segments : undefined;
}

function buildTls(parsed: ParsedBase["tls"], path: Path, at: ConfigReader): ClientTls {
  if (parsed === "off") return { kind: "off" };
  if (parsed === "self-signed") return { kind: "self-signed", isRequired: true };
  return {
    kind: "files",
    certificate: at.file(parsed.certificate, [...path, "certificate"]),
    key: at.file(parsed.key, [...path, "key"]),
    isRequired: true,
  };
}

function buildUpstream({ upstream, cookies }: ParsedBase, path: Path, at: ConfigReader): HttpUpstreamTarget {
  const url = new URL(upstream.url);
  if (url.username !== "" || url.password !== "") {
    at.complain([...path, "url"], "a password doesn't belong into the URL: use `credential`");
  }
  if (url.search !== "" || url.hash !== "") at.complain([...path, "url"], "an upstream's URL ends with its path");
  const base = pathSegments(decodeURIComponent(url.pathname));
  if (base === undefined) at.complain([...path, "url"], "the path of an upstream's URL must be a plain one");
  if (url.protocol === "http:" && upstream.client_certificate !== undefined) {
    at.complain([...path, "client_certificate"], "a client certificate needs an `https` URL");
  }
  const { client_certificate: mtls } = upstream;
  return {
    origin: url.origin,
    basePath: base === undefined || base.length === 0 ? "" : renderTarget(base, false, []),
    credential: buildCredential(upstream.credential, [...path, "credential"], at),
    tls: {
      ca: upstream.ca === undefined ? undefined : at.file(upstream.ca, [...path, "ca"]),
      certificate: mtls && {
        cert: at.file(mtls.certificate, [...path, "client_certificate", "certificate"]),
        key: at.file(mtls.key, [...path, "client_certificate", "key"]),
      },
    },
    headTimeoutMs: upstream.timeout === undefined ? limits.httpUpstreamHeadTimeoutMs : durationMs(upstream.timeout),
    idleTimeoutMs:
      upstream.idle_timeout === undefined ? limits.httpUpstreamIdleTimeoutMs : durationMs(upstream.idle_timeout),
    connectTimeoutMs: limits.upstreamConnectTimeoutMs,
    connectionsMax: upstream.connections ?? limits.httpUpstreamConnectionsMax,
    passCookies: cookies,
  };
}

function buildCredential(
  parsed: z.infer<typeof credentialSchema> | undefined,
  path: Path,
  at: ConfigReader,
): Credential {
  if (parsed === undefined) return { kind: "none" };
  if ("bearer" in parsed) {
    return {
      kind: "header",
      name: "authorization",
      prefix: "Bearer ",
      secret: at.secret(parsed.bearer, [...path, "bearer"]),
    };
  }
  if ("header" in parsed) {
    return {
      kind: "header",
      name: parsed.header,
      prefix: parsed.prefix,
      secret: at.secret(parsed.secret, [...path, "secret"]),
    };
  }
  if ("basic" in parsed) {
    const { user, password } = parsed.basic;
    return { kind: "basic", user, secret: at.secret(password, [...path, "basic", "password"]) };
  }
  return { kind: "query", name: parsed.query, secret: at.secret(parsed.secret, [...path, "secret"]) };
}

export function maskKeyOf(parsed: z.infer<typeof secretSchema> | undefined, path: Path, at: ConfigReader): Uint8Array {
  if (parsed === undefined) return new Uint8Array();
  const text = at.secretNow(parsed, path);
  if (text !== undefined && Buffer.byteLength(text) < 16) {
    at.complain(path, "a mask key needs at least 16 bytes: `openssl rand -hex 32` makes a good one");
  }
  return Buffer.from(text ?? "", "utf8");
}

/** `http://127.0.0.1:8080/crm`: for listings. */
export const showRoute = ({ prefix }: Pick<HttpConnectionBase, "prefix">): string => renderPath(prefix);
