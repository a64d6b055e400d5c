// What the PostgreSQL listener is handed, and what it hands back.
import type { Limits } from "../../engine/limits.ts";
import type { ConnectionFacts } from "../../engine/model/principal.ts";
import type { Authenticate, Authenticated, CatalogSource, Log, NewId, UpstreamTarget } from "../deps.ts";
import type { TlsMaterial } from "../tls/server-tls.ts";
import type { CancelNote } from "./cancel-notes.ts";
import type { ClientProofs } from "./client-proof.ts";
import type { SessionRules } from "./session-rules.ts";
import type { GateSession, SqlGate } from "./sql-gate.ts";

export type PostgresListenerOptions = {
  /** Name of the connection in the configuration: the client may ask for it as its database. */
  readonly name: string;
  readonly listen: { readonly host: string; readonly port: number };
  /**
   * PEM texts. `required` refuses a session in clear even on loopback; off loopback a session in clear is always
   * refused, because its password is a bearer token.
   */
  readonly tls: (TlsMaterial & { readonly required: boolean }) | undefined;
  readonly upstream: UpstreamTarget;
  /** Where a session of this principal logs in, and as what; undefined refuses it. Left out: `upstream` for all. */
  readonly upstreamFor?: (who: Authenticated) => UpstreamTarget | undefined;
  readonly gate: SqlGate;
  readonly authenticate: Authenticate;
  readonly proofs?: ClientProofs;
  readonly catalog: CatalogSource;
  readonly connection: ConnectionFacts;
  /** `schema.name` of functions outside the built-in allowlist that this connection permits. */
  readonly allowedFunctions: ReadonlySet<string>;
  readonly limits: Limits;
  /** Left out: sessions are bounded by `limits` only, and each has one of its own at the server. */
  readonly sessions?: SessionRules;
  readonly log: Log;
  /** Asked before each message that runs something: a session whose token was revoked ends. */
  readonly isRevoked?: (session: GateSession) => boolean;
  /** The same, of a session that a rule has ended. */
  readonly isEnded?: (session: GateSession) => boolean;
  /** Wall clock, ms since the epoch. */
  readonly nowMs: () => number;
  readonly newId: NewId;
  /** Hands a cancel whose key is unknown here to other processes on the same port; true when one of them took it. */
  readonly cancelElsewhere?: (processId: number, secret: Buffer, client: string) => Promise<boolean>;
  /** Puts a CancelRequest on record that cancelled nothing. */
  readonly noteCancel?: (note: CancelNote) => void;
};

export type PostgresListener = {
  /** Starts to accept. Rejects when the address can't be bound. */
  readonly listen: () => Promise<{ readonly port: number }>;
  /**
   * Stops accepting, lets open transactions finish for `graceMs`, then ends what is left (57P01). Resolves when no
   * session is left.
   */
  readonly close: (graceMs: number) => Promise<void>;
  /** Stops accepting and leaves every session as it is: another process has taken the port over. */
  readonly stopAccepting: () => void;
  /** Takes effect with the next handshake. @throws what node:tls says; the old stays then */
  readonly renewTls: (material: TlsMaterial) => void;
  /** A cancel that came in by another process; false when no session here has the key. */
  readonly cancel: (processId: number, secret: Buffer, client?: string) => Promise<boolean>;
  /** Sessions after login, and connections on their way there. */
  readonly sessions: () => number;
};

export type CreatePostgresListener = (options: PostgresListenerOptions) => PostgresListener;
