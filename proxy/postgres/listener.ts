// A listening port: accepts, logs clients in, opens their upstream session, and counts what is open.
import { createServer, type Server, type Socket } from "node:net";
import type { Authenticated } from "../deps.ts";
import { ServerTls, type TlsMaterial } from "../tls/server-tls.ts";
import { CancelKeys } from "./cancel.ts";
import { addressOf, type LoggedIn, loginClient, refuse } from "./client-login.ts";
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
import { openUpstream, type UpstreamSession } from "./upstream.ts";
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
  readonly #relays = new Set<Relay>();
  /** Accepted, not yet a session. */
  readonly #arriving = new Set<Socket>();
  readonly #pool: UpstreamPool | undefined;
  /** Sessions of each principal, those that log in to the server included. */
  readonly #ofPrincipal = new Map<string, number>();
  #enforcing: NodeJS.Timeout | undefined;
  #whenEmpty: (() => void) | undefined;
  #isClosing = false;

  constructor(options: PostgresListenerOptions) {
    this.#options = options;
    const { tls, sessions } = options;
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
    for (const socket of this.#arriving) socket.destroy();
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
  };

  stopAccepting = (): void => {
    this.#server.close();
  };

  cancel = async (processId: number, secret: Buffer, by = "another process"): Promise<boolean> => {
    const relay = this.#keys.find(processId, secret);
    if (!relay) return false;
    await relay.cancel(by);
    return true;
  };

  renewTls = (material: TlsMaterial): void => this.#tls?.replace(material);

  sessions = (): number => this.#relays.size + this.#arriving.size;

  #accept(socket: Socket): void {
    socket.on("error", () => undefined);
    const { limits } = this.#options;
    if (this.sessions() >= limits.sessionsMax) {
      this.#log("warn", "sessions-max", addressOf(socket));
      refuse(socket, "sessions-max", {
        severity: "FATAL",
        sqlstate: sqlstate.tooManyConnections,
        message: "sorry, too many clients already",
      });
      return;
    }
    this.#arriving.add(socket);
    const deadline = AbortSignal.timeout(limits.loginTimeoutMs);
    const late = () => {
      this.#log("warn", "login-timeout", addressOf(socket));
      socket.destroy();
    };
    deadline.addEventListener("abort", late);
    void this.#arrive(socket)
      .catch((bug) => {
        this.#log("error", "login-bug", bug instanceof Error ? bug.name : undefined);
        socket.destroy();
      })
      .finally(() => {
        deadline.removeEventListener("abort", late);
        this.#arriving.delete(socket);
      });
  }

  async #arrive(accepted: Socket): Promise<void> {
    const login = await loginClient(accepted, this.#tls, this.#options);
    if (login.kind === "none") {
      this.#log("info", login.reason, addressOf(accepted));
      return;
    }
    if (login.kind === "cancel") {
      const { processId, secret } = login;
      const isTaken =
        (await this.cancel(processId, secret, addressOf(accepted))) ||
        ((await this.#options.cancelElsewhere?.(processId, secret)) ?? false);
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
  #enter({ identity }: Authenticated): (() => void) | undefined {
    const max = this.#options.sessions?.perPrincipalMax;
    if (max === undefined) return () => undefined;
    // Who has no name shares one count with all others of the kind.
    const name = typeof identity.sub === "string" ? identity.sub : "";
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
    const left = new AbortController();
    const leave = () => left.abort();
    login.socket.once("close", leave);
    const options = this.#options;
    const deadline = AbortSignal.timeout(options.limits.upstreamConnectTimeoutMs);
    const signal = AbortSignal.any([left.signal, deadline]);
    const target = options.upstreamFor === undefined ? options.upstream : options.upstreamFor(login.who);
    if (target === undefined) {
      this.#log("warn", "session-role-missing");
      refuse(login.socket, "session-role-missing", noRole);
      return false;
    }
    const { settings } = login.request;
    const upstream = await (this.#pool?.take(target, settings, signal) ?? openUpstream(target, settings, signal));
    login.socket.removeListener("close", leave);
    if (!upstream.ok) {
      this.#log("warn", upstream.error.code);
      refuse(login.socket, upstream.error.code, upstream.error.error);
      return false;
    }
    if (login.socket.destroyed || this.#isClosing) {
      upstream.value.socket.destroy();
      this.#pool?.gone();
      login.socket.destroy();
      return false;
    }
    const { user, host, port } = upstream.value;
    const own = { ...options, upstream: { ...target, user, host, port } };
    return this.#begin(login, upstream.value, own, leavePrincipal);
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

/** Servers before 18 don't report search_path: what the client asked for stands. */
const searchPathOf = (login: LoggedIn): string | undefined =>
  login.request.settings.find(([name]) => name === "search_path")?.[1];

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
