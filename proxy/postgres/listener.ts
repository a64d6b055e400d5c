// A listening port: accepts, logs clients in, opens their upstream session, and counts what is open.
import { createServer, type Server, type Socket } from "node:net";
import { err, type Result } from "../../engine/lib/result.ts";
import type { Authenticate, Authenticated, UpstreamTarget } from "../deps.ts";
import { ServerTls, type TlsMaterial } from "../tls/server-tls.ts";
import { type Arrival, Arrivals } from "./arrivals.ts";
import { CancelKeys } from "./cancel.ts";
import { CancelNotes } from "./cancel-notes.ts";
import { addressOf, type LoggedIn, loginClient, refuse } from "./client-login.ts";
import { LoginSlots, notEntered } from "./login-slots.ts";
import type { PostgresListener, PostgresListenerOptions } from "./options.ts";
import {
  type ErrorText,
  encodeAuthenticationOk,
  encodeBackendKey,
  encodeError,
  encodeReady,
} from "./protocol/encode.ts";
import { sqlstate } from "./protocol/sqlstate.ts";
import { Relay } from "./relay.ts";
import type { GateSession } from "./sql-gate.ts";
import { Turnstile } from "./turnstile.ts";
import { openUpstream, type UpstreamFault, type UpstreamSession } from "./upstream.ts";
import { UpstreamPool } from "./upstream-pool.ts";

/** How often idle sessions and long statements are looked for. */
const enforceIntervalMs = 250;

/** @throws what node:tls says when the key or certificate can't be used */
export function createPostgresListener(options: PostgresListenerOptions): PostgresListener {
  return new Listener(options);
}

class Listener implements PostgresListener {
  readonly #options: PostgresListenerOptions;
  readonly #tls: ServerTls | undefined;
  readonly #server: Server;
  readonly #keys = new CancelKeys<Relay>();
  readonly #cancelNotes: CancelNotes;
  readonly #relays = new Set<Relay>();
  /** Accepted, not yet a session. */
  readonly #arrivals: Arrivals;
  /** Handshakes and checks of tokens, between which sessions are served. */
  readonly #turnstile: Turnstile;
  readonly #slots: LoginSlots;
  readonly #pool: UpstreamPool | undefined;
  /** Sessions of each principal, those that log in to the server included. */
  readonly #ofPrincipal = new Map<string, number>();
  #enforcing: NodeJS.Timeout | undefined;
  #whenEmpty: (() => void) | undefined;
  #isClosing = false;

  constructor(given: PostgresListenerOptions) {
    const { limits } = given;
    this.#arrivals = new Arrivals(limits.arrivalsMax);
    this.#turnstile = new Turnstile(limits.arrivalsPerTurn);
    const authenticate: Authenticate = async (credentials) => {
      await this.#turnstile.pass(credentials.clientAddress);
      return given.authenticate(credentials);
    };
    const options = { ...given, authenticate };
    this.#cancelNotes = new CancelNotes((note) => given.noteCancel?.(note));
    this.#options = options;
    const { tls, sessions } = options;
    this.#slots = new LoginSlots(
      sessions?.logins ?? {
        atOnceMax: limits.upstreamLoginsMax,
        waitingMax: limits.upstreamLoginsWaitingMax,
        waitMs: limits.upstreamLoginWaitMs,
      },
    );
    this.#pool = sessions?.pool && new UpstreamPool(sessions.pool);
    if (sessions?.idleTimeoutMs !== undefined || sessions?.statementTimeoutMs !== undefined) {
      this.#enforcing = setInterval(() => {
        for (const relay of this.#relays) relay.enforce(sessions);
      }, enforceIntervalMs).unref();
    }
    this.#tls = tls && new ServerTls(tls, ["postgresql"]);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: true });
    this.#server.on("connection", (socket) => this.#accept(socket));
  }

  listen = (): Promise<{ readonly port: number }> =>
    new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ ...this.#options.listen, backlog: 1_024 }, () => {
        this.#server.removeListener("error", reject);
        this.#server.on("error", () => this.#log("warn", "accept-failed"));
        const address = this.#server.address();
        resolve({ port: typeof address === "object" && address ? address.port : this.#options.listen.port });
      });
    });

  close = async (graceMs: number): Promise<void> => {
    this.#isClosing = true;
    this.#server.close();
    this.#pool?.close();
    for (const { socket } of this.#arrivals) socket.destroy();
    for (const relay of this.#relays) relay.drain();
    const timer = setTimeout(() => {
      for (const relay of this.#relays) relay.shutDown();
    }, graceMs);
    if (this.#relays.size > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    clearTimeout(timer);
    clearInterval(this.#enforcing);
    this.#cancelNotes.close();
  };

  stopAccepting = (): void => {
    this.#server.close();
  };

  cancel = async (processId: number, secret: Buffer, by = "another process"): Promise<boolean> => {
    const relay = this.#keys.find(processId, secret);
    if (!relay) return false;
    const hadWork = await relay.cancel(by);
    if (!hadWork) this.#cancelNotes.add(by, relay.session);
    return true;
  };

  renewTls = (material: TlsMaterial): void => this.#tls?.replace(material);

  sessions = (): number => this.#relays.size + this.#arrivals.size;

  #accept(socket: Socket): void {
    socket.on("error", () => undefined);
    const { limits } = this.#options;
    const arrival: Arrival = { address: addressOf(socket), socket, canHear: false };
    if (this.#relays.size >= limits.sessionsMax) {
      this.#turnAway({ ...arrival, canHear: true }, "sessions-max", tooManyClients);
      return;
    }
    const admission = this.#arrivals.admit(arrival);
    if (admission.kind === "full") {
      this.#turnAway({ ...arrival, canHear: true }, "arrivals-max", tooManyClients);
      return;
    }
    if (admission.kind === "instead") this.#turnAway(admission.of, "arrivals-max", tooManyClients);
    const late = setTimeout(() => this.#turnAway(arrival, "login-timeout", loginTooLate), limits.loginTimeoutMs);
    void this.#arrive(socket, arrival)
      .catch((bug) => {
        this.#log("error", "login-bug", bug instanceof Error ? bug.name : undefined);
        arrival.socket.destroy();
        socket.destroy();
      })
      .finally(() => {
        clearTimeout(late);
        this.#arrivals.leave(arrival);
      });
  }

  /** Says why, where that can be said. */
  #turnAway({ address, socket, canHear }: Arrival, code: string, error: ErrorText): void {
    this.#log("warn", code, address);
    if (canHear) refuse(socket, code, error);
    else socket.destroy();
  }

  async #arrive(accepted: Socket, arrival: Arrival): Promise<void> {
    const login = await loginClient(accepted, this.#tls, this.#options, arrival, this.#turnstile);
    if (login.kind === "none") {
      this.#log("info", login.reason, addressOf(accepted));
      return;
    }
    if (login.kind === "cancel") {
      const { processId, secret } = login;
      const isTaken =
        (await this.cancel(processId, secret, arrival.address)) ||
        ((await this.#options.cancelElsewhere?.(processId, secret, arrival.address)) ?? false);
      if (!isTaken) this.#cancelNotes.add(arrival.address, "");
      this.#log("info", isTaken ? "cancel-request" : "cancel-unknown-key", addressOf(accepted));
      login.socket.destroy();
      return;
    }
    const leavePrincipal = this.#enter(login.who);
    if (leavePrincipal === undefined) {
      this.#log("warn", "principal-sessions-max", addressOf(accepted));
      refuse(login.socket, "principal-sessions-max", tooManyOfPrincipal);
      return;
    }
    const hasBegun = await this.#openSession(login, leavePrincipal);
    if (!hasBegun) leavePrincipal();
  }

  /** How to leave again; undefined where the principal has as many sessions as it may. */
  #enter(who: Authenticated): (() => void) | undefined {
    const max = this.#options.sessions?.perPrincipalMax;
    if (max === undefined) return () => undefined;
    const name = principalOf(who);
    const count = this.#ofPrincipal.get(name) ?? 0;
    if (count >= max) return undefined;
    this.#ofPrincipal.set(name, count + 1);
    return () => {
      const left = (this.#ofPrincipal.get(name) ?? 1) - 1;
      if (left === 0) this.#ofPrincipal.delete(name);
      else this.#ofPrincipal.set(name, left);
    };
  }

  async #openSession(login: LoggedIn, leavePrincipal: () => void): Promise<boolean> {
    const options = this.#options;
    const target = options.upstreamFor === undefined ? options.upstream : options.upstreamFor(login.who);
    if (target === undefined) {
      this.#log("warn", "session-role-missing");
      refuse(login.socket, "session-role-missing", noRole);
      return false;
    }
    const left = new AbortController();
    const leave = () => left.abort();
    login.socket.once("close", leave);
    if (login.socket.destroyed) leave();
    const { settings } = login.request;
    const open = () => this.#logIn(login, target, left.signal);
    const upstream = await (this.#pool?.take(target, settings, left.signal, open) ?? open());
    login.socket.removeListener("close", leave);
    if (!upstream.ok) {
      this.#log("warn", upstream.error.code);
      refuse(login.socket, upstream.error.code, upstream.error.error);
      return false;
    }
    if (this.#relays.size >= options.limits.sessionsMax) {
      upstream.value.socket.destroy();
      this.#pool?.gone();
      this.#log("warn", "sessions-max", addressOf(login.socket));
      refuse(login.socket, "sessions-max", tooManyClients);
      return false;
    }
    if (login.socket.destroyed || !login.socket.writable || this.#isClosing) {
      upstream.value.socket.destroy();
      this.#pool?.gone();
      login.socket.destroy();
      return false;
    }
    const { user, host, port } = upstream.value;
    const own = { ...options, upstream: { ...target, user, host, port } };
    return this.#begin(login, upstream.value, own, leavePrincipal);
  }

  /** In its turn: a server that is asked for many sessions at once opens none of them soon. */
  async #logIn(
    { who, request }: LoggedIn,
    target: UpstreamTarget,
    left: AbortSignal,
  ): Promise<Result<UpstreamSession, UpstreamFault>> {
    const entry = await this.#slots.enter(principalOf(who), left);
    if (entry !== "entered") return err(notEntered(entry));
    // One controller and one timer that is cleared: signals of `AbortSignal.any` and `timeout` live on until their time.
    const attempt = new AbortController();
    const abort = (): void => attempt.abort();
    left.addEventListener("abort", abort, { once: true });
    const late = setTimeout(abort, this.#options.limits.upstreamConnectTimeoutMs);
    try {
      return await openUpstream(target, request.settings, attempt.signal);
    } finally {
      clearTimeout(late);
      left.removeEventListener("abort", abort);
      this.#slots.leave();
    }
  }

  /** `options.upstream` is the session's own. */
  #begin(
    login: LoggedIn,
    upstream: UpstreamSession,
    options: PostgresListenerOptions,
    leavePrincipal: () => void,
  ): boolean {
    const { socket, who, request } = login;
    const session: GateSession = {
      id: options.newId("ses"),
      identity: who.identity,
      connection: options.connection,
      startedAtMs: options.nowMs(),
      purpose: who.purpose,
      application: request.application,
      expiresAtS: who.expiresAtS,
    };
    try {
      options.gate.open(session);
    } catch {
      this.#log("error", "record-failed");
      upstream.socket.destroy();
      this.#pool?.gone();
      socket.end(
        encodeError({
          severity: "FATAL",
          sqlstate: sqlstate.insufficientResources,
          message: "the session could not be recorded",
          hint: "Try again later; the operator finds the reason in the gateway's log.",
        }),
      );
      return false;
    }
    const address = addressOf(socket);
    const relay = new Relay({
      options,
      session,
      client: socket,
      clientRest: login.rest,
      upstream,
      searchPath: upstream.parameters.get("search_path") ?? searchPathOf(login) ?? options.catalog.defaultSearchPath(),
      isReusable: this.#pool !== undefined,
      onClosed: (reusable) => {
        leavePrincipal();
        if (reusable) void this.#pool?.giveBack(upstream, reusable);
        else this.#pool?.gone();
        this.#keys.revoke(upstream.processId, relay);
        this.#relays.delete(relay);
        if (this.#relays.size === 0) this.#whenEmpty?.();
      },
    });
    const key = this.#keys.issue(upstream.processId, login.takesLongSecret ? "long" : "short", relay);
    this.#relays.add(relay);
    options.log.info({ session: session.id, connection: options.name, client: address }, "session started");
    relay.start(
      Buffer.concat([
        encodeAuthenticationOk(),
        ...upstream.greeting,
        encodeBackendKey(key.processId, key.secret),
        encodeReady("idle"),
      ]),
    );
    return true;
  }

  #log(level: "info" | "warn" | "error", code: string, detail?: string): void {
    const { log, name } = this.#options;
    log[level]({ connection: name, code, detail }, "connection");
  }
}

/** Who has no name shares one count, and one line, with all others of the kind. */
const principalOf = ({ identity }: Authenticated): string => (typeof identity.sub === "string" ? identity.sub : "");

/** Servers before 18 don't report search_path: what the client asked for stands. */
const searchPathOf = (login: LoggedIn): string | undefined =>
  login.request.settings.find(([name]) => name === "search_path")?.[1];

const tooManyClients: ErrorText = {
  severity: "FATAL",
  sqlstate: sqlstate.tooManyConnections,
  message: "sorry, too many clients already",
  hint: "Try again in a moment, or keep sessions open.",
};

/** PostgreSQL's words for `authentication_timeout`. */
const loginTooLate: ErrorText = {
  severity: "FATAL",
  sqlstate: sqlstate.queryCanceled,
  message: "canceling authentication due to timeout",
};

const tooManyOfPrincipal: ErrorText = {
  severity: "FATAL",
  sqlstate: sqlstate.tooManyConnections,
  message: "too many connections for this user",
  hint: "Close sessions that are idle; the operator sets `sessions.per_principal` of this connection.",
};

const noRole: ErrorText = {
  severity: "FATAL",
  sqlstate: sqlstate.invalidAuthorization,
  message: "this connection has no database role for you",
  hint: "Ask whoever runs the gateway for a row under `principals` of this connection.",
};
