// a refusal -> what the client is told and what the server is sent in its place.
import type { RewrittenSql } from "../../engine/sql/types.ts";
import { encodeError, encodeParse, encodeQuery } from "./protocol/encode.ts";
import { sqlstate } from "./protocol/sqlstate.ts";
import type { Refusal } from "./session-state.ts";
import type { SqlRefusal } from "./sql-gate.ts";

/**
 * Not SQL: the server answers with a syntax error. A refused message is replaced by one with this text, so that the
 * server itself brings the order of answers, the failed transaction and the skipping up to Sync: nothing of that has
 * to be imitated, and both sides agree on it by construction. It is what the server's log shows.
 */
const notSql = "gatewright_refused_this_statement";
const placeholderName = "gatewright_refused";

/** In the place of a refused Query or FunctionCall. */
export const failingQuery: Buffer = encodeQuery(notSql);
/** In the place of a refused Bind, or of a Parse with a name: it leaves the unnamed statement alone. */
export const failingNamedParse: Buffer = encodeParse(placeholderName, notSql, []);
/** In the place of a refused Parse without a name: the server drops the unnamed statement before it reads the text. */
export const failingUnnamedParse: Buffer = encodeParse("", notSql, []);

export const encodeRefusal = (refusal: Refusal): Buffer => encodeError({ severity: "ERROR", ...refusal });

export function refusalOf(refusal: SqlRefusal): Refusal {
  return {
    sqlstate: refusal.sqlstate,
    message: refusal.message,
    detail: refusal.detail === "" ? undefined : refusal.detail,
    hint: refusal.hint,
    position: refusal.position === undefined ? undefined : refusal.position + 1,
  };
}

const quoted = (name: string): string => `"${name}"`;

/** PostgreSQL's own words, where the gateway has to say them because it must not ask. */
export const refusals = {
  badLayout: { sqlstate: sqlstate.protocolViolation, message: "invalid message format" },
  functionCall: {
    sqlstate: sqlstate.featureNotSupported,
    message: "this function can't be called by a function call message through the gateway",
    hint: "Call the function in a SELECT.",
  },
  functionUnknown: {
    sqlstate: sqlstate.cannotConnectNow,
    message: "the server can't be asked which function this is, so nothing was run",
    hint: "Try again later; the operator finds the reason in the gateway's log.",
  },
  unknownFunction: (oid: number): Refusal => ({
    sqlstate: sqlstate.undefinedFunction,
    message: `function with OID ${oid} does not exist`,
  }),
  notByMessage: (name: string): Refusal => ({
    sqlstate: sqlstate.featureNotSupported,
    message: `cannot call function ${quoted(name)} via fastpath interface`,
  }),
  argumentCount: (given: number, required: number): Refusal => ({
    sqlstate: sqlstate.protocolViolation,
    message: `function call message contains ${given} arguments but function requires ${required}`,
  }),
  argumentFormats: (formats: number, given: number): Refusal => ({
    sqlstate: sqlstate.protocolViolation,
    message: `function call message contains ${formats} argument formats but ${given} arguments`,
  }),
  longName: {
    sqlstate: sqlstate.nameTooLong,
    message: "the name of a prepared statement or portal may have 63 bytes",
    hint: "The server tells names apart by their first 63 bytes only.",
  },
  badEncoding: { sqlstate: sqlstate.characterNotInRepertoire, message: 'invalid byte sequence for encoding "UTF8"' },
  notRecorded: {
    sqlstate: sqlstate.insufficientResources,
    message: "the decision could not be recorded, so nothing was run",
    hint: "Try again later; the operator finds the reason in the gateway's log.",
  },
  catalogUnavailable: {
    sqlstate: sqlstate.cannotConnectNow,
    message: "the server can't be asked whether what this statement reads is still what it was, so nothing was run",
    hint: "Try again later; the operator finds the reason in the gateway's log.",
  },
  cancelled: { sqlstate: sqlstate.queryCanceled, message: "canceling statement due to user request" },
  overtaken: {
    sqlstate: sqlstate.insufficientPrivilege,
    message: "the policies changed while a statement of this message waited for approval",
    hint: "Repeat the message: all of it is judged anew.",
  },
  portalOvertaken: {
    sqlstate: sqlstate.insufficientPrivilege,
    message: "the policies changed since this portal was bound",
    hint: "Bind the statement again: it is judged anew.",
  },
  textStyleMoved: {
    sqlstate: sqlstate.insufficientPrivilege,
    message: "a setting for dates changes beside a statement that needs approval, so it isn't clear what it would mean",
    hint: "Set DateStyle, IntervalStyle and TimeZone in a message of their own before the statement is prepared and bound.",
  },
  severalStatements: {
    sqlstate: sqlstate.syntaxError,
    message: "cannot insert multiple commands into a prepared statement",
  },
  portalRunsNothing: {
    sqlstate: sqlstate.undefinedPreparedStatement,
    message: "unnamed prepared statement does not exist",
  },
  tooManyNames: (max: number): Refusal => ({
    sqlstate: sqlstate.programLimitExceeded,
    message: `a session may hold ${max} prepared statements and portals`,
    hint: "Close or DEALLOCATE those that are not needed.",
  }),
  textTooLong: (max: number): Refusal => ({
    sqlstate: sqlstate.programLimitExceeded,
    message: `a statement text of more than ${max} bytes is not accepted`,
    hint: "Pass large values as parameters, or use COPY.",
  }),
  unknownStatement: (name: string): Refusal =>
    name === ""
      ? refusals.portalRunsNothing
      : {
          sqlstate: sqlstate.undefinedPreparedStatement,
          message: `prepared statement ${quoted(name)} does not exist`,
        },
} as const;

const encodedQueries = new WeakMap<RewrittenSql, Buffer>();

/** The Query message of one rewritten text; the gate hands out the same object for a statement it knows. */
export function queryOf(rewritten: RewrittenSql): Buffer {
  let bytes = encodedQueries.get(rewritten);
  if (!bytes) {
    bytes = encodeQuery(rewritten.text);
    encodedQueries.set(rewritten, bytes);
  }
  return bytes;
}
