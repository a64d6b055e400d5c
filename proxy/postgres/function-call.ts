// FunctionCall messages: decided and recorded as the SELECT that makes the same call, then sent as they are.
import { callStatement, isPlainCall, type ServerFunction } from "../../engine/sql/call-statement.ts";
import type { SqlContext } from "../../engine/sql/types.ts";
import type { ClientGate } from "./client-gate.ts";
import { refusalOf, refusals } from "./deny.ts";
import type { Handled } from "./handled.ts";
import type { FrontendMessage } from "./protocol/frontend.ts";
import type { Refusal, Release } from "./session-state.ts";

type Message = FrontendMessage & { readonly kind: "function-call" };

type Question = {
  readonly oid: number;
  answer: "out" | "failed" | { readonly found: ServerFunction | undefined };
};

export class FunctionCalls {
  readonly #gate: ClientGate;
  /** What the server is asked about the message that waits for it, which then comes again. */
  #question: Question | undefined;

  constructor(gate: ClientGate) {
    this.#gate = gate;
  }

  /** The message that waited is not decided after all. */
  forget(): void {
    this.#question = undefined;
  }

  handle(message: Message, frame: Buffer): Handled {
    const gate = this.#gate;
    const context = gate.context();
    if (!context) return "again";
    const expired = gate.expiry();
    if (expired) return expired;
    const { functionOf } = gate.parts.options.catalog;
    if (functionOf === undefined) return gate.refuse(refusals.functionCall, "query");
    if (this.#question?.oid !== message.oid) this.#ask(message.oid, functionOf);
    const answer = this.#question?.answer;
    if (answer === undefined || answer === "out") return "again";
    const handled =
      answer === "failed"
        ? gate.refuse(refusals.functionUnknown, "query")
        : this.#decide(message, frame, context, answer.found);
    if (handled !== "again" && handled !== "asked") this.forget();
    return handled;
  }

  #ask(oid: number, functionOf: (oid: number) => Promise<ServerFunction | undefined>): void {
    const { log, name } = this.#gate.parts.options;
    const question: Question = { oid, answer: "out" };
    this.#question = question;
    const answered = (answer: Question["answer"]): void => {
      question.answer = answer;
      if (this.#question === question) this.#gate.parts.resume();
    };
    functionOf(oid).then(
      (found) => answered({ found }),
      () => {
        log.warn({ connection: name, code: "catalog-unavailable" }, "the catalog can't be asked about a function");
        answered("failed");
      },
    );
  }

  #decide(message: Message, frame: Buffer, context: SqlContext, f: ServerFunction | undefined): Handled {
    const gate = this.#gate;
    if (f === undefined) return gate.refuse(refusals.unknownFunction(message.oid), "query");
    const misfit = misfitOf(message, f);
    if (misfit) return gate.refuse(misfit, "query");
    const own: SqlContext = {
      ...context,
      parameterTypes: f.arguments.map(({ oid }) => oid),
      parameterFormats: message.parameterFormats,
    };
    const text = callStatement(f);
    const [called] = gate.decide(own, text, true);
    if (called?.statement === undefined || called.kind === "refuse") {
      return called?.kind === "refuse"
        ? gate.recordAndRefuse([called], refusalOf(called.refusal), "query")
        : gate.refuse(refusals.functionCall, "query");
    }
    if (gate.estimate(own, text, message.parameters) === "asked") return "asked";
    const verdict = gate.redecide(own, called.statement, message.parameters);
    if (verdict.kind === "refuse") return gate.recordAndRefuse([verdict], refusalOf(verdict.refusal), "query");
    // What the gateway would have to write in its place can't be written as such a message.
    if (!isPlainCall(verdict.rewritten, f)) return gate.refuse(refusals.functionCall, "query");
    const hindrance = gate.hindrance([verdict], "query");
    if (hindrance !== undefined) return hindrance;
    if (verdict.kind === "hold") {
      const copy = Buffer.from(frame);
      const values = message.parameters.map((p) => (p === null ? null : Buffer.from(p)));
      const then = (releases: readonly Release[]): Handled => this.#release(message.resultFormat, copy, f, releases);
      return gate.hold(own, [verdict], values, then, "query");
    }
    if (!gate.recordTogether([verdict], message.parameters)) return gate.refuse(refusals.notRecorded, "query");
    return this.#release(message.resultFormat, frame, f, [verdict]);
  }

  #release(resultFormat: number, frame: Buffer, f: ServerFunction, [release]: readonly Release[]): Handled {
    const gate = this.#gate;
    if (!release || !isPlainCall(release.rewritten, f)) return gate.refuse(refusals.functionCall, "query");
    const { state, toUpstream } = gate.parts;
    toUpstream.add(frame);
    gate.announce(release);
    const run = gate.newRun(release, [resultFormat]);
    state.sent({ kind: "function-call", run, segment: state.segment, hasReturned: false, hasFailed: false });
    state.nextSegment();
    return "done";
  }
}

/** In PostgreSQL's words, but for pseudo-types: what the server makes of those no statement says. */
function misfitOf({ parameters, parameterFormats }: Message, f: ServerFunction): Refusal | undefined {
  if (!f.isPlain) return refusals.notByMessage(f.name);
  const count = parameters.length;
  if (count !== f.arguments.length) return refusals.argumentCount(count, f.arguments.length);
  if (parameterFormats.length > 1 && parameterFormats.length !== count)
    return refusals.argumentFormats(parameterFormats.length, count);
  return f.arguments.some(({ isPseudo }) => isPseudo) ? refusals.functionCall : undefined;
}
