// `kind: llm` -> what answers its requests
import type { ContentMask } from "../engine/model/decision.ts";
import type { Clock, Log, NewId } from "../proxy/deps.ts";
import type { Unable } from "../proxy/gate/traffic.ts";
import type { RouteBehaviour } from "../proxy/http/exchange.ts";
import { errorAnswer } from "../proxy/llm/answers.ts";
import type { LlmConnectionConfig } from "../proxy/llm/config.ts";
import { createDenials } from "../proxy/llm/denials.ts";
import { createLlmHandler } from "../proxy/llm/handler.ts";
import { maskersFor } from "./compose-mcp.ts";

export type LlmParts = { readonly clock: Clock; readonly newId: NewId; readonly log: Log };

export function llmBehaviour(connection: LlmConnectionConfig, { clock, newId, log }: LlmParts): RouteBehaviour {
  const maskers = maskersFor(connection.maskKey);
  return {
    handler: createLlmHandler({
      provider: connection.provider,
      prices: connection.prices,
      makeMasker: maskers.makeMasker,
      whyUnable: (masks) => maskers.whyUnable(masks) ?? whyUntagged(masks),
      denials: createDenials(),
      clock,
      newId,
      log,
    }),
    tokenHeaders: ["x-api-key"],
    sessionHeaders: ["x-claude-code-session-id"],
    // Clients try 401 up to eleven times, and show what a 403 says.
    showFault: ({ message, help }) => errorAnswer(help === undefined ? message : `${message}: ${help}`),
  };
}

/** What a model is sent has no schema whose tags could be read. */
const whyUntagged = (masks: readonly ContentMask[]): Unable | undefined =>
  masks.some(({ content }) => content.format === "tagged")
    ? {
        code: "mask-unsupported",
        message: "a rule masks by tags of a schema, which aren't read here",
        help: undefined,
      }
    : undefined;
