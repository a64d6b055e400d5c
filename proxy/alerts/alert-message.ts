// What leaves the gateway about an alert. No text of statements, no row content beyond the rule's own message.

/** One thing that happened: raised by a rule, or by the gateway itself. */
export type RaisedAlert = {
  readonly atMs: number;
  readonly rule: string;
  readonly channel: string;
  readonly severity: string | undefined;
  /** The rule's own words. */
  readonly message: string;
  /** "" where nobody in particular caused it. */
  readonly principal: string;
  readonly connection: string;
  readonly session: string;
  readonly decisionId: string;
};

/** What a sink sends. `count`: how many alerts of this rule, principal and connection it stands for. */
export type AlertMessage = RaisedAlert & {
  readonly id: string;
  readonly node: string;
  readonly count: number;
  readonly firstAtMs: number;
};

export const severityOf = ({ severity }: RaisedAlert): "critical" | "error" | "warning" | "info" => {
  switch (severity?.toLowerCase()) {
    case "critical":
    case "fatal":
    case "emergency":
      return "critical";
    case "high":
    case "error":
      return "error";
    case "low":
    case "info":
    case "notice":
      return "info";
    default:
      return "warning";
  }
};

/** One line: `[warning] mass-delete: deletes without WHERE (ana on prod-pg, 12 times)`. */
export function lineOf(alert: AlertMessage): string {
  const who = alert.principal === "" ? "" : `${alert.principal} on `;
  const times = alert.count === 1 ? "" : `, ${alert.count} times`;
  return `[${severityOf(alert)}] ${alert.rule}: ${alert.message} (${who}${alert.connection || alert.node}${times})`;
}

/** What a webhook gets as `data`. */
export const dataOf = (alert: AlertMessage) => ({
  rule: alert.rule,
  channel: alert.channel,
  severity: severityOf(alert),
  message: alert.message,
  principal: alert.principal,
  connection: alert.connection,
  session: alert.session,
  decision_id: alert.decisionId,
  count: alert.count,
  first_at: new Date(alert.firstAtMs).toISOString(),
  last_at: new Date(alert.atMs).toISOString(),
  gateway: alert.node,
});
