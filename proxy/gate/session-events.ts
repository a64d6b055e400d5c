// session, verdict -> their records
import { createHash } from "node:crypto";
import { unreachable } from "../../engine/lib/assert.ts";
import type { Json } from "../../engine/lib/json.ts";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import { relationKey } from "../../engine/model/catalog.ts";
import type { Cause, Decision, Obligations } from "../../engine/model/decision.ts";
import { renderRowPredicate } from "../../engine/model/row-predicate.ts";
import type { RecordedContent, SessionEvent } from "../../engine/model/session-event.ts";
import type { SqlAccess, SqlFacts } from "../../engine/model/statement.ts";
import { originOf } from "../../engine/sql/template-tree.ts";
import type { AnalyzedStatement } from "../../engine/sql/types.ts";
import type { GateSession, SqlVerdict } from "../postgres/sql-gate.ts";
import type { ContentRecorder } from "../recording/content.ts";

type StartProtocol = Extract<SessionEvent, { readonly type: "session-start" }>["protocol"];
type StatementEvent = Extract<SessionEvent, { readonly type: "statement" }>;

export type StatementEventInput = {
  readonly atMs: number;
  readonly session: string;
  readonly verdict: SqlVerdict;
  /** The client's text: of this statement, or of the whole message when it could not be taken apart. */
  readonly text: string;
  readonly parameters: number;
  readonly policyHash: string;
  readonly revision: string;
  /** What broke inside the gateway, for the operator: a class name, no content. */
  readonly internalCause: string | undefined;
  readonly content?: RecordedContent | undefined;
  /** The text stands in `content` alone. */
  readonly isTextSealed?: boolean;
};

export function statementEvent(input: StatementEventInput): StatementEvent {
  const { verdict } = input;
  const decision = verdict.decision;
  const obligations = decision === undefined || decision.effect === "deny" ? undefined : decision.obligations;
  const facts = verdict.statement?.facts;
  const isCut = input.text.length > textCharsMax;
  return {
    atMs: input.atMs,
    session: input.session,
    type: "statement",
    id: verdict.decisionId,
    statement: input.isTextSealed === true ? "" : recordedText(input.text),
    fingerprint: facts?.fingerprint,
    isCut,
    statementSha256: isCut ? createHash("sha256").update(input.text).digest("hex") : undefined,
    parameters: input.parameters,
    accesses: cutList((facts?.accesses ?? []).map(describeAccess)),
    factsDigest: verdict.statement === undefined ? undefined : factsDigest(verdict.statement),
    effect: verdict.kind === "release" ? "allow" : verdict.kind === "hold" ? "approval" : "deny",
    rules: decision?.rules ?? [],
    causes: causesOf(input),
    masks: obligations === undefined ? [] : cutList(masksOf(obligations)),
    filters: obligations === undefined ? [] : cutList(filtersOf(obligations)),
    policy: input.policyHash,
    revision: input.revision,
    ...input.content,
  };
}

/** As much of a text as is recorded. */
export const recordedText = (text: string): string => (text.length > textCharsMax ? text.slice(0, textCharsMax) : text);

/** JSON escapes make a character up to 6 bytes: this prefix fits into a line with everything else. */
export const textCharsMax = Math.floor(limits.recordLineBytesMax / 8);

/** Wide tables and long joins: a line of the recording stays within its limit, and says what it leaves out. */
export function cutList(items: readonly string[]): readonly string[] {
  const shown = items.slice(0, 100).map((item) => (item.length > 500 ? `${item.slice(0, 500)}… (cut)` : item));
  return items.length > shown.length ? [...shown, `… and ${items.length - shown.length} more`] : shown;
}

/** `select public.orders (id, paid)`. */
export function describeAccess(access: SqlAccess): string {
  if (access.relation === undefined) return access.verb;
  const columns = access.columns.length === 0 ? "" : ` (${access.columns.join(", ")})`;
  return `${access.verb} ${relationKey(access.relation.schema, access.relation.name)}${columns}`;
}

function causesOf({ verdict, internalCause }: StatementEventInput): readonly Json[] {
  const causes: Json[] = [];
  if (verdict.kind === "refuse") {
    if (verdict.decision?.effect === "deny") causes.push(...verdict.decision.causes.map(describeCause));
    if (verdict.fault !== undefined) {
      causes.push({ kind: "fault", code: verdict.fault.code, message: verdict.fault.message });
    }
    if (causes.length === 0) causes.push({ kind: "refusal", message: verdict.refusal.message });
    if (internalCause !== undefined) causes.push({ kind: "internal", cause: internalCause });
  }
  for (const cause of verdict.decision?.shadow ?? []) causes.push({ shadow: true, ...describeCause(cause) });
  return causes;
}

export function describeCause(cause: Cause): { readonly [key: string]: Json } {
  switch (cause.kind) {
    case "rule":
      return { kind: cause.kind, rule: cause.rule, message: cause.message, severity: cause.severity ?? null };
    case "rule-error":
    case "limit":
      return { kind: cause.kind, rule: cause.rule, message: cause.message };
    case "uncovered":
      return { kind: cause.kind, access: cause.access, message: cause.message };
    case "unsupported":
      return { kind: cause.kind, code: cause.code, message: cause.message };
    default:
      return unreachable(cause);
  }
}

const masksOf = (obligations: Obligations): readonly string[] =>
  [...obligations.masks].flatMap(([relation, columns]) =>
    [...columns].map(([column, { mask }]) => `${relation}.${column} ${mask.kind}`),
  );

const filtersOf = (obligations: Obligations): readonly string[] =>
  [...obligations.filters].map(([relation, { predicate }]) => `${relation}: ${renderRowPredicate(predicate)}`);

const digests = new WeakMap<AnalyzedStatement, string>();

/** `sha256:` over what was understood of the statement, its text left out: a replay shows whether analysis still agrees. */
export function factsDigest(given: AnalyzedStatement): string {
  const statement = originOf(given);
  const known = digests.get(statement);
  if (known !== undefined) return known;
  const digest = `sha256:${createHash("sha256")
    .update(JSON.stringify(canonical(statement.facts)))
    .digest("hex")}`;
  digests.set(statement, digest);
  return digest;
}

function canonical(facts: SqlFacts): Json {
  const columns = (refs: SqlFacts["columnsRead"]): Json =>
    refs.map((ref) => `${relationKey(ref.relation.schema, ref.relation.name)}.${ref.column}`).sort();
  return {
    verb: facts.verb,
    fingerprint: facts.fingerprint,
    accesses: facts.accesses.map((access) => [describeAccess(access), access.hasWhere, access.via]),
    columnsRead: columns(facts.columnsRead),
    columnsWritten: columns(facts.columnsWritten),
    columnsReturned: columns(facts.columnsReturned),
    functions: [...facts.functions].sort(),
  };
}

/** Alerts that go with a decision. */
export const alertEvents = (
  atMs: number,
  session: string,
  decisionId: string,
  decision: Decision,
): readonly SessionEvent[] =>
  decision.alerts.map((alert) => ({
    atMs,
    session,
    type: "alert",
    id: decisionId,
    rule: alert.rule,
    channel: alert.channel,
    severity: alert.severity,
    message: alert.message,
  }));

export function sessionStartEvent(
  session: GateSession,
  atMs: number,
  protocol: StartProtocol = "postgres",
  content?: Pick<ContentRecorder, "ofCaller"> | undefined,
): SessionEvent {
  const { sub, kind, groups, on_behalf_of, ip, chain } = session.identity;
  const { name, env, tags } = session.connection;
  const text = (fact: unknown): string => (typeof fact === "string" ? fact : "unknown");
  return {
    atMs,
    session: session.id,
    type: "session-start",
    connection: name,
    protocol,
    principal: {
      sub: text(sub),
      kind: text(kind),
      groups: groups instanceof Set ? [...groups].sort() : [],
      onBehalfOf: typeof on_behalf_of === "string" ? on_behalf_of : undefined,
      ...(chain === undefined || chain.length < 2 ? {} : { chain }),
    },
    client: text(ip),
    application: session.application,
    ...(typeof env === "string" ? { env } : {}),
    ...(isKnown(tags) ? { tags: [...tags].sort() } : {}),
    ...content?.ofCaller(session.id, session),
  };
}
