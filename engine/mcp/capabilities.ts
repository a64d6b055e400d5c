// What MCP connections do with obligations: mask-message.ts, and the gate's windows.
import { httpCapabilities } from "../http/capabilities.ts";
import type { Capabilities } from "../model/capabilities.ts";

/** The maskers are the same ones. */
const answerMasks = httpCapabilities.contentMasks;

export const mcpCapabilities: Capabilities = {
  protocol: "mcp",
  columnMasks: new Set(),
  contentMasks: answerMasks,
  masksTagged: true,
  filtersRows: false,
  resultLimits: new Set(["bytes"]),
  windowLimits: new Set(["requests", "calls", "bytes"]),
};
