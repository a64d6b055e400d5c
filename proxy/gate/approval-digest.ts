// what a grant for a statement is bound to -> digest
import type { RewrittenSql, SqlContext } from "../../engine/sql/types.ts";
import { grantDigest } from "../approvals/digest.ts";
import type { GateSession } from "../postgres/sql-gate.ts";

/**
 * Principal and delegation, connection, role and search path, the statement in the gateway's own spelling (so that
 * layout doesn't matter and the masks, filters and row ceiling do), declared types, bind values and what their
 * bytes and the texts of dates mean, policies. One of them other: ask again.
 */
export function approvalDigest(
  session: Pick<GateSession, "identity">,
  connection: string,
  released: { readonly rewritten: Pick<RewrittenSql, "text">; readonly obligationsKey: string },
  context: Pick<SqlContext, "user" | "searchPath" | "parameterTypes" | "parameterFormats" | "textStyle">,
  parameters: readonly (Uint8Array | null)[],
  policyHash: string,
): string {
  return grantDigest({
    identity: session.identity,
    connection,
    protocol: "sql",
    action: {
      text: released.rewritten.text,
      user: context.user,
      searchPath: context.searchPath,
      style: context.textStyle ?? null,
      types: context.parameterTypes,
      formats: parameters.map((_, i) => formatOf(context.parameterFormats, i)),
      parameters: parameters.map((value) => (value === null ? null : Buffer.from(value).toString("base64"))),
    },
    obligations: released.obligationsKey,
    policyHash,
  });
}

/** Format code of one value: a single code stands for all of them. */
export const formatOf = (formats: SqlContext["parameterFormats"], index: number): number =>
  (formats?.length === 1 ? formats[0] : formats?.[index]) ?? 0;
