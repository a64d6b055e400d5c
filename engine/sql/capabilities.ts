// What PostgreSQL connections do with obligations: masks.ts, row filters, limit-rows.ts, and the gate's windows.
import type { Capabilities } from "../model/capabilities.ts";

/** `bytes` are known only after a result went out: a window counts them, one result can't be cut by them. */
export const postgresCapabilities: Capabilities = {
  protocol: "sql",
  columnMasks: new Set([
    "partial",
    "bucket",
    "round",
    "card",
    "phone",
    "fields",
    "hash",
    "tokenize",
    "constant",
    "redact",
    "nullify",
  ]),
  contentMasks: new Set(),
  filtersRows: true,
  resultLimits: new Set(["rows"]),
  windowLimits: new Set(["rows", "bytes", "requests", "calls"]),
};
