// what a grant is bound to -> digest
import { createHash } from "node:crypto";
import { isKnown } from "../../engine/lib/truth.ts";
import type { RewrittenSql, SqlContext } from "../../engine/sql/types.ts";
import type { GateSession } from "../postgres/sql-gate.ts";

/**
 * Principal and delegation, connection, role and search path, the statement in the gateway's own spelling (so that
 * layout doesn't matter and the masks and filters do), declared types, bind values and what their bytes mean, policies. One of them other: ask again.
 */
export function approvalDigest(
  session: GateSession,
  connection: string,
  released: { readonly rewritten: RewrittenSql; readonly obligationsKey: string },
  context: Pick<SqlContext, "user" | "searchPath" | "parameterTypes" | "parameterFormats">,
  parameters: readonly (Uint8Array | null)[],
  policyHash: string,
): string {
  const { sub, kind, on_behalf_of } = session.identity;
  const digest = createHash("sha256");
  digest.update(
    JSON.stringify([
      "gw-approval-2",
      isKnown(sub) ? sub : null,
      isKnown(kind) ? kind : null,
      isKnown(on_behalf_of) ? (on_behalf_of ?? null) : null,
      connection,
      context.user,
      context.searchPath,
      context.parameterTypes,
      parameters.map((_, i) => formatOf(context.parameterFormats, i)),
      released.rewritten.text,
      released.obligationsKey,
      policyHash,
      parameters.map((value) => (value === null ? null : Buffer.from(value).toString("base64"))),
    ]),
  );
  return digest.digest("hex");
}

/** Format code of one value: a single code stands for all of them. */
export const formatOf = (formats: SqlContext["parameterFormats"], index: number): number =>
  (formats?.length === 1 ? formats[0] : formats?.[index]) ?? 0;
