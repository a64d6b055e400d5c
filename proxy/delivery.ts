// messages -> one receiver, in order: bounded, retried, signed, never waited for
import { createHmac } from "node:crypto";
import { limits } from "../engine/limits.ts";

/** `refused`: the receiver doesn't want this message, and won't. `failed`: perhaps later. */
export type Outcome = "delivered" | "refused" | "failed";
export type DropReason = "queue-full" | "refused" | "given-up";

export type DeliveryOptions<M> = {
  /** Never throws. `signal` aborts when the queue is closed, and after `limits.webhookTimeoutMs`. */
  readonly attempt: (message: M, signal: AbortSignal) => Promise<Outcome>;
  readonly dropped: (message: M, why: DropReason) => void;
  /** First wait between attempts; default `limits.webhookBackoffMs`. */
  readonly backoffMs?: number;
  /** Messages that wait; over it the oldest is dropped. Default `limits.webhookQueueMax`. */
  readonly queueMax?: number;
};

/** The queue of one receiver. `put` returns at once. */
export class DeliveryQueue<M> {
  readonly #options: DeliveryOptions<M>;
  readonly #queue: M[] = [];
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: DeliveryOptions<M>) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  put(message: M): void {
    if (this.#stop.signal.aborted) return;
    if (this.#queue.length >= (this.#options.queueMax ?? limits.webhookQueueMax)) {
      const oldest = this.#queue.shift();
      if (oldest !== undefined) this.#options.dropped(oldest, "queue-full");
    }
    this.#queue.push(message);
    this.#running ??= this.#run();
  }

  /** Everything that waits was delivered or dropped. */
  idle(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  close(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    // `put` returns first: who puts is in the middle of a request.
    await Promise.resolve();
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) await this.#deliver(next);
    this.#running = undefined;
  }

  async #deliver(message: M): Promise<void> {
    let waitMs = this.#options.backoffMs ?? limits.webhookBackoffMs;
    const stop = this.#stop.signal;
    for (let attempt = 1; attempt <= limits.webhookAttemptsMax; attempt += 1) {
      if (stop.aborted) return;
      const signal = AbortSignal.any([stop, AbortSignal.timeout(limits.webhookTimeoutMs)]);
      const outcome = await this.#options.attempt(message, signal);
      if (outcome === "delivered") return;
      if (outcome === "refused") return this.#options.dropped(message, "refused");
      if (attempt < limits.webhookAttemptsMax) await pause(waitMs, stop);
      waitMs = Math.min(waitMs * 2, limits.webhookBackoffMaxMs);
    }
    if (!stop.aborted) this.#options.dropped(message, "given-up");
  }
}

/** One POST of JSON. @throws what `fetch` throws: the caller says what it means */
export async function postJson(
  url: string,
  text: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Outcome> {
  const response = await fetch(url, {
    method: "POST",
    redirect: "error",
    headers: { "content-type": "application/json", ...headers },
    body: text,
    signal,
  });
  await response.body?.cancel();
  if (response.ok) return "delivered";
  // 408 and 429 pass; other answers of 400 and more say that the message itself is not wanted.
  return response.status >= 500 || response.status === 408 || response.status === 429 ? "failed" : "refused";
}

/** `webhook-signature` of Standard Webhooks: HMAC-SHA256 over id, time of the attempt and body. Receivers refuse old times. */
export function signedHeaders(
  secret: string,
  id: string,
  nowMs: number,
  body: string,
): Readonly<Record<string, string>> {
  const timestamp = Math.floor(nowMs / 1_000);
  return {
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": `v1,${signatureOf(secret, id, timestamp, body)}`,
  };
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
