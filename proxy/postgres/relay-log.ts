// What the log says of one relay: ids and codes.
import { quietReasons } from "./endings.ts";
import type { RelayParts } from "./relay-parts.ts";

export class RelayLog {
  readonly #parts: Pick<RelayParts, "options" | "session">;

  constructor(parts: Pick<RelayParts, "options" | "session">) {
    this.#parts = parts;
  }

  broke(bug: unknown): void {
    const { options, session } = this.#parts;
    const cause = bug instanceof Error ? bug.name : "unknown";
    const at = bug instanceof Error ? /[\w-]+\.[jt]s:\d+:\d+/.exec(bug.stack ?? "")?.[0] : undefined;
    options.log.error({ session: session.id, code: "session-bug", cause, at }, "a session broke");
  }

  catalogNotRead(): void {
    const { options, session } = this.#parts;
    const fields = { session: session.id, connection: options.name, code: "catalog-refresh" };
    options.log.warn(fields, "the catalog could not be read again");
  }

  timedOut(): void {
    const { options, session } = this.#parts;
    options.log.info({ session: session.id, code: "statement-timeout" }, "cancelled");
  }

  ended(reason: string): void {
    const { options, session } = this.#parts;
    const fields = { session: session.id, connection: options.name, reason };
    if (quietReasons.has(reason)) options.log.info(fields, "session ended");
    else options.log.warn(fields, "session ended by the gateway");
  }
}
