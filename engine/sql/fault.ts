import type { SqlFault } from "./types.ts";

/** Every code a fault can carry, with the SQLSTATE that the client gets. docs/error-codes.md lists the same. */
export const faultStates = {
  "syntax-error": "42601",
  "text-too-long": "54000",
  "text-not-valid": "22021",
  "too-many-statements": "54000",
  "too-complex": "54001",
  "parser-failed": "XX000",
  "unsupported-node": "0A000",
  "unsupported-statement": "0A000",
  "unsupported-clause": "0A000",
  "unknown-relation": "42P01",
  "unknown-schema": "3F000",
  "unknown-column": "42703",
  "unknown-type": "42704",
  "unknown-prepared-statement": "26000",
  "other-database": "0A000",
  "catalog-not-allowed": "42501",
  "function-not-allowed": "42501",
  "operator-not-allowed": "42501",
  "type-not-allowed": "42501",
  "setting-not-allowed": "42501",
  "relation-not-supported": "0A000",
  "rules-not-supported": "0A000",
  "view-not-understood": "0A000",
  "mask-not-applicable": "42501",
  "masked-column-written": "42501",
  "filter-not-applicable": "42501",
  "row-outside-filter": "42501",
  "constraint-oracle": "42501",
  "system-column": "42501",
  "limit-not-applicable": "42501",
  "rewrite-mismatch": "XX000",
} as const;
export type FaultCode = keyof typeof faultStates;

export type FaultDetails = { readonly help?: string; readonly position?: number | undefined };

/**
 * Control flow inside engine/sql only: deep recursion ends here, and the two doors (analyzeSql, rewriteSql) turn it into
 * a `Result`. Messages may name what the client named; they never carry row content.
 */
export class FaultError extends Error {
  override readonly name = "FaultError";
  readonly fault: SqlFault & { readonly code: FaultCode };
  constructor(code: FaultCode, message: string, details: FaultDetails = {}) {
    super(code);
    this.fault = {
      code,
      sqlstate: faultStates[code],
      message,
      help: details.help,
      position: details.position,
    };
  }
}

/** @throws FaultError always. */
export function refuse(code: FaultCode, message: string, details: FaultDetails = {}): never {
  throw new FaultError(code, message, details);
}
