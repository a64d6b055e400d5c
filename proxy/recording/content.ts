// What the recording says of bind values, texts, results and callers: nothing, in clear, or sealed for somebody else to read.
import { createHash, createPublicKey, randomBytes } from "node:crypto";
import { limits } from "../../engine/limits.ts";
import type { RecordedContent, RecordedFacts, RecordedResult, SessionEvent } from "../../engine/model/session-event.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { encryptCompact } from "../identity/jose.ts";
import { type BindValues, recordedTexts, recordedValues } from "./bind-values.ts";
import { type CallerFacts, recordedFacts } from "./caller-facts.ts";
import type { Recorder } from "./recorder.ts";
import type { ResultCaps } from "./results.ts";
import { headerOf, seal, sessionKey } from "./seal.ts";

/** Without `isSealed` whoever reads the recording reads it. */
export type ResultsConfig = ResultCaps & {
  readonly isSealed: boolean;
  /** Names of connections; undefined: all. */
  readonly connections: ReadonlySet<string> | undefined;
};
/** `names`: `mfa`, `email`, `purpose`, `owner_groups`, `claims.NAME`. */
export type FactsConfig = { readonly names: readonly string[]; readonly isSealed: boolean };

export type ContentConfig = (
  | {
      readonly kind: "clear";
      /** Bind values are counted and nothing else. */
      readonly hasNoValues?: true;
    }
  /** `to`: SPKI PEM. `isStatementSealed`: the text of statements as well. */
  | { readonly kind: "sealed"; readonly to: string; readonly isStatementSealed: boolean }
) & { readonly results?: ResultsConfig; readonly facts?: FactsConfig };

type StartFields = Pick<Extract<SessionEvent, { readonly type: "session-start" }>, "facts" | "sealed">;
type CompletionFields = Pick<Extract<SessionEvent, { readonly type: "completion" }>, "result" | "sealed">;

export type ContentRecorder = {
  /** The text of a statement doesn't stand in its event. */
  readonly isStatementSealed: boolean;
  /** Fields for the event of a statement. `text` as it would stand there. */
  readonly ofSql: (session: string, bound: BindValues, text: string) => RecordedContent | undefined;
  readonly ofTexts: (session: string, values: readonly (string | null)[], text: string) => RecordedContent | undefined;
  /** How much of an answer on this connection is to be kept for `ofResult`; undefined: nothing. */
  readonly resultCaps: (connection: string) => ResultCaps | undefined;
  /** Fields for the event of a completion. */
  readonly ofResult: (session: string, result: RecordedResult) => CompletionFields | undefined;
  /** The facts about a caller that are recorded: where they change, another session starts. "": none are. */
  readonly callerKey: (caller: CallerFacts) => string;
  /** Fields for the event of a session's start. */
  readonly ofCaller: (session: string, caller: CallerFacts) => StartFields | undefined;
  readonly close: () => void;
};

export type ContentOptions = {
  readonly recorder: Pick<Recorder, "recordIntent">;
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs?: number;
};

/** @throws GatewayError when the recipient's key can't be used, or the content key can't be put on record: a gateway doesn't start then */
export async function openContent(
  config: ContentConfig | undefined,
  options: ContentOptions,
): Promise<ContentRecorder | undefined> {
  if (config === undefined) return undefined;
  if (config.kind === "clear") {
    const isCounted = config.hasNoValues === true;
    return {
      isStatementSealed: false,
      ofSql: (_, bound) => inClear(isCounted || bound.values.length === 0 ? [] : recordedValues(bound)),
      ofTexts: (_, values) => inClear(isCounted || values.length === 0 ? [] : recordedTexts(values)),
      ...beside(config, undefined),
      close: () => undefined,
    };
  }
  const { to, isStatementSealed } = config;
  let keys = new SessionKeys(await recordNewKey(to, options));
  const timer = setInterval(() => {
    recordNewKey(to, options).then(
      (key) => {
        keys = new SessionKeys(key);
      },
      // The one in use goes on.
      (error: unknown) => options.log.error({ code: "record-failed", cause: causeCode(error) }, "no new content key"),
    );
  }, options.everyMs ?? limits.contentKeyEveryMs);
  timer.unref();
  const sealText = (session: string, text: string): string => seal(text, keys.of(session), keys.header);
  const sealed = (session: string, values: RecordedContent["values"], text: string): RecordedContent | undefined => {
    if (values === undefined && !isStatementSealed) return undefined;
    return {
      sealed: {
        ...(values === undefined ? {} : { values: sealText(session, JSON.stringify(values)) }),
        ...(isStatementSealed ? { statement: sealText(session, text) } : {}),
      },
    };
  };
  return {
    isStatementSealed,
    ofSql: (session, bound, text) =>
      sealed(session, bound.values.length === 0 ? undefined : recordedValues(bound), text),
    ofTexts: (session, values, text) => sealed(session, values.length === 0 ? undefined : recordedTexts(values), text),
    ...beside(config, sealText),
    close: () => clearInterval(timer),
  };
}

type SealText = (session: string, text: string) => string;

/** INVARIANT: what is to be sealed is never given in clear; without a key it is left out. */
function beside(
  { results, facts }: ContentConfig,
  sealText: SealText | undefined,
): Pick<ContentRecorder, "resultCaps" | "ofResult" | "callerKey" | "ofCaller"> {
  return {
    resultCaps: (connection) =>
      results === undefined || results.connections?.has(connection) === false ? undefined : results,
    ofResult: (session, result) => {
      if (results === undefined) return undefined;
      if (!results.isSealed) return { result };
      return sealText && { sealed: { result: sealText(session, JSON.stringify(result)) } };
    },
    callerKey: (caller) => (facts === undefined ? "" : JSON.stringify(recordedFacts(facts.names, caller))),
    ofCaller: (session, caller) => {
      if (facts === undefined) return undefined;
      const known: RecordedFacts = recordedFacts(facts.names, caller);
      if (!facts.isSealed) return { facts: known };
      return sealText && { sealed: { facts: sealText(session, JSON.stringify(known)) } };
    },
  };
}

const inClear = (values: NonNullable<RecordedContent["values"]>): RecordedContent | undefined =>
  values.length === 0 ? undefined : { values };

type ContentKey = { readonly id: string; readonly key: Uint8Array };

/** INVARIANT: a content key seals nothing before it is on record, for its recipient alone. */
async function recordNewKey(to: string, { recorder, clock }: ContentOptions): Promise<ContentKey> {
  const key = new Uint8Array(randomBytes(32));
  const wrapped = await encryptCompact(key, to);
  if (!wrapped.ok)
    throw new GatewayError("config-invalid", wrapped.error, "docs/recording-format.md says how to make one");
  const id = `key_${randomBytes(12).toString("hex")}`;
  const recipient = recipientOf(to);
  recorder.recordIntent([
    { atMs: clock.nowMs(), session: "", type: "content-key", id, recipient, wrapped: wrapped.value },
  ]);
  return { id, key };
}

/** First 16 hexadecimal digits of the SHA-256 of its SPKI in DER. */
export const recipientOf = (publicKey: string): string =>
  createHash("sha256")
    .update(createPublicKey(publicKey).export({ type: "spki", format: "der" }))
    .digest("hex")
    .slice(0, 16);

class SessionKeys {
  readonly header: string;
  readonly #contentKey: Uint8Array;
  readonly #known = new Map<string, Buffer>();

  constructor({ id, key }: ContentKey) {
    this.header = headerOf(id);
    this.#contentKey = key;
  }

  of(session: string): Buffer {
    const known = this.#known.get(session);
    if (known !== undefined) return known;
    // They are derived again where they are needed again.
    if (this.#known.size >= limits.sessionKeysKept) this.#known.clear();
    const key = sessionKey(this.#contentKey, session);
    this.#known.set(session, key);
    return key;
  }
}
