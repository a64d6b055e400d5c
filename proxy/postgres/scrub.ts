// an upstream's ErrorResponse or NoticeResponse -> what of it the client may see.
import { kindOfVerb } from "../../engine/model/statement.ts";
import { clientPosition } from "../../engine/sql/error-position.ts";
import type { AnalyzedStatement, RewrittenSql } from "../../engine/sql/types.ts";
import { decodeErrorFields, fieldOf } from "./protocol/backend.ts";
import { encodeFields } from "./protocol/encode.ts";

/** Which statement the message is about, as far as the order of answers tells. */
export type About = {
  readonly statement: AnalyzedStatement | undefined;
  /** What the server saw of it; `undefined` where the message is about no statement. */
  readonly rewritten: RewrittenSql | undefined;
  /** Characters that the server was sent before it, in the same text; undefined: none. */
  readonly charactersBefore: (() => number) | undefined;
  /** A write to a protected relation is part of the transaction: deferred constraints and triggers may speak of it. */
  readonly hasProtectedWrite: boolean;
};

/** Fields that show a row (D, H), or statements and code that the client did not write (W, q, p). */
const afterWrite: ReadonlySet<string> = new Set(["D", "H", "W", "q", "p", "P"]);
/** A read computes on masked rows, so its message and detail quote masked values only. */
const afterRead: ReadonlySet<string> = new Set(["W", "q", "p", "P"]);
const nothing: ReadonlySet<string> = new Set();

/** A context line of PL or SQL code (pl_exec.c, functions.c): that code raised it, and may have put anything into it. */
const codeContext = /^(?:PL\/|SQL function |SQL statement |\S+ function )/m;

/** The frame to send, the very same one where nothing has to go; `undefined` where the message must not pass at all. */
export function scrub(type: number, frame: Buffer, about: About, isNotice: boolean): Buffer | undefined {
  const { rewritten, statement } = about;
  const isProtectedWrite = about.hasProtectedWrite || (rewritten?.touchesProtected === true && isWrite(statement));
  if (isNotice && isProtectedWrite) return undefined;
  const hidden = raisedByCode(frame, statement);
  if (hidden) return isNotice ? undefined : withoutWords(type, frame);
  const dropped = isProtectedWrite ? afterWrite : rewritten?.touchesProtected ? afterRead : nothing;
  if (dropped.size === 0)
    return rewritten && statement ? withPosition(type, frame, { ...about, rewritten, statement }) : frame;
  const fields = decodeErrorFields(frame);
  if (!fields.some(([field]) => dropped.has(field))) return frame;
  // A context means that a trigger or function raised it: its words are whatever that code made of the row.
  const isFromCode = isProtectedWrite && fieldOf(fields, "W") !== undefined;
  return encodeFields(
    type,
    fields
      .filter(([field]) => !dropped.has(field))
      .map(([field, value]) => [field, field === "M" && isFromCode ? "server-side code ended the statement" : value]),
  );
}

/** NUL, then the letter of the position. */
const positionField = Buffer.from("\0P");

/** The server points into the text that it was sent: the client is shown the place in its own, or none. */
function withPosition(
  type: number,
  frame: Buffer,
  about: About & { readonly rewritten: RewrittenSql; readonly statement: AnalyzedStatement },
): Buffer {
  const { statement, rewritten, charactersBefore } = about;
  const isAsSent = statement.facts.text === rewritten.text && statement.start === undefined && !charactersBefore;
  if (isAsSent || !frame.includes(positionField)) return frame;
  const fields = decodeErrorFields(frame).flatMap(([field, value]): readonly [string, string][] => {
    if (field !== "P") return [[field, value]];
    const inStatement = Number(value) - (charactersBefore?.() ?? 0);
    const position = rewritten.ceiling ? undefined : clientPosition(statement, rewritten, inStatement);
    return position === undefined ? [] : [[field, String(position)]];
  });
  return encodeFields(type, fields);
}

/**
 * Code that the client didn't call: triggers, event triggers, checks, defaults. What an allowed function says is its own, as
 * is what DO, CALL and DDL do: a rule allows them as they are.
 */
function raisedByCode(frame: Buffer, statement: AnalyzedStatement | undefined): boolean {
  const kind = statement && kindOfVerb[statement.facts.verb];
  if (kind === "ddl" || kind === "procedural" || !frame.includes(contextField)) return false;
  const context = fieldOf(decodeErrorFields(frame), "W");
  if (context === undefined || !codeContext.test(context)) return false;
  return ![...(statement?.facts.functions ?? [])].some((name) => name.includes("."));
}

/** NUL, then the letter of the context: quickly seen in a frame that has none. */
const contextField = Buffer.from("\0W");

const withoutWords = (type: number, frame: Buffer): Buffer =>
  encodeFields(
    type,
    decodeErrorFields(frame)
      .filter(([field]) => !afterWrite.has(field))
      .map(([field, value]) => [field, field === "M" ? "server-side code ended the statement" : value]),
  );

const isWrite = (statement: AnalyzedStatement | undefined): boolean =>
  statement === undefined || statement.facts.accesses.some((access) => kindOfVerb[access.verb] !== "read");
