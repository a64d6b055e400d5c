// What gw.yaml says, decoded: files are read, secrets are functions.
import type { PrincipalKind } from "../engine/model/principal.ts";
import type { AdminConfig } from "./admin/config.ts";
import type { AlertsConfig } from "./alerts/config.ts";
import type { ApprovalsConfig } from "./approvals/config.ts";
import type { PolicySourceConfig, ShadowConfig } from "./bundle/config.ts";
import type { SignatureAlgorithm } from "./bundle/signature.ts";
import type { UpstreamTarget } from "./deps.ts";
import type { HttpConnectionConfig } from "./http/config.ts";
import type { IdentityConfig } from "./identity/config.ts";
import type { StaticUser } from "./identity/static-users.ts";
import type { LlmConnectionConfig } from "./llm/config.ts";
import type { LogLevel } from "./log.ts";
import type { McpConnectionConfig, McpStdioConfig } from "./mcp/config.ts";
import type { SessionRules } from "./postgres/session-rules.ts";
import type { CheckpointConfig } from "./recording/config.ts";
import type { ContentConfig } from "./recording/content.ts";
import type { Retention } from "./recording/prune.ts";
import type { LoginRecipe } from "./secrets/upstream.ts";
import type { DecisionLogConfig } from "./telemetry/decision-log.ts";
import type { MonitorConfig } from "./telemetry/monitor-config.ts";
import type { TelemetryConfig } from "./telemetry/otel-config.ts";
import type { CertificateFiles } from "./tls/certificate-files.ts";
import type { ClientCertificates } from "./tls/client-identity.ts";

export type Address = { readonly host: string; readonly port: number };

/** `sync`: on disk before release. `batched`: handed to the system before release, on disk within 50 ms. `async`: written once per turn of the event loop. */
export type Durability = "sync" | "batched" | "async";

/** Which claim feeds which fact; a path with dots reaches into objects (`realm_access.roles`). */
export type ClaimMapping = {
  readonly sub: string;
  readonly kind: string;
  readonly groups: string;
  readonly email: string;
  readonly mfa: string;
  readonly on_behalf_of: string;
  /** Groups of the person in `on_behalf_of`. Default: `on_behalf_of_groups`. */
  readonly on_behalf_of_groups?: string;
  readonly purpose: string;
};

export type IssuerConfig = {
  /** Exactly the token's `iss`. */
  readonly issuer: string;
  readonly audience: string;
  readonly keys:
    | { readonly kind: "jwks-url"; readonly url: string }
    | { readonly kind: "discovery" }
    | { readonly kind: "jwks"; readonly jwks: { readonly keys: readonly Readonly<Record<string, unknown>>[] } };
  readonly algorithms: readonly string[];
  readonly claims: ClaimMapping;
  /** For tokens without the `kind` claim; without it such tokens are refused. */
  readonly defaultKind: PrincipalKind | undefined;
  /** Put before `sub`, groups: keeps several issuers' names apart. */
  readonly prefix: string;
  /** Claim → values, one of which it must have; `*`: any. */
  readonly requiredClaims?: ReadonlyMap<string, readonly (string | number | boolean)[]>;
  /** What the issuer calls a group (an id, often) → what policies call it, before the prefix. */
  readonly groupNames?: ReadonlyMap<string, string>;
  /** From `iat` to `exp`, seconds: a longer-lived token is refused. */
  readonly lifetimeMaxS?: number;
};

export type ClientTls =
  | { readonly kind: "off" }
  /** `isRequired`: a client that doesn't ask for TLS is turned away. */
  | {
      readonly kind: "files";
      readonly certificate: string;
      readonly key: string;
      readonly isRequired: boolean;
      readonly clients?: { readonly ca: string; readonly isRequired: boolean };
    }
  | { readonly kind: "self-signed"; readonly isRequired: boolean };

export type PostgresConnectionConfig = {
  readonly kind: "postgres";
  readonly name: string;
  readonly listen: Address;
  readonly env: string;
  readonly tags: readonly string[];
  readonly tls: ClientTls;
  /** Where the certificate lies, to be read again when it changes. */
  readonly tlsFiles?: CertificateFiles;
  readonly clientCertificates?: ClientCertificates;
  /** Asks the source of the secret at each use; a gateway keeps what it got, see `login`. */
  readonly upstream: UpstreamTarget;
  /** The source of the upstream's secret, and what sessions become at the database. */
  readonly login: LoginRecipe;
  /** `schema.name` of functions beyond the built-in list. */
  readonly allowedFunctions: readonly string[];
  readonly sessions: SessionRules;
  /** Key of the `hash` and `tokenize` masks: at least 16 bytes. */
  readonly maskKey: Uint8Array;
};

/** A Rego bundle that decides together with the policy folder: what either denies is denied. */
export type RegoConfig = {
  /** bundle.tar.gz of `opa build -t wasm`. */
  readonly bundle: string;
  /** undefined: the only one, or the only one that ends in `/decision`. */
  readonly entrypoint: string | undefined;
  readonly deadlineMs: number;
  /** The bundle must be signed by this key (SPKI PEM); undefined: it needn't be signed. */
  readonly signedBy?: { readonly key: string; readonly algorithm: SignatureAlgorithm };
  /** Names of connections; undefined: all. */
  readonly connections: readonly string[] | undefined;
};

export type PoliciesConfig = {
  readonly source: PolicySourceConfig;
  /** Folder of the bundles that were in force. */
  readonly state: string;
  /** Groups whose people may roll back and promote; []: nobody. */
  readonly operators: readonly string[];
  /** For bundles whose manifest names none. */
  readonly timeZone: string;
  readonly rego?: readonly RegoConfig[];
  /** Decides beside the others and enforces nothing. */
  readonly shadow?: ShadowConfig;
};

/** Every kind of connection that is reached over HTTP. */
export type TrafficConnectionConfig = HttpConnectionConfig | McpConnectionConfig | LlmConnectionConfig;

export type GatewayConfig = {
  /** Name of this gateway in records. */
  readonly node: string;
  readonly logLevel: LogLevel;
  /** Processes that share the ports; undefined: this one alone. `lingerMs`: how long old sessions may go on after a restart. */
  readonly workers?: { readonly count: number; readonly lingerMs: number };
  readonly policies: PoliciesConfig;
  readonly recording: {
    readonly directory: string;
    readonly durability: Durability;
    readonly checkpoints?: CheckpointConfig;
    /** What is recorded of bind values; undefined: their number. */
    readonly content?: ContentConfig;
    /** undefined: nothing is pruned. */
    readonly retention?: Retention;
    /** Where legal holds are: the recording's folder, also for a worker whose chain is in one of its own. */
    readonly holds?: string;
  };
  readonly approvals: ApprovalsConfig;
  /** Where alerts go; undefined: into the recording and the log only. */
  readonly alerts?: AlertsConfig;
  /** What the gateway notices by itself; undefined: nothing. */
  readonly monitoring?: MonitorConfig;
  /** A collector of traces and logs; undefined: none. */
  readonly telemetry?: TelemetryConfig;
  /** A decision log in OPA's format; undefined: none. */
  readonly decisionLogs?: DecisionLogConfig;
  readonly admin: AdminConfig | undefined;
  readonly identity: IdentityConfig;
  /** Users of the gateway's own. */
  readonly users: readonly StaticUser[];
  readonly connections: readonly PostgresConnectionConfig[];
  /** Connections that are reached over HTTP. */
  readonly http: readonly TrafficConnectionConfig[];
  /** Servers that `gw mcp run` starts. */
  readonly stdio?: readonly McpStdioConfig[];
};
