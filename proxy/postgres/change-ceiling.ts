// answers of a statement that counts what it changes -> those that the client's own statement would have had
import { ceilingOf, overCeilingMark } from "../../engine/sql/limit-changes.ts";
import type { ChangeCeiling } from "../../engine/sql/types.ts";
import { decodeCommandTag, decodeErrorFields, fieldOf } from "./protocol/backend.ts";
import { sqlstate } from "./protocol/sqlstate.ts";
import type { Release } from "./session-state.ts";
import type { SqlRefusal } from "./sql-gate.ts";

/** The one value of the one row of a statement that only counts: a number as a text, in either format. */
export function countOf(dataRow: Buffer): string {
  const length = dataRow.length > 11 ? dataRow.readInt32BE(7) : -1;
  const text = dataRow.toString("latin1", 11, 11 + Math.max(0, length));
  return /^\d{1,19}$/.test(text) ? text : "0";
}

/** `counted`: what `countOf` has seen. The client's tag: `UPDATE 7`. */
export function tagOf({ tag, isCountOnly }: ChangeCeiling, counted: string | undefined, frame: Buffer): string {
  const rows = isCountOnly ? counted : /^SELECT (\d+)$/.exec(decodeCommandTag(frame))?.[1];
  return `${tag} ${rows ?? "0"}`;
}

/** The server's word that a statement went over its ceiling: its own error for a text that is no number. */
export function isOverCeiling(error: Buffer): boolean {
  if (!error.includes(markBytes)) return false;
  const fields = decodeErrorFields(error);
  return fieldOf(fields, "C") === sqlstate.invalidTextRepresentation && quotesMark(fieldOf(fields, "M"));
}

const quotesMark = (message: string | undefined): boolean => message?.includes(`"${overCeilingMark}"`) === true;

const markBytes = Buffer.from(overCeilingMark);

/** In place of that error. Undefined where the release has no ceiling: then the words are the client's own. */
export function ceilingRefusal(release: Release): (SqlRefusal & { readonly rule: string }) | undefined {
  const { decision, decisionId, rewritten } = release;
  if (decision.effect === "deny") return undefined;
  const limit = ceilingOf(decision.obligations, rewritten.ceiling?.isCountOnly === false);
  if (limit === undefined) return undefined;
  const rows = limit.max === 1 ? "row" : "rows";
  return {
    sqlstate: sqlstate.insufficientPrivilege,
    message: `this statement changes more than the ${limit.max} ${rows} that one statement may, so nothing of it was done`,
    detail: `rule ${limit.rule}; decision ${decisionId}`,
    hint: `change fewer rows at once, or show ${decisionId} to the owner of rule ${limit.rule}`,
    position: undefined,
    rule: limit.rule,
  };
}
