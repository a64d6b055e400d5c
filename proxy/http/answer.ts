// an upstream's answer + what must be done to it -> what the client gets
import { ContentFaultError, type CountLimit, tooLarge, unreadable } from "../../engine/content/content-fault.ts";
import { redactedText } from "../../engine/content/mask-value.ts";
import { maskText, readContentMasks } from "../../engine/content/masker.ts";
import { type ContentPlan, type ContentReader, readerFor } from "../../engine/content/transformer-for.ts";
import {
  type AnswerSchema,
  type ApiDescription,
  type ApiOperation,
  answerSchema,
  operationsOf,
} from "../../engine/http/api-description.ts";
import { httpFault } from "../../engine/http/faults.ts";
import type { CanonicalRequest, Field } from "../../engine/http/request.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { type Limits, limits } from "../../engine/limits.ts";
import type { Obligations } from "../../engine/model/decision.ts";
import type { Refusal, TrafficCompletion, Unable, Withdrawal } from "../gate/traffic.ts";
import { decodeBody } from "./decode-body.ts";
import type { HttpExchange, ResponseSink, UpstreamResponse } from "./exchange.ts";
import { problemOfRefusal } from "./problem.ts";

/** What a decision asks of the answer, understood and possible. */
export type AnswerPlan = {
  /** Headers as they go upstream. */
  readonly requestHeaders: (headers: readonly Field[]) => readonly Field[];
  /** Undefined: the content isn't looked at. */
  readonly content: ContentPlan | undefined;
  readonly schemaOf: (status: number, contentType: string | undefined) => AnswerSchema | undefined;
  /** Of the content as the client gets it. */
  readonly bytesMax: number | undefined;
};

export type AnswerDeps = {
  readonly limits: Limits;
  readonly maskKey: Uint8Array;
  /** Of the connection's OpenAPI document. */
  readonly api: ApiDescription | undefined;
};

export function planAnswer(
  obligations: Obligations,
  request: CanonicalRequest,
  { maskKey, api }: AnswerDeps,
): Result<AnswerPlan, Unable> {
  let bytesMax: number | undefined;
  let count: CountLimit | undefined;
  for (const { unit, max, window } of obligations.limits) {
    if (window !== undefined) continue;
    if (unit === "bytes") bytesMax = Math.min(max, bytesMax ?? max);
    else if (unit === "rows" || unit === "items")
      count = count !== undefined && count.max <= max ? count : { max, unit };
    else
      return err({
        code: "obligation-unsupported",
        message: `a limit of ${unit} on one answer can't be kept here`,
        help: undefined,
      });
  }
  const { content: asked = [], items: filters = [] } = obligations;
  const isMeasured = obligations.limits.some(
    ({ unit, window }) => window !== undefined && (unit === "rows" || unit === "items"),
  );
  if (asked.length === 0 && filters.length === 0 && count === undefined && !isMeasured) {
    return ok({ requestHeaders: (headers) => headers, content: undefined, schemaOf: () => undefined, bytesMax });
  }
  const masks = readContentMasks(asked, maskKey);
  if (!masks.ok)
    return err({
      code: "mask-not-applicable",
      message: masks.error,
      help: "the operator and the policy's owner must agree on it",
    });
  const hides = asked.length > 0 || filters.length > 0;
  if (hides && request.headers.some(([name]) => name === "if-match" || name === "if-unmodified-since")) {
    const { code, message } = httpFault("mask-preconditions");
    return err({ code, message, help: "send the request without them" });
  }
  const [operation, another] = api === undefined ? [] : operationsOf(api, request.method, request.path);
  if (masks.value.tags.length > 0) {
    const unable = whyUntagged(api, operation, another);
    if (unable !== undefined) return err(unable);
  }
  return ok({
    requestHeaders: readableOnly,
    content: { masks: masks.value, filters, count },
    schemaOf: (status, contentType) => operation && answerSchema(operation, status, contentType),
    bytesMax,
  });
}

/** Masks of tags stand and fall with the schema of the answer. */
function whyUntagged(
  api: ApiDescription | undefined,
  operation: ApiOperation | undefined,
  another: ApiOperation | undefined,
): Unable | undefined {
  const unable = (message: string, help: string): Unable => ({ code: "mask-not-applicable", message, help });
  if (api === undefined)
    return unable(
      "a rule masks what the API's document tags, and the connection has no document",
      "its owner gives the connection an `openapi` document",
    );
  if (operation === undefined)
    return unable(
      "a rule masks what the API's document tags, and the document doesn't have this route",
      "ask for a route of the document, or have it described there",
    );
  return another === undefined
    ? undefined
    : unable(
        "a rule masks what the API's document tags, and the document has two routes that are as near",
        "have the document describe this route by its own path",
      );
}

/** Validators, ranges and digests are of the content that isn't shown: asking with them would tell of it. */
const asksAboutContent: ReadonlySet<string> = new Set([
  "accept-encoding",
  "if-none-match",
  "if-modified-since",
  "if-range",
  "range",
  "want-digest",
  "want-repr-digest",
  "want-content-digest",
  "a-im",
]);

const readableOnly = (headers: readonly Field[]): readonly Field[] => [
  ...headers.filter(([name]) => !asksAboutContent.has(name)),
  ["accept-encoding", "identity"],
];

/** Headers of an answer that don't depend on what is hidden in it. */
const independent =
  /^(?:content-type|content-language|content-disposition|date|allow|retry-after|location|www-authenticate|x-request-id|x-correlation-id|ratelimit(?:-.*)?|x-ratelimit-.*|deprecation|sunset|access-control-.*|content-security-policy|referrer-policy|x-content-type-options|permissions-policy)$/;

type Done = Omit<TrafficCompletion, "durationUs">;

/** @throws when the client or the upstream goes away: the caller breaks the connection */
export async function sendAnswer(
  exchange: HttpExchange,
  answer: UpstreamResponse,
  plan: AnswerPlan,
  added: readonly Field[],
  decisionId: string,
  withdrawal?: Withdrawal,
): Promise<Done> {
  const { content, bytesMax } = plan;
  if (content === undefined && bytesMax === undefined) return passOn(exchange, answer, added);
  const sender = new Sender(exchange, answer, plan, added);
  try {
    if (content === undefined) await sendBounded(answer, sender);
    else
      await sendRead(
        exchange,
        answer,
        { ...content, schema: plan.schemaOf(answer.status, headerOf(answer, "content-type")) },
        sender,
      );
    return { outcome: "ok", tag: String(answer.status), ...sender.sent() };
  } catch (error) {
    if (withdrawal?.signal.aborted) {
      const { refusal } = withdrawal;
      answer.discard();
      sender.refuse(refusal, 403);
      return { outcome: "cancelled", tag: refusal.code, ...sender.sent() };
    }
    if (!(error instanceof ContentFaultError)) throw error;
    answer.discard();
    const { code } = error;
    const refusal: Refusal = {
      decisionId,
      code,
      reason: `${httpFault(code).message}: ${error.why}`,
      rules: [],
      help:
        code === "answer-too-large"
          ? "ask for less: a page, a filter, fewer fields"
          : "ask for another format, or show the decision to the policy's owner",
      approvalId: undefined,
      retry: "never",
    };
    sender.refuse(refusal, httpFault(code).status);
    return { outcome: "refused", tag: code, ...sender.sent() };
  }
}

/** As it comes, but for caches: what one caller may see is not for all. */
async function passOn(exchange: HttpExchange, answer: UpstreamResponse, added: readonly Field[]): Promise<Done> {
  const sink = exchange.stream({ status: answer.status, headers: [...privately(answer.headers), ...added] });
  for await (const chunk of answer.body) await sink.write(chunk);
  sink.end();
  return { outcome: "ok", tag: String(answer.status), rows: 0, bytes: sink.bytes() };
}

export function privately(headers: readonly Field[]): readonly Field[] {
  return headers.map(([name, value]): Field => {
    if (name !== "cache-control") return [name, value];
    const kept = value
      .split(",")
      .map((d) => d.trim())
      .filter((d) => !/^(?:public|s-maxage(?:=.*)?|proxy-revalidate)$/i.test(d) && d !== "");
    const isPrivate = kept.some((d) => /^(?:private|no-store)\b/i.test(d));
    return [name, [...kept, ...(isPrivate ? [] : ["private"])].join(", ")];
  });
}

async function sendBounded(answer: UpstreamResponse, sender: Sender): Promise<void> {
  const length = Number(headerOf(answer, "content-length") ?? Number.NaN);
  if (length > (sender.bytesMax ?? Number.POSITIVE_INFINITY)) throw tooLarge("its length says so");
  if (/^text\/event-stream\b/i.test(headerOf(answer, "content-type") ?? "")) sender.begin();
  for await (const chunk of answer.body) await sender.push(chunk);
  await sender.end();
}

async function sendRead(
  { request }: HttpExchange,
  answer: UpstreamResponse,
  plan: ContentPlan,
  sender: Sender,
): Promise<void> {
  const hasNoBody = request.method === "HEAD" || answer.status === 204 || answer.status === 304;
  if (hasNoBody) {
    answer.discard();
    sender.endWithoutBody();
    return;
  }
  if (answer.status === 206 || headerOf(answer, "content-range") !== undefined)
    throw unreadable("a part of a document");
  const body = decodeBody(headerOf(answer, "content-encoding"), answer.body);
  if (body === undefined) throw unreadable("a content coding that nobody knows");
  const reader = readerFor(headerOf(answer, "content-type"), plan);
  if (reader === undefined) {
    const why =
      plan.masks.tags.length > 0
        ? "an answer without a schema in the API's document"
        : "a content type that isn't read";
    for await (const chunk of body) if (chunk.byteLength > 0) throw unreadable(why);
    await sender.end();
    return;
  }
  sender.counts(reader);
  if (reader.isLive) sender.begin();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (chunk?: Uint8Array): string => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch {
      throw unreadable("text that isn't UTF-8");
    }
  };
  let isEmpty = true;
  for await (const chunk of body) {
    isEmpty &&= chunk.byteLength === 0;
    await sender.push(reader.transformer.push(decode(chunk)));
  }
  if (!isEmpty) await sender.push(reader.transformer.push(decode()) + reader.transformer.end());
  await sender.end();
}

const headerOf = ({ headers }: UpstreamResponse, name: string): string | undefined => {
  const values = headers.filter(([n]) => n === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(", ");
};

const blockBytes = 16_384;

/**
 * Holds back the beginning, so that what can't be let through is still a clean refusal; then writes blocks of one size:
 * where the upstream cut its answer tells of the lengths of what is hidden.
 */
class Sender {
  readonly bytesMax: number | undefined;
  readonly #exchange: HttpExchange;
  readonly #head: { readonly status: number; readonly headers: readonly Field[] };
  #reader: ContentReader | undefined;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #bytes = 0;
  #sink: ResponseSink | undefined;
  #isLive = false;

  constructor(
    exchange: HttpExchange,
    answer: UpstreamResponse,
    { content, bytesMax }: AnswerPlan,
    added: readonly Field[],
  ) {
    this.bytesMax = bytesMax;
    this.#exchange = exchange;
    const own = content === undefined ? privately(answer.headers) : readHeaders(answer.headers, content);
    this.#head = { status: answer.status, headers: [...own, ...added] };
  }

  counts(reader: ContentReader): void {
    this.#reader = reader;
  }

  /** Line by line from here on: where the upstream cut its events is no more told than where it cut its blocks. */
  begin(): void {
    this.#isLive = true;
    this.#sink ??= this.#exchange.stream(this.#head);
  }

  async push(chunk: Uint8Array | string): Promise<void> {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk, "utf8") : Buffer.from(chunk);
    if (bytes.byteLength === 0) return;
    this.#bytes += bytes.byteLength;
    if (this.bytesMax !== undefined && this.#bytes > this.bytesMax) throw tooLarge(`more than ${this.bytesMax} bytes`);
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.byteLength;
    if (this.#isLive) await this.#flushLines();
    else if (this.#sink !== undefined || this.#pendingBytes > holdBytes) await this.#flush(blockBytes);
  }

  async end(): Promise<void> {
    if (this.#sink === undefined) {
      this.#exchange.answer({ ...this.#head, body: Buffer.concat(this.#pending) });
      this.#pending = [];
      return;
    }
    await this.#flush(1);
    this.#sink.end();
  }

  endWithoutBody(): void {
    this.#exchange.stream(this.#head).end();
  }

  refuse(refusal: Refusal, status: number): void {
    if (this.#sink === undefined) {
      this.#bytes = 0;
      this.#exchange.answer(problemOfRefusal(refusal, status));
    } else this.#exchange.destroy();
  }

  sent = (): { readonly rows: number; readonly bytes: number } => ({
    rows: this.#reader?.transformer.count() ?? 0,
    bytes: this.#bytes,
  });

  async #flushLines(): Promise<void> {
    this.#sink ??= this.#exchange.stream(this.#head);
    const all = Buffer.concat(this.#pending);
    let start = 0;
    for (let end = all.indexOf(0x0a); end >= 0; end = all.indexOf(0x0a, start)) {
      await this.#sink.write(all.subarray(start, end + 1));
      start = end + 1;
    }
    this.#pending = start < all.byteLength ? [all.subarray(start)] : [];
    this.#pendingBytes = all.byteLength - start;
    if (this.#pendingBytes > holdBytes) await this.#flush(blockBytes);
  }

  async #flush(unit: number): Promise<void> {
    this.#sink ??= this.#exchange.stream(this.#head);
    const all = this.#pending.length === 1 ? (this.#pending[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#pending);
    const whole = unit === 1 ? all.byteLength : all.byteLength - (all.byteLength % unit);
    for (let at = 0; at < whole; at += blockBytes)
      await this.#sink.write(all.subarray(at, Math.min(whole, at + blockBytes)));
    this.#pending = whole < all.byteLength ? [all.subarray(whole)] : [];
    this.#pendingBytes = all.byteLength - whole;
  }
}

const holdBytes = limits.answerHoldBytes;

/** Links write `@` as `%40`: where only the decoded text has something to hide, nothing of it is shown. */
function maskHeader(value: string, masks: ContentPlan["masks"]): string {
  const decoded = value.replace(/(?:%[0-9A-Fa-f]{2})+/g, (escaped) =>
    Buffer.from(escaped.replaceAll("%", ""), "hex").toString("utf8"),
  );
  return maskText(decoded, masks) === decoded ? maskText(value, masks) : redactedText;
}

/** What depends on the hidden content is left out: validators, digests, lengths, whatever nobody knows. */
function readHeaders(headers: readonly Field[], { masks }: ContentPlan): readonly Field[] {
  const kept = headers
    .filter(([name]) => independent.test(name))
    .map(([name, value]): Field => [name, name === "content-type" ? value : maskHeader(value, masks)]);
  return [...kept, ["cache-control", "no-store"], ["vary", "authorization"]];
}
