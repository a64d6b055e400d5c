// principal and the client's own session name -> a session: HTTP has no connections to hang one on
import { createHash } from "node:crypto";
import { isKnown } from "../../engine/lib/truth.ts";
import type { Limits } from "../../engine/limits.ts";
import type { ConnectionFacts } from "../../engine/model/principal.ts";
import type { Authenticated, Clock, NewId } from "../deps.ts";
import { sessionStartEvent } from "../gate/session-events.ts";
import type { TrafficSession } from "../gate/traffic.ts";
import type { ContentRecorder } from "../recording/content.ts";
import type { Recorder } from "../recording/recorder.ts";

export type HttpSessionsDeps = {
  readonly recorder: Pick<Recorder, "recordIntent" | "recordOutcome">;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly limits: Pick<Limits, "httpSessionIdleMs" | "httpSessionsMax">;
  /** Puts facts about who asks on record. */
  readonly content?: Pick<ContentRecorder, "callerKey" | "ofCaller"> | undefined;
};

type Entry = { readonly id: string; readonly startedAtMs: number; lastUsedMs: number };

/**
 * One session per connection, principal (with groups and delegation), address and session name. A client that renews
 * its token keeps it; one whose rights change gets another.
 */
export class HttpSessions {
  readonly #deps: HttpSessionsDeps;
  /** In order of use, oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #sweep: NodeJS.Timeout;

  constructor(deps: HttpSessionsDeps) {
    this.#deps = deps;
    this.#sweep = setInterval(() => this.#expire(), 30_000);
    this.#sweep.unref();
  }

  /** @throws GatewayError `record-failed` when the start of a new session can't be recorded */
  find(
    who: Authenticated,
    connection: ConnectionFacts,
    protocol: "http" | "mcp" | "llm",
    name: string | undefined,
  ): TrafficSession {
    const { clock, newId, recorder, limits, content } = this.#deps;
    const key = keyOf(who, connection.name, name, content?.callerKey(who) ?? "");
    const nowMs = clock.nowMs();
    let entry = this.#entries.get(key);
    const isNew = entry === undefined;
    entry ??= { id: newId("ses"), startedAtMs: nowMs, lastUsedMs: nowMs };
    const session: TrafficSession = {
      id: entry.id,
      identity: who.identity,
      connection,
      startedAtMs: entry.startedAtMs,
      purpose: who.purpose,
      application: name === undefined ? undefined : `agent/${name}`,
      expiresAtS: who.expiresAtS,
    };
    if (isNew) recorder.recordIntent([sessionStartEvent(session, nowMs, protocol, content)]);
    entry.lastUsedMs = nowMs;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const [oldest] = this.#entries;
    if (oldest !== undefined && this.#entries.size > limits.httpSessionsMax) this.#end(...oldest, "sessions-max");
    return session;
  }

  get size(): number {
    return this.#entries.size;
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const [key, entry] of this.#entries) this.#end(key, entry, "shutdown");
  }

  #expire(): void {
    const nowMs = this.#deps.clock.nowMs();
    for (const [key, entry] of this.#entries) {
      if (nowMs - entry.lastUsedMs < this.#deps.limits.httpSessionIdleMs) break;
      this.#end(key, entry, "idle");
    }
  }

  #end(key: string, { id }: Entry, reason: string): void {
    this.#entries.delete(key);
    const atMs = this.#deps.clock.nowMs();
    this.#deps.recorder.recordOutcome({ atMs, session: id, type: "session-end", reason });
  }
}

function keyOf(
  { identity, purpose }: Authenticated,
  connection: string,
  name: string | undefined,
  facts: string,
): string {
  const { sub, kind, groups, on_behalf_of, ip } = identity;
  const parts = [sub, kind, on_behalf_of, ip].map((fact) => (isKnown(fact) ? (fact ?? null) : null));
  const sorted = isKnown(groups) ? [...groups].sort() : null;
  return createHash("sha256")
    .update(JSON.stringify([connection, name ?? null, purpose ?? null, ...parts, sorted, facts]))
    .digest("base64");
}
