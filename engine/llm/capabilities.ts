// What the model channel does with obligations: mask-request.ts, and the gate's windows.
import type { Capabilities } from "../model/capabilities.ts";

export const llmCapabilities: Capabilities = {
  protocol: "llm",
  columnMasks: new Set(),
  contentMasks: new Set(["partial", "hash", "tokenize", "constant", "redact", "nullify"]),
  filtersRows: false,
  resultLimits: new Set(),
  windowLimits: new Set(["requests", "calls", "bytes", "tokens", "usd"]),
};
