// Parse, Bind, Describe, Execute and Close: decided at Parse, decided again with each Bind, run by Execute.
import type { AnalyzedStatement, SqlContext } from "../../engine/sql/types.ts";
import { type ClientGate, isCopy, type ParseAnswer } from "./client-gate.ts";
import { refusalOf, refusals } from "./deny.ts";
import type { Handled } from "./handled.ts";
import type { Outbox } from "./outbox.ts";
import { encodeClose, encodeDescribe, encodeExecute, encodeFlush, encodeParse } from "./protocol/encode.ts";
import type { FrontendMessage } from "./protocol/frontend.ts";
import type { Prepared, Release, SessionState } from "./session-state.ts";
import type { SqlVerdict } from "./sql-gate.ts";

type Message<K extends FrontendMessage["kind"]> = FrontendMessage & { readonly kind: K };

export class ExtendedQuery {
  readonly #gate: ClientGate;
  readonly #state: SessionState;
  readonly #toUpstream: Outbox;

  constructor(gate: ClientGate) {
    this.#gate = gate;
    this.#state = gate.parts.state;
    this.#toUpstream = gate.parts.toUpstream;
  }

  parse(message: Message<"parse">): Handled {
    const state = this.#state;
    const context = this.#gate.context();
    if (!context) return "again";
    const expired = this.#gate.expiry();
    if (expired) return expired;
    const as = message.name === "" ? "unnamed-parse" : "named";
    const namesMax = this.#gate.parts.options.limits.preparedStatementsMax;
    if (state.statements.size + state.portals.size >= namesMax) {
      return this.#gate.refuse(refusals.tooManyNames(namesMax), as);
    }
    const text = this.#gate.textOf(message.text);
    if (typeof text !== "string") return this.#gate.refuse(text, as);
    const { parameterTypes } = message;
    const own = parameterTypes.length === 0 ? context : { ...context, parameterTypes };
    const verdicts = this.#gate.decide(own, text, true);
    if (verdicts.length > 1) return this.#gate.refuse(refusals.severalStatements, as);
    const [verdict] = verdicts;
    if (verdict?.kind === "refuse") {
      return this.#gate.recordAndRefuse([verdict], refusalOf(verdict.refusal), as);
    }
    if (verdict && verdict.statement === undefined) {
      return this.#gate.refuse(refusals.badLayout, as);
    }
    const prepared: Prepared = {
      statement: verdict?.statement,
      parameterTypes,
      sent: verdict?.rewritten ?? nothingSent,
      searchPath: this.#gate.searchPath,
      temporary: this.#gate.temporary,
      textStyle: this.#state.textStyle,
    };
    // A name that is taken is the server's to refuse, after it has looked at the text: the slot changes only with a
    // ParseComplete.
    const answer = this.#sendParse(message.name, prepared, false);
    if (verdict) this.#gate.recordLater(prepared, verdict, answer);
    return "done";
  }

  #sendParse(name: string, prepared: Prepared, isHidden: boolean): ParseAnswer {
    const sent = prepared.sent ?? nothingSent;
    this.#toUpstream.add(encodeParse(name, sent.text, prepared.parameterTypes));
    this.#state.statements.announce(name, prepared, this.#state.segment);
    const answer: ParseAnswer = { kind: "parse", name, prepared, isHidden, decisionId: undefined };
    this.#state.sent(answer);
    if (sent.maskedOrigins.size === 0 && !(sent.touchesProtected && sent.shape)) return answer;
    // The server's own word on where the columns come from, before anything can run.
    this.#toUpstream.add(encodeDescribe({ of: "statement", name }));
    this.#state.sent({ kind: "describe", rewritten: sent, isHidden: true });
    return answer;
  }

  bind(message: Message<"bind">, frame: Buffer): Handled {
    const state = this.#state;
    const slot = state.statements.get(message.statement, state.segment);
    const context = this.#gate.context();
    if (!context || slot.kind === "unsettled") return "again";
    const expired = this.#gate.expiry();
    if (expired) return expired;
    if (slot.kind === "empty") return this.#gate.refuse(refusals.unknownStatement(message.statement), "named");
    const prepared = slot.value;
    if (prepared.statement === undefined) {
      this.#toUpstream.add(frame);
      state.portals.announce(message.portal, undefined, state.segment);
      state.sent({ kind: "bind", portal: message.portal, run: undefined });
      return "done";
    }
    const own = contextOf(context, prepared, message);
    const asked = this.#isCurrent(own, prepared, prepared.statement)
      ? prepared.statement
      : prepared.statement.facts.text;
    if (this.#gate.estimate(own, asked, message.parameters) === "asked") return "asked";
    const verdict = this.#decideAgain(own, prepared, prepared.statement, message.parameters);
    if (verdict.kind === "refuse") return this.#gate.recordAndRefuse([verdict], refusalOf(verdict.refusal), "named");
    const hindrance = this.#gate.hindrance([verdict], "named");
    if (hindrance !== undefined) return hindrance;
    if (verdict.kind === "hold") {
      this.#gate.isRecordedByBind(prepared);
      // Collected chunks are reused by nobody, but they would be kept alive for as long as people think.
      const copy = Buffer.from(frame);
      const again = message.parameters.map((p) => (p === null ? null : Buffer.from(p)));
      const then = (releases: readonly Release[]): Handled => this.#releaseBind(message, copy, prepared, releases);
      return this.#gate.hold(own, [verdict], again, then, "named", prepared);
    }
    if (!this.#gate.recordTogether([verdict], message.parameters))
      return this.#gate.refuse(refusals.notRecorded, "named");
    this.#gate.isRecordedByBind(prepared);
    return this.#releaseBind(message, frame, prepared, [verdict]);
  }

  #decideAgain(
    context: SqlContext,
    prepared: Prepared,
    statement: AnalyzedStatement,
    parameters: readonly (Buffer | null)[],
  ): SqlVerdict {
    const own =
      prepared.parameterTypes.length === 0 ? context : { ...context, parameterTypes: prepared.parameterTypes };
    if (this.#isCurrent(own, prepared, statement)) return this.#gate.redecide(own, statement, parameters);
    // PostgreSQL too analyses a prepared statement anew when search_path or a relation has changed.
    const [verdict] = this.#gate.decide(own, statement.facts.text, true);
    if (!verdict?.statement || verdict.kind === "refuse") {
      return verdict ?? this.#gate.redecide(own, statement, parameters);
    }
    return this.#gate.redecide(own, verdict.statement, parameters);
  }

  #isCurrent(context: SqlContext, prepared: Prepared, statement: AnalyzedStatement): boolean {
    return (
      prepared.searchPath === this.#gate.searchPath &&
      prepared.temporary === this.#gate.temporary &&
      statement.catalogVersion === context.catalog.version
    );
  }

  #releaseBind(message: Message<"bind">, frame: Buffer, prepared: Prepared, releases: readonly Release[]): Handled {
    const [release] = releases;
    if (!release) return this.#gate.refuse(refusals.badLayout, "named");
    const state = this.#state;
    if (prepared.sent?.text !== release.rewritten.text) this.#parseAnew(message.statement, prepared, release);
    const run = this.#gate.newRun(release, message.resultFormats);
    this.#toUpstream.add(frame);
    state.portals.announce(message.portal, run, state.segment);
    state.sent({ kind: "bind", portal: message.portal, run });
    return "done";
  }

  /** Policies, grants or names have moved on: the server must have the statement's new text under its name. */
  #parseAnew(name: string, prepared: Prepared, release: Release): void {
    const state = this.#state;
    const remains = { ...prepared, sent: undefined };
    if (name !== "") {
      this.#toUpstream.add(encodeClose({ of: "statement", name }));
      state.statements.announce(name, remains, state.segment);
      state.sent({ kind: "close", target: { of: "statement", name }, isHidden: true, remains });
    }
    const renewed: Prepared = {
      statement: release.statement ?? prepared.statement,
      parameterTypes: prepared.parameterTypes,
      sent: release.rewritten,
      searchPath: this.#gate.searchPath,
      temporary: this.#gate.temporary,
      textStyle: this.#state.textStyle,
    };
    this.#sendParse(name, renewed, true);
  }

  describe(message: Message<"describe">, frame: Buffer): Handled {
    const { target } = message;
    const state = this.#state;
    let rewritten: Release["rewritten"] | undefined;
    if (target.of === "statement") {
      const slot = state.statements.get(target.name, state.segment);
      if (slot.kind === "unsettled") return "again";
      if (slot.kind === "holds") rewritten = slot.value.sent;
    } else {
      const slot = state.portals.get(target.name, state.segment);
      if (slot.kind === "unsettled") return "again";
      if (slot.kind === "holds") rewritten = slot.value.release.rewritten;
    }
    this.#toUpstream.add(frame);
    state.sent({ kind: "describe", rewritten, isHidden: false });
    return "done";
  }

  execute(message: Message<"execute">, frame: Buffer): Handled {
    const state = this.#state;
    const slot = state.portals.get(message.portal, state.segment);
    if (slot.kind === "unsettled") return "again";
    const expired = this.#gate.expiry();
    if (expired) return expired;
    const run = slot.kind === "holds" ? slot.value : undefined;
    const mayBeCursor = run === undefined || run.release.statement?.facts.verb === "fetch";
    if (run && !this.#gate.readsAsApproved(run.release)) return this.#gate.refuse(refusals.textStyleMoved, "named");
    const overtaken = mayBeCursor ? this.#gate.cursorOvertaken("named") : this.#gate.overtaken(run.release);
    if (overtaken) return overtaken;
    // A write without RETURNING runs to its end however few rows are asked for; so does what counts in its place.
    const isCountOnly = run?.release.rewritten.ceiling?.isCountOnly === true;
    this.#toUpstream.add(isCountOnly ? encodeExecute(message.portal) : frame);
    // A portal that isn't ours is a cursor that a decided DECLARE made, or an error at the server.
    state.sent({ kind: "execute", run });
    if (run) this.#gate.announce(run.release);
    if (run && isCopy(run.release)) {
      // The server sends COPY's first answer only when asked to.
      this.#toUpstream.add(encodeFlush());
      state.copy = "expected";
    }
    return "done";
  }

  close(message: Message<"close">, frame: Buffer): Handled {
    const { target } = message;
    const state = this.#state;
    const names = target.of === "statement" ? state.statements : state.portals;
    names.announce(target.name, undefined, state.segment);
    this.#toUpstream.add(frame);
    state.sent({ kind: "close", target, isHidden: false, remains: undefined });
    return "done";
  }
}

/** What the values of a Bind mean: their declared types, and whether their bytes are text. */
function contextOf(context: SqlContext, { parameterTypes }: Prepared, bind: Message<"bind">): SqlContext {
  const { parameterFormats } = bind;
  const isAllText = parameterFormats.every((format) => format === 0);
  if (parameterTypes.length === 0 && isAllText) return context;
  return { ...context, parameterTypes, ...(isAllText ? {} : { parameterFormats }) };
}

const nothingSent: Release["rewritten"] = { text: "", touchesProtected: false, maskedOrigins: new Set() };
