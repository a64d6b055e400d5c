// What a token must be good for before anything of a request is decided: OAuth scopes of the route and of single tools.
import type { Json } from "../../engine/lib/json.ts";
import { textField } from "../../engine/lib/read-json.ts";
import { isKnown } from "../../engine/lib/truth.ts";
import type { RpcMessage } from "../../engine/mcp/json-rpc.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";

export type McpScopes = {
  /** Of every request. */
  readonly required: readonly string[];
  /** Of calls besides: the tool's name, `*` for any run of characters. */
  readonly tools: readonly { readonly pattern: string; readonly scopes: readonly string[] }[];
};

export const noScopes: McpScopes = { required: [], tools: [] };

export const supportedScopes = ({ required, tools }: McpScopes): readonly string[] => [
  ...new Set([...required, ...tools.flatMap(({ scopes }) => scopes)]),
];

/** All that this request needs, when the token lacks some of it. */
export function missingScopes(
  needed: McpScopes,
  identity: IdentityFacts,
  message: RpcMessage | undefined,
): readonly string[] | undefined {
  const tool =
    message?.kind === "request" && message.method === "tools/call"
      ? textField(message.params ?? {}, "name")
      : undefined;
  const ofTool = needed.tools.filter(({ pattern }) => tool !== undefined && fits(pattern, tool));
  const all = [...new Set([...needed.required, ...ofTool.flatMap(({ scopes }) => scopes)])];
  const has = scopesOf(identity);
  return all.every((scope) => has.has(scope)) ? undefined : all;
}

/** RFC 9068 says `scope`; some providers say `scp`, as a list or as a text. */
function scopesOf({ claims }: IdentityFacts): ReadonlySet<string> {
  if (!isKnown(claims)) return new Set();
  const listed = (claim: Json | undefined): readonly string[] => {
    if (typeof claim === "string") return claim.split(" ");
    return Array.isArray(claim) ? claim.filter((item) => typeof item === "string") : [];
  };
  return new Set([...listed(claims.scope), ...listed(claims.scp)].filter((scope) => scope !== ""));
}

function fits(pattern: string, name: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[^A-Za-z0-9_]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}
