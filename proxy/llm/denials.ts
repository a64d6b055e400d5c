// Tool uses that were denied, so that later requests of the same principal show the model what it really asked for.

import { limits } from "../../engine/limits.ts";
import type { DeniedUse } from "../../engine/llm/request.ts";

export type Denials = {
  readonly put: (owner: string, toolUseId: string, use: DeniedUse) => void;
  readonly get: (owner: string, toolUseId: string) => DeniedUse | undefined;
};

/** Oldest owners go first. A lost entry is no leak: the model then finds `gateway_denied` and the client's error. */
export function createDenials(ownersMax: number = limits.mcpSessionsMax): Denials {
  const owners = new Map<string, Map<string, DeniedUse>>();
  return {
    put: (owner, toolUseId, use) => {
      const own = owners.get(owner) ?? new Map<string, DeniedUse>();
      owners.delete(owner);
      owners.set(owner, own);
      own.set(toolUseId, use);
      for (const oldest of own.keys()) {
        if (own.size <= limits.llmDenialsRememberedMax) break;
        own.delete(oldest);
      }
      for (const oldest of owners.keys()) {
        if (owners.size <= ownersMax) break;
        owners.delete(oldest);
      }
    },
    get: (owner, toolUseId) => owners.get(owner)?.get(toolUseId),
  };
}
