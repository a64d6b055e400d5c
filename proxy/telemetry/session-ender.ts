// rules with `@ends(session)`, findings of the monitor -> sessions that end at their next statement
import { limits } from "../../engine/limits.ts";
import type { Decision, RuleId } from "../../engine/model/decision.ts";
import type { Decided } from "./watch.ts";

/** Sessions that are over: nothing of them runs any more, on any protocol. */
export class SessionEnder {
  readonly #endsSession: () => ReadonlySet<RuleId> | undefined;
  /** In the order in which they were ended: the oldest is forgotten first, and has long been closed. */
  readonly #ended = new Set<string>();

  constructor(endsSession: () => ReadonlySet<RuleId> | undefined) {
    this.#endsSession = endsSession;
  }

  /** At once, in the turn of the decision: the next statement must find it done. */
  readonly decided = ({ decision, session }: Pick<Decided, "decision" | "session">): void => {
    if (decision === undefined || (decision.effect !== "deny" && decision.alerts.length === 0)) return;
    const rules = this.#endsSession();
    if (rules !== undefined && rules.size > 0 && appliedRules(decision).some((rule) => rules.has(rule)))
      this.end(session.id);
  };

  end(session: string): void {
    const oldest = this.#ended.values().next().value;
    if (this.#ended.size >= limits.endedSessionsMax && oldest !== undefined) this.#ended.delete(oldest);
    this.#ended.add(session);
  }

  readonly isEnded = ({ id }: { readonly id: string }): boolean => this.#ended.size > 0 && this.#ended.has(id);
}

const appliedRules = (decision: Decision): readonly RuleId[] => [
  ...(decision.effect === "deny" ? decision.rules : []),
  ...decision.alerts.map(({ rule }) => rule),
];
