// What is known of one MCP session (2025-11-25), or of one request where there are none (2026-07-28, stateless servers).
import type { Json } from "../../engine/lib/json.ts";
import { limits } from "../../engine/limits.ts";
import { idKey, type RpcError, type RpcId, type RpcResult } from "../../engine/mcp/json-rpc.ts";
import type { Tool } from "../../engine/mcp/tools.ts";
import type { ContentMask, LimitObligation } from "../../engine/model/decision.ts";

/** Of a decision's obligations what an answer must meet. */
export type Owed = {
  readonly content: readonly ContentMask[];
  /** Of one answer, not of a window. */
  readonly limits: readonly LimitObligation[];
};

/** A request of the client's, as it was decided. Kept after its answer: a server may replay that. */
export type Asked = {
  readonly id: RpcId;
  readonly method: string;
  readonly tool: Tool | undefined;
  /** Of a tool call, until its answer. */
  readonly args?: Json;
  readonly decisionId: string;
  readonly owed: Owed;
  readonly startedAtMs: number;
  /** It runs on an approval that may be taken back; `answer` is what the client gets then. */
  readonly withdrawal?: { readonly signal: AbortSignal; readonly answer: RpcResult | RpcError };
  /** Of a request about a task: which. */
  readonly taskId?: string;
  isAnswered: boolean;
};

/** The same session in the other processes that serve it. Each call throws when what they share can't be had. */
export type SharedState = {
  /** False: another process has this id. */
  readonly reserve: (idKey: string) => boolean;
  readonly put: (idKey: string, asked: Asked) => void;
  /** Answered or given up by the process that asked. */
  readonly find: (idKey: string) => Asked | undefined;
  readonly expect: (idKey: string, method: string) => boolean;
  readonly take: (idKey: string) => string | undefined;
  readonly masks: () => readonly ContentMask[];
  readonly agree: (version: string) => void;
};

export class McpState {
  /** Who may use it. */
  readonly owner: string;
  /** The upstream's name for the session; undefined: it has none. */
  upstreamId: string | undefined;
  /** Protocol version that was agreed on; undefined before that. */
  version: string | undefined;
  /** Set once, when a session begins. */
  shared: SharedState | undefined;
  readonly #used = new Set<string>();
  readonly #asked = new Map<string, Asked | "judging">();
  readonly #serverAsked = new Map<string, string>();
  readonly #masks = new Map<string, ContentMask>();

  constructor(owner: string) {
    this.owner = owner;
  }

  /** False: the id was used already, and its answer could be taken for another. Some servers take 1 and "1" for one id. */
  reserve(id: RpcId): boolean {
    const spelled = String(id);
    if (this.#used.has(spelled) || this.shared?.reserve(spelled) === false) return false;
    this.#used.add(spelled);
    this.#asked.set(idKey(id), "judging");
    for (const [old, asked] of this.#asked) {
      if (this.#asked.size <= limits.mcpRequestsRememberedMax) break;
      if (asked !== "judging" && !asked.isAnswered) continue;
      this.#asked.delete(old);
      this.#used.delete(String(JSON.parse(old)));
    }
    return this.#asked.size <= 2 * limits.mcpRequestsRememberedMax;
  }

  agree(version: string): void {
    this.version = version;
    this.shared?.agree(version);
  }

  put(asked: Asked): void {
    const key = idKey(asked.id);
    this.shared?.put(key, asked);
    this.#asked.set(key, asked);
    for (const mask of asked.owed.content) this.#masks.set(mask.rule, mask);
  }

  askedFor(id: RpcId): Asked | undefined {
    const key = idKey(id);
    const asked = this.#asked.get(key);
    return asked === "judging" ? undefined : (asked ?? this.shared?.find(key));
  }

  /** The server asked the client something, and may. */
  expectAnswer(id: RpcId, method: string): boolean {
    const key = idKey(id);
    if (this.shared !== undefined) return this.shared.expect(key, method);
    if (this.#serverAsked.size >= limits.mcpRequestsRememberedMax) return false;
    this.#serverAsked.set(key, method);
    return true;
  }

  /** The method that the client answers; each answer counts once. */
  takeExpected(id: RpcId): string | undefined {
    const key = idKey(id);
    if (this.shared !== undefined) return this.shared.take(key);
    const method = this.#serverAsked.get(key);
    this.#serverAsked.delete(key);
    return method;
  }

  /** Of every request so far. */
  masks(): readonly ContentMask[] {
    return this.shared?.masks() ?? [...this.#masks.values()];
  }
}
