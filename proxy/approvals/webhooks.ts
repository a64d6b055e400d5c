// changes of approvals -> signed messages to other systems, and to channels of people
import { createHmac } from "node:crypto";
import { limits } from "../../engine/limits.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode } from "../errors.ts";
import type { Approval } from "./approval.ts";
import type { ApprovalChange, ApprovalDesk, RecordedState } from "./desk.ts";
import { slackMessage } from "./slack.ts";

export type HookConfig = {
  readonly name: string;
  readonly url: () => Promise<string>;
  /** `signed`: Standard Webhooks (standardwebhooks.com). `slack`: what Slack's incoming webhooks take. */
  readonly form:
    | { readonly kind: "signed"; readonly secret: () => Promise<string> }
    /** `pageOrigin`: where the approval page is, for a link. */
    | { readonly kind: "slack"; readonly pageOrigin: string | undefined };
  readonly events: ReadonlySet<RecordedState>;
};

export type HookDeps = {
  readonly desk: Pick<ApprovalDesk, "watch" | "list">;
  readonly show: (approval: Approval) => object;
  readonly clock: Clock;
  readonly log: Log;
  /** First wait between attempts; default `limits.webhookBackoffMs`. */
  readonly backoffMs?: number;
};

type Message = { readonly id: string; readonly change: ApprovalChange; readonly atMs: number };

export type Hooks = { readonly close: () => void };

/**
 * Each receiver has a queue of its own, in order. A message's id is the same in every attempt, from every gateway and
 * after a restart, so that a receiver can drop what it has had. What is still pending is told again at start: a request that
 * was made just before a crash is not lost.
 */
export function startHooks(configs: readonly HookConfig[], deps: HookDeps): Hooks {
  const receivers = configs.map((config) => new Receiver(config, deps));
  const tell = (change: ApprovalChange): void => {
    const message = { id: `${change.approval.id}.${change.what}`, change, atMs: deps.clock.nowMs() };
    for (const receiver of receivers) receiver.put(message);
  };
  const stop = deps.desk.watch(tell);
  if (configs.length > 0) {
    deps.desk.list("pending").then(
      (pending) => {
        for (const approval of pending) tell({ approval, what: "requested" });
      },
      () => undefined, // the store is down: what is pending is told when it is asked again
    );
  }
  return {
    close: () => {
      stop();
      for (const receiver of receivers) receiver.close();
    },
  };
}

class Receiver {
  readonly #config: HookConfig;
  readonly #deps: HookDeps;
  readonly #queue: Message[] = [];
  /** Ids that were put: the same change, seen twice, is one message. */
  readonly #seen = new Set<string>();
  readonly #stop = new AbortController();
  #isRunning = false;

  constructor(config: HookConfig, deps: HookDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  put(message: Message): void {
    if (!this.#config.events.has(message.change.what) || this.#seen.has(message.id)) return;
    const oldest = this.#seen.values().next().value;
    if (this.#seen.size >= limits.webhookQueueMax * 4 && oldest !== undefined) this.#seen.delete(oldest);
    // Several people approve: each is news of its own kind, told once for each count of votes.
    if (message.change.what !== "approved") this.#seen.add(message.id);
    if (this.#queue.length >= limits.webhookQueueMax) this.#drop(this.#queue.shift(), "webhook-queue-full");
    this.#queue.push(message);
    if (!this.#isRunning) void this.#run();
  }

  close(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) await this.#deliver(next);
    this.#isRunning = false;
  }

  async #deliver(message: Message): Promise<void> {
    let waitMs = this.#deps.backoffMs ?? limits.webhookBackoffMs;
    for (let attempt = 1; attempt <= limits.webhookAttemptsMax; attempt += 1) {
      if (this.#stop.signal.aborted) return;
      const outcome = await this.#attempt(message);
      if (outcome === "delivered") return;
      if (outcome === "refused") return this.#drop(message, "webhook-refused");
      if (attempt < limits.webhookAttemptsMax) await pause(waitMs, this.#stop.signal);
      waitMs = Math.min(waitMs * 2, limits.webhookBackoffMaxMs);
    }
    this.#drop(message, "webhook-given-up");
  }

  async #attempt(message: Message): Promise<"delivered" | "refused" | "failed"> {
    try {
      const { form, url } = this.#config;
      const body = form.kind === "slack" ? slackMessage(message.change, form.pageOrigin) : this.#signedBody(message);
      const text = JSON.stringify(body);
      const headers = form.kind === "slack" ? {} : this.#signature(message.id, text, await form.secret());
      const response = await fetch(await url(), {
        method: "POST",
        redirect: "error",
        headers: { "content-type": "application/json", ...headers },
        body: text,
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(limits.webhookTimeoutMs)]),
      });
      await response.body?.cancel();
      if (response.ok) return "delivered";
      // 408 and 429 pass; other answers of 400 and more say that the message itself is not wanted.
      return response.status >= 500 || response.status === 408 || response.status === 429 ? "failed" : "refused";
    } catch (error) {
      this.#deps.log.debug(
        { code: "webhook-failed", hook: this.#config.name, cause: causeCode(error) },
        "not delivered yet",
      );
      return "failed";
    }
  }

  #signedBody({ change, atMs }: Message): object {
    return {
      type: `approval.${change.what}`,
      timestamp: new Date(atMs).toISOString(),
      data: this.#deps.show(change.approval),
    };
  }

  /** `webhook-signature`: HMAC-SHA256 over id, time of the attempt and body. Receivers refuse old times. */
  #signature(id: string, body: string, secret: string): Readonly<Record<string, string>> {
    const timestamp = Math.floor(this.#deps.clock.nowMs() / 1_000);
    return {
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": `v1,${signatureOf(secret, id, timestamp, body)}`,
    };
  }

  #drop(message: Message | undefined, code: string): void {
    if (message === undefined) return;
    this.#deps.log.error(
      { code, hook: this.#config.name, message: message.id },
      "a message about an approval was dropped",
    );
  }
}

/** Base64. `secret`: base64 behind `whsec_`, as the standard writes it, else its bytes as they are. */
export function signatureOf(secret: string, id: string, timestampS: number, body: string): string {
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret, "utf8");
  return createHmac("sha256", key).update(`${id}.${timestampS}.${body}`).digest("base64");
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    timer.unref();
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}
