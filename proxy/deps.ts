// What the shell's parts are handed: no part makes these for itself.
import type { Result } from "../engine/lib/result.ts";
import type { Catalog } from "../engine/model/catalog.ts";
import type { IdentityFacts } from "../engine/model/principal.ts";
import type { ServerFunction } from "../engine/sql/call-statement.ts";

/** Ids and codes only: never row content, SQL text, tokens or passwords. */
export type Log = {
  readonly debug: (fields: LogFields, message: string) => void;
  readonly info: (fields: LogFields, message: string) => void;
  readonly warn: (fields: LogFields, message: string) => void;
  readonly error: (fields: LogFields, message: string) => void;
};
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export type Clock = { readonly nowMs: () => number };
/** A new unique identifier, sortable by time: `st_01J…`. */
export type NewId = (prefix: string) => string;

/** The catalog of one upstream, kept fresh on a connection of its own. */
export type CatalogSource = {
  readonly current: () => Catalog;
  /** `search_path` that a new session of the upstream role has, as the server spells it: `"$user", public`. */
  readonly defaultSearchPath: () => string;
  /** Reads it again, e.g. after DDL went through. Concurrent calls share one read. */
  readonly refresh: () => Promise<Catalog>;
  /**
   * Asks the server, after the call, whether these relations (OIDs; none: all that is known) are still defined as they were
   * when the catalog was read; where not, it is read again first. Absent: it can't be asked. Rejects when the server can't be asked now.
   */
  readonly isFresh?: (relations: readonly number[]) => Promise<boolean>;
  /** Asks the server what it calls by this OID; undefined: nothing. Absent: it can't be asked. Rejects as `isFresh`. */
  readonly functionOf?: (oid: number) => Promise<ServerFunction | undefined>;
  readonly close: () => Promise<void>;
};

export type Credentials = {
  readonly user: string;
  /** A JWT. */
  readonly password: string;
  readonly clientAddress: string;
  readonly application: string | undefined;
};
export type Authenticated = {
  readonly identity: IdentityFacts;
  readonly purpose: string | undefined;
  readonly expiresAtS: number | undefined;
};
/** What the person at the prompt is told: what is wrong, and the way to a good token. */
export type LoginFault = { readonly code: string; readonly message: string; readonly hint: string };
export type Authenticate = (credentials: Credentials) => Promise<Result<Authenticated, LoginFault>>;

export type SessionAttributes = "read-write" | "read-only" | "primary" | "standby" | "prefer-standby";

/** Where a connection leads, with credentials that only the gateway holds. */
export type UpstreamTarget = {
  readonly host: string;
  readonly port: number;
  /** Tried in turn where the one before can't be reached, or isn't what `attributes` ask for. */
  readonly others?: readonly { readonly host: string; readonly port: number }[];
  /** As libpq's target_session_attrs; left out: any. */
  readonly attributes?: SessionAttributes;
  readonly database: string;
  readonly user: string;
  /** @throws GatewayError `secret-unavailable` */
  readonly password: () => Promise<string>;
  /** Where the source of the secret makes up the user too: both at once, instead of `user` and `password`. */
  readonly login?: () => Promise<{ readonly user: string; readonly password: string }>;
  /** What a session becomes at the server. Part of its login, so that RESET ROLE and DISCARD ALL lead back to it. */
  readonly role?: string;
  /** The server refused what `password` or `login` gave last. */
  readonly refused?: () => void;
  readonly tls: {
    readonly mode: "disable" | "prefer" | "require" | "verify-ca" | "verify-full";
    readonly ca: string | undefined;
    /** PEM texts: the gateway's own certificate, for a server that asks for one. */
    readonly client?: { readonly cert: string; readonly key: string };
  };
};
