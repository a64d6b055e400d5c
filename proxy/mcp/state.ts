// What is known of one MCP session (2025-11-25), or of one request where there are none (2026-07-28, stateless servers).
import { limits } from "../../engine/limits.ts";
import { idKey, type RpcError, type RpcId, type RpcResult } from "../../engine/mcp/json-rpc.ts";
import type { Tool } from "../../engine/mcp/tools.ts";
import type { ContentMask, Obligations } from "../../engine/model/decision.ts";

/** A request of the client's, as it was decided. Kept after its answer: a server may replay that. */
export type Asked = {
  readonly id: RpcId;
  readonly method: string;
  readonly tool: Tool | undefined;
  readonly decisionId: string;
  readonly obligations: Obligations;
  readonly startedAtMs: number;
  /** It runs on an approval that may be taken back; `answer` is what the client gets then. */
  readonly withdrawal?: { readonly signal: AbortSignal; readonly answer: RpcResult | RpcError };
  isAnswered: boolean;
};

export class McpState {
  /** Who may use it. */
  readonly owner: string;
  /** The upstream's name for the session; undefined: it has none. */
  upstreamId: string | undefined;
  /** Protocol version that was agreed on; undefined before that. */
  version: string | undefined;
  readonly #asked = new Map<string, Asked | "judging">();
  readonly #serverAsked = new Map<string, string>();
  readonly #masks = new Map<string, ContentMask>();

  constructor(owner: string) {
    this.owner = owner;
  }

  /** False: the id was used already, and its answer could be taken for another. */
  reserve(id: RpcId): boolean {
    const key = idKey(id);
    if (this.#asked.has(key)) return false;
    this.#asked.set(key, "judging");
    for (const [old, asked] of this.#asked) {
      if (this.#asked.size <= limits.mcpRequestsRememberedMax) break;
      if (asked !== "judging" && asked.isAnswered) this.#asked.delete(old);
    }
    return this.#asked.size <= 2 * limits.mcpRequestsRememberedMax;
  }

  put(asked: Asked): void {
    this.#asked.set(idKey(asked.id), asked);
    for (const mask of asked.obligations.content ?? []) this.#masks.set(mask.rule, mask);
  }

  askedFor(id: RpcId): Asked | undefined {
    const asked = this.#asked.get(idKey(id));
    return asked === "judging" ? undefined : asked;
  }

  /** The server asked the client something, and may. */
  expectAnswer(id: RpcId, method: string): boolean {
    if (this.#serverAsked.size >= limits.mcpRequestsRememberedMax) return false;
    this.#serverAsked.set(idKey(id), method);
    return true;
  }

  /** The method that the client answers; each answer counts once. */
  takeExpected(id: RpcId): string | undefined {
    const method = this.#serverAsked.get(idKey(id));
    this.#serverAsked.delete(idKey(id));
    return method;
  }

  /** Of every request so far. */
  masks(): readonly ContentMask[] {
    return [...this.#masks.values()];
  }
}
