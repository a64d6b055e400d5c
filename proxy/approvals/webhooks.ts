// changes of approvals -> signed messages to other systems, and to channels of people
import { limits } from "../../engine/limits.ts";
import { DeliveryQueue, type Outcome, postJson, signedHeaders } from "../delivery.ts";
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
  readonly #queue: DeliveryQueue<Message>;
  /** Ids that were put: the same change, seen twice, is one message. */
  readonly #seen = new Set<string>();

  constructor(config: HookConfig, deps: HookDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#queue = new DeliveryQueue({
      attempt: (message, signal) => this.#attempt(message, signal),
      dropped: ({ id }, why) =>
        deps.log.error(
          { code: `webhook-${why}`, hook: config.name, message: id },
          "a message about an approval was dropped",
        ),
      ...(deps.backoffMs === undefined ? {} : { backoffMs: deps.backoffMs }),
    });
  }

  put(message: Message): void {
    if (!this.#config.events.has(message.change.what) || this.#seen.has(message.id)) return;
    const oldest = this.#seen.values().next().value;
    if (this.#seen.size >= limits.webhookQueueMax * 4 && oldest !== undefined) this.#seen.delete(oldest);
    // Several people approve: each is news of its own kind, told once for each count of votes.
    if (message.change.what !== "approved") this.#seen.add(message.id);
    this.#queue.put(message);
  }

  close(): void {
    this.#queue.close();
  }

  async #attempt(message: Message, signal: AbortSignal): Promise<Outcome> {
    try {
      const { form, url } = this.#config;
      const body = form.kind === "slack" ? slackMessage(message.change, form.pageOrigin) : this.#signedBody(message);
      const text = JSON.stringify(body);
      const headers =
        form.kind === "slack" ? {} : signedHeaders(await form.secret(), message.id, this.#deps.clock.nowMs(), text);
      return await postJson(await url(), text, headers, signal);
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
}
