// What the model channel does with obligations: mask-request.ts, and the gate's windows.
import { httpCapabilities } from "../http/capabilities.ts";
import type { Capabilities } from "../model/capabilities.ts";

/** The maskers are the same ones. */
const answerMasks = httpCapabilities.contentMasks;

export const llmCapabilities: Capabilities = {
  protocol: "llm",
  columnMasks: new Set(),
  contentMasks: answerMasks,
  filtersRows: false,
  resultLimits: new Set(),
  windowLimits: new Set(["requests", "calls", "bytes", "tokens", "usd"]),
};
