// What MCP connections do with obligations: mask-message.ts, and the gate's windows.
import type { Capabilities } from "../model/capabilities.ts";

export const mcpCapabilities: Capabilities = {
  protocol: "mcp",
  columnMasks: new Set(),
  contentMasks: new Set(["partial", "hash", "tokenize", "constant", "redact", "nullify"]),
  filtersRows: false,
  resultLimits: new Set(["bytes"]),
  windowLimits: new Set(["requests", "calls", "bytes"]),
};
