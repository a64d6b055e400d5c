// verdict, completion -> the text of their records; what is equal for every run of a statement is rendered once
import { originOf } from "../../engine/sql/template-tree.ts";
import type { AnalyzedStatement } from "../../engine/sql/types.ts";
import type { Completion } from "../postgres/sql-gate.ts";
import { type EventText, eventText, eventTextOf, fieldsOf } from "../recording/event-text.ts";
import { type StatementEventInput, statementEvent, textCharsMax } from "./session-events.ts";

/** The parts of a released statement's record that depend on these alone. */
type Kept = {
  readonly rules: readonly string[];
  readonly obligationsKey: string;
  readonly policyHash: string;
  readonly revision: string;
  /** Between the decision's id and the number of parameters, the statement's text left out. */
  readonly head: string;
  /** The text that `textHead` is of. */
  readonly text: string;
  readonly textHead: string;
  /** Behind it. */
  readonly tail: string;
};

/**
 * The latest of each statement, and of each template for all that come from it: policies change seldom, and most statements
 * are decided alike each time.
 */
const kept = new WeakMap<AnalyzedStatement, Kept>();

/** The same text as `eventText(statementEvent(input))`. */
export function statementText(input: StatementEventInput): EventText {
  const constant = constantParts(input);
  if (constant === undefined) return eventText(statementEvent(input));
  const { atMs, session, verdict, parameters, content } = input;
  const behind = behindOf(content);
  return eventTextOf(
    `"atMs":${atMs},"session":${JSON.stringify(session)},"type":"statement","id":${JSON.stringify(verdict.decisionId)},${headOf(constant, input.text)},${constant.head},"parameters":${parameters},${constant.tail}${behind}`,
  );
}

function behindOf(content: object | undefined): string {
  const fields = content === undefined ? "" : fieldsOf(content);
  return fields === "" ? "" : `,${fields}`;
}

/** Undefined where a record says more than its statement, its rules and its obligations. */
function constantParts(input: StatementEventInput): Kept | undefined {
  const { verdict, policyHash, revision } = input;
  if (input.isTextSealed === true) return undefined;
  if (verdict.kind !== "release" || verdict.statement === undefined) return undefined;
  const { statement, decision, obligationsKey } = verdict;
  if (decision.shadow.length > 0 || input.text !== statement.facts.text) return undefined;
  const origin = originOf(statement);
  // The record of a longer one says that some of it is left out.
  if (origin !== statement && input.text.length > textCharsMax) return undefined;
  const known = kept.get(origin);
  if (
    known !== undefined &&
    known.policyHash === policyHash &&
    known.revision === revision &&
    known.obligationsKey === obligationsKey &&
    isSame(known.rules, decision.rules)
  ) {
    return known;
  }
  const { atMs, session, type, id, parameters, ...constant } = statementEvent({ ...input, content: undefined });
  const { statement: text, fingerprint, isCut, statementSha256, ...rest } = constant;
  const parts = {
    rules: decision.rules,
    obligationsKey,
    policyHash,
    revision,
    head: fieldsOf({ fingerprint, isCut, statementSha256 }),
    text: input.text,
    textHead: fieldsOf({ statement: text }),
    tail: fieldsOf(rest),
  };
  kept.set(origin, parts);
  return parts;
}

const headOf = ({ text, textHead }: Kept, own: string): string =>
  text === own ? textHead : fieldsOf({ statement: own });

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** The same text as `eventText` gives for the event of type `completion`. */
export function completionText(
  atMs: number,
  session: string,
  id: string,
  completion: Omit<Completion, "result">,
  content?: object,
): EventText {
  const { outcome, tag, sqlstate, rows, bytes, durationUs, overLimit, cancelledBy } = completion;
  let text = `"atMs":${atMs},"session":${JSON.stringify(session)},"type":"completion","id":${JSON.stringify(id)},"outcome":"${outcome}"`;
  if (tag !== undefined) text += `,"tag":${JSON.stringify(tag)}`;
  if (sqlstate !== undefined) text += `,"sqlstate":${JSON.stringify(sqlstate)}`;
  text += `,"rows":${rows},"bytes":${bytes},"durationUs":${durationUs}`;
  if (overLimit !== undefined) text += `,"overLimit":${JSON.stringify(overLimit)}`;
  if (cancelledBy !== undefined) text += `,"refs":${JSON.stringify({ cancel: cancelledBy })}`;
  text += behindOf(content);
  return eventTextOf(text);
}
