// a decision's alerts -> the desk
import { isKnown } from "../../engine/lib/truth.ts";
import type { Decided, Watcher } from "../telemetry/watch.ts";
import type { RaisedAlert } from "./alert-message.ts";

/** Who asked, as records name it; "unknown" where the token didn't say. */
export const principalName = ({ session }: Pick<Decided, "session">): string =>
  isKnown(session.identity.sub) ? session.identity.sub : "unknown";

export const alertWatcher = (raise: (alert: RaisedAlert) => void): Watcher => ({
  decided: (event) => {
    const { atMs, decisionId, session, decision } = event;
    if (decision === undefined || decision.alerts.length === 0) return;
    for (const { rule, channel, severity, message } of decision.alerts) {
      raise({
        ...{ atMs, rule, channel, severity, message, decisionId },
        principal: principalName(event),
        connection: session.connection.name,
        session: session.id,
      });
    }
  },
});
