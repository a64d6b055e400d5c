// clients that come and go -> fewer logins at the server: session mode, one client at a time
import type { Socket } from "node:net";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { UpstreamTarget } from "../deps.ts";
import { encodeTerminate } from "./protocol/encode.ts";
import { sqlstate } from "./protocol/sqlstate.ts";
import { resetSession } from "./reset-session.ts";
import type { PoolRules } from "./session-rules.ts";
import { readShared } from "./shared-reads.ts";
import type { UpstreamFault, UpstreamSession } from "./upstream.ts";

type Settings = readonly (readonly [name: string, value: string])[];
type Kept = { readonly key: string; readonly session: UpstreamSession; readonly drop: () => void };

const resetTimeoutMs = 5_000;

/**
 * A session goes only to a client that would have logged in the same way: same place, user, role and startup settings, which
 * is what a reset comes back to.
 */
export class UpstreamPool {
  readonly #rules: PoolRules;
  /** Longest unused first. */
  readonly #kept: Kept[] = [];
  readonly #keys = new WeakMap<UpstreamSession, string>();
  readonly #waiting: (() => void)[] = [];
  /** At the server: used, being reset, kept. */
  #open = 0;
  #isClosed = false;

  constructor(rules: PoolRules) {
    this.#rules = rules;
  }

  /** `open` logs in where none is kept. Give it back, or say that it is gone. */
  async take(
    target: UpstreamTarget,
    settings: Settings,
    signal: AbortSignal,
    open: () => Promise<Result<UpstreamSession, UpstreamFault>>,
  ): Promise<Result<UpstreamSession, UpstreamFault>> {
    const key = keyOf(target, settings);
    const untilMs = performance.now() + this.#rules.waitMs;
    for (;;) {
      const kept = this.#takeKept(key);
      if (kept !== undefined) return ok(kept);
      if (this.#open < this.#rules.sessionsMax || this.#evict()) return this.#openNew(key, open);
      if (this.#waiting.length >= this.#rules.waitingMax) return err(full("upstream-queue-full", this.#rules));
      if (!(await this.#turn(signal, untilMs - performance.now())))
        return err(full("upstream-queue-timeout", this.#rules));
    }
  }

  /** The client left it outside of a transaction, with nothing owed. `socket` reads for nobody any more. */
  async giveBack(session: UpstreamSession, socket: Socket): Promise<void> {
    const key = this.#keys.get(session);
    const isGood = key !== undefined && (await resetSession(socket, session, resetTimeoutMs));
    if (!isGood || this.#isClosed || socket.destroyed || this.#kept.length >= this.#rules.keptMax) {
      leave(socket);
      this.gone();
      return;
    }
    const drop = (): void => {
      if (!this.#remove(kept)) return;
      socket.destroy();
      this.gone();
    };
    const kept: Kept = { key, session: { ...session, socket, rest: Buffer.alloc(0) }, drop };
    this.#kept.push(kept);
    // Whatever an idle server says is a reason not to go on with it: a shutdown, or a setting that changed.
    readShared(socket, drop);
    socket.once("end", drop).once("close", drop).resume();
    this.#wake();
  }

  /** A session that was taken has ended. */
  gone(): void {
    this.#open -= 1;
    this.#wake();
  }

  close(): void {
    this.#isClosed = true;
    for (const { session } of this.#kept.splice(0)) leave(session.socket);
  }

  #takeKept(key: string): UpstreamSession | undefined {
    // The one used last: its caches are warm, and those that aren't needed grow old.
    const kept = this.#kept.findLast((k) => k.key === key);
    if (kept === undefined) return undefined;
    this.#remove(kept);
    const { session } = kept;
    this.#keys.set(session, key);
    return session;
  }

  #remove(kept: Kept): boolean {
    const at = this.#kept.indexOf(kept);
    if (at === -1) return false;
    this.#kept.splice(at, 1);
    const { socket } = kept.session;
    socket.off("end", kept.drop).off("close", kept.drop).pause();
    return true;
  }

  /** Room for one that was asked for, instead of one that nobody asks for now. */
  #evict(): boolean {
    const [oldest] = this.#kept;
    if (oldest === undefined || !this.#remove(oldest)) return false;
    leave(oldest.session.socket);
    this.#open -= 1;
    return true;
  }

  async #openNew(
    key: string,
    open: () => Promise<Result<UpstreamSession, UpstreamFault>>,
  ): Promise<Result<UpstreamSession, UpstreamFault>> {
    this.#open += 1;
    const opened = await open().catch((bug: unknown) => {
      this.gone();
      throw bug;
    });
    if (opened.ok) this.#keys.set(opened.value, key);
    else this.gone();
    return opened;
  }

  #wake(): void {
    this.#waiting.shift()?.();
  }

  /** False when the wait was in vain. */
  #turn(signal: AbortSignal, waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      if (signal.aborted || waitMs <= 0) {
        resolve(false);
        return;
      }
      const settle = (isTurn: boolean): void => {
        clearTimeout(late);
        signal.removeEventListener("abort", giveUp);
        resolve(isTurn);
      };
      const wake = (): void => settle(true);
      const giveUp = (): void => {
        const at = this.#waiting.indexOf(wake);
        if (at !== -1) this.#waiting.splice(at, 1);
        settle(false);
      };
      const late = setTimeout(giveUp, waitMs);
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.push(wake);
    });
  }
}

/** Length-prefixed by JSON: no two logins share a key. */
const keyOf = ({ host, port, database, user, role }: UpstreamTarget, settings: Settings): string =>
  JSON.stringify([host, port, database, user, role, settings]);

function leave(socket: Socket): void {
  if (socket.writable) socket.end(encodeTerminate());
  socket.resume();
  setTimeout(() => socket.destroy(), 1_000).unref();
}

const full = (code: string, { sessionsMax }: PoolRules): UpstreamFault => ({
  code,
  error: {
    severity: "FATAL",
    sqlstate: sqlstate.tooManyConnections,
    message: `all ${sessionsMax} sessions that the gateway may open at the database are in use`,
    hint: "Try again later, or close sessions that are idle; the operator sets `sessions.pool` of this connection.",
  },
});
