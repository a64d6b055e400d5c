// decisions -> OPA's decision log, in batches, to a file or a service: bounded, never waited for
import { appendFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import { relationKey } from "../../engine/model/catalog.ts";
import type { Metric } from "../admin/metrics.ts";
import type { Log } from "../deps.ts";
import { causeCode } from "../errors.ts";
import { type DecisionRow, type Mask, opaEntry } from "./decision-entry.ts";
import type { Decided, Watcher } from "./watch.ts";

export type DecisionLogConfig = {
  readonly to:
    | { readonly kind: "file"; readonly path: string }
    /** Base address: `/logs` is added, as OPA does. */
    | { readonly kind: "http"; readonly url: string; readonly token: (() => Promise<string>) | undefined };
  readonly labels: Readonly<Record<string, string>>;
  readonly mask: Mask;
};

const compress = promisify(gzip);

export class DecisionLog implements Watcher {
  readonly #config: DecisionLogConfig;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  /** Rows, not events: what waits must not keep texts of statements in memory. */
  #waiting: DecisionRow[] = [];
  #sending: Promise<void> | undefined;
  #written = 0;
  #dropped = 0;
  #failure: string | undefined;

  constructor(config: DecisionLogConfig, node: string, log: Log) {
    this.#config = config;
    this.#labels = { id: node, app: "gatewright", ...config.labels };
    this.#log = log;
    this.#timer = setInterval(() => void this.send(), limits.telemetryBatchMs).unref();
  }

  readonly decided = (event: Decided): void => {
    this.#waiting.push(rowOf(event));
    if (this.#waiting.length <= limits.decisionLogWaitingMax) return;
    // A batch at a time: dropping one by one would move the whole list for each.
    this.#dropped += this.#waiting.splice(0, limits.decisionLogBatchMax).length;
  };

  /** Everything that waits, until something can't be delivered: that is tried again at the next turn. */
  send(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    const sent = (this.#sending ?? Promise.resolve()).then(() => this.send());
    await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, limits.telemetryDrainMs).unref())]);
  }

  metrics(): readonly Metric[] {
    const of = (name: string, help: string, value: number): Metric => ({
      name,
      help,
      type: "counter",
      samples: [{ labels: {}, value }],
    });
    return [
      of("gw_decision_log_entries_total", "entries of the decision log that were delivered", this.#written),
      of("gw_decision_log_dropped_total", "entries of the decision log that were dropped", this.#dropped),
    ];
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, limits.decisionLogBatchMax);
      const droppedBefore = this.#dropped;
      try {
        await this.#deliver(batch.map((row) => opaEntry(row, this.#labels, this.#config.mask)));
      } catch (error) {
        const code = error instanceof Refused ? error.message : causeCode(error);
        if (this.#failure !== code) this.#log.error({ code: "decision-log-failed", cause: code }, "it is tried again");
        this.#failure = code;
        return;
      }
      this.#failure = undefined;
      this.#written += batch.length;
      // Some of the batch may have been dropped meanwhile.
      this.#waiting.splice(0, Math.max(0, batch.length - (this.#dropped - droppedBefore)));
    }
  }

  async #deliver(entries: readonly object[]): Promise<void> {
    const { to } = this.#config;
    if (to.kind === "file") {
      await appendFile(to.path, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""), { mode: 0o640 });
      return;
    }
    const token = await to.token?.();
    const response = await fetch(`${to.url}/logs`, {
      method: "POST",
      redirect: "error",
      headers: {
        "content-type": "application/json",
        "content-encoding": "gzip",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: await compress(JSON.stringify(entries)),
      signal: AbortSignal.timeout(limits.webhookTimeoutMs),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Refused(`status ${response.status}`);
  }
}

class Refused extends Error {}

function rowOf({ atMs, decisionId, session, protocol, sql, access, effect, decision, ...of }: Decided): DecisionRow {
  const { sub, kind } = session.identity;
  const accesses =
    sql === undefined
      ? access === undefined
        ? []
        : [access]
      : sql.accesses.map(({ verb, relation }) =>
          relation === undefined ? verb : `${verb} ${relationKey(relation.schema, relation.name)}`,
        );
  return {
    ...{ atMs, decisionId, protocol, accesses, effect },
    session: session.id,
    connection: session.connection.name,
    principal: { sub: isKnown(sub) ? sub : "unknown", kind: isKnown(kind) ? kind : "unknown" },
    fingerprint: sql?.fingerprint,
    rules: decision?.rules ?? [],
    policyHash: of.policyHash,
    revision: of.revision,
  };
}
