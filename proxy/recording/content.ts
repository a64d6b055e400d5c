// What the recording says of bind values and of statements' texts: counted, in clear, or sealed for somebody else to read.
import { createHash, createPublicKey, randomBytes } from "node:crypto";
import { limits } from "../../engine/limits.ts";
import type { RecordedContent } from "../../engine/model/session-event.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { encryptCompact } from "../identity/jose.ts";
import { type BindValues, recordedTexts, recordedValues } from "./bind-values.ts";
import type { Recorder } from "./recorder.ts";
import { headerOf, seal, sessionKey } from "./seal.ts";

export type ContentConfig =
  | { readonly kind: "clear" }
  /** `to`: SPKI PEM. `isStatementSealed`: the text of statements as well. */
  | { readonly kind: "sealed"; readonly to: string; readonly isStatementSealed: boolean };

export type ContentRecorder = {
  /** The text of a statement doesn't stand in its event. */
  readonly isStatementSealed: boolean;
  /** Fields for the event of a statement. `text` as it would stand there. */
  readonly ofSql: (session: string, bound: BindValues, text: string) => RecordedContent | undefined;
  readonly ofTexts: (session: string, values: readonly (string | null)[], text: string) => RecordedContent | undefined;
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
    return {
      isStatementSealed: false,
      ofSql: (_, bound) => inClear(bound.values.length === 0 ? [] : recordedValues(bound)),
      ofTexts: (_, values) => inClear(values.length === 0 ? [] : recordedTexts(values)),
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
  const sealed = (session: string, values: RecordedContent["values"], text: string): RecordedContent | undefined => {
    if (values === undefined && !isStatementSealed) return undefined;
    const { header } = keys;
    const key = keys.of(session);
    return {
      sealed: {
        ...(values === undefined ? {} : { values: seal(JSON.stringify(values), key, header) }),
        ...(isStatementSealed ? { statement: seal(text, key, header) } : {}),
      },
    };
  };
  return {
    isStatementSealed,
    ofSql: (session, bound, text) =>
      sealed(session, bound.values.length === 0 ? undefined : recordedValues(bound), text),
    ofTexts: (session, values, text) => sealed(session, values.length === 0 ? undefined : recordedTexts(values), text),
    close: () => clearInterval(timer),
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
