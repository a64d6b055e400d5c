// What HTTP connections do with obligations: engine/content, and the gate's windows.
import type { Capabilities } from "../model/capabilities.ts";

export const httpCapabilities: Capabilities = {
  protocol: "http",
  columnMasks: new Set(),
  contentMasks: new Set([
    "partial",
    "bucket",
    "round",
    "card",
    "phone",
    "hash",
    "tokenize",
    "constant",
    "redact",
    "nullify",
    "remove",
  ]),
  masksTagged: true,
  filtersRows: false,
  filtersItems: true,
  resultLimits: new Set(["rows", "items", "bytes"]),
  windowLimits: new Set(["requests", "calls", "rows", "items", "bytes"]),
};
