// why something doesn't pass -> what an MCP client is told, so that the model behind it reads it
import type { Json } from "../lib/json.ts";
import type { RpcError, RpcId, RpcResult } from "./json-rpc.ts";
import { rpcCodes } from "./json-rpc.ts";

/** The same facts as in every other protocol: proxy/gate/traffic.ts. */
export type McpRefusal = {
  readonly decisionId: string;
  readonly code: string;
  readonly reason: string;
  readonly rules: readonly string[];
  readonly help: string | undefined;
  readonly approvalId: string | undefined;
  readonly retry: "never" | "after-approval" | "after-wait";
};

export function refusalText(refusal: McpRefusal): string {
  const lines = [
    `denied by the gateway: ${refusal.reason}`,
    `${refusal.rules.length > 0 ? `rule ${refusal.rules.join(", ")}; ` : ""}${refusal.code}; decision ${refusal.decisionId}`,
  ];
  if (refusal.help !== undefined) lines.push(`way out: ${refusal.help}`);
  lines.push(retryText[refusal.retry]);
  return lines.join("\n");
}

const retryText: Readonly<Record<McpRefusal["retry"], string>> = {
  never: "repeating the same call will not help",
  "after-approval": "once it is approved, repeat exactly the same call: it then runs once",
  "after-wait": "repeating the same call may help later",
};

const refusalData = (refusal: McpRefusal): { readonly [key: string]: Json } => ({
  decision: refusal.decisionId,
  code: refusal.code,
  reason: refusal.reason,
  rules: [...refusal.rules],
  help: refusal.help ?? null,
  approval: refusal.approvalId ?? null,
  retry: refusal.retry,
});

export const refusalMetaKey = "gatewright/refusal";

/** Of a tool call: a result, because a model reads results; of a JSON-RPC error its client shows the message at most. */
export const refusedCall = (id: RpcId, refusal: McpRefusal, isModern: boolean): RpcResult => ({
  kind: "result",
  id,
  result: {
    content: [{ type: "text", text: refusalText(refusal) }],
    isError: true,
    ...(isModern ? { resultType: "complete" } : {}),
    _meta: { [refusalMetaKey]: refusalData(refusal) },
  },
});

export const refusedRequest = (id: RpcId | undefined, refusal: McpRefusal): RpcError => ({
  kind: "error",
  id,
  code: rpcCodes.refused,
  message: refusalText(refusal),
  data: refusalData(refusal),
});
