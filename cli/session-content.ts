// events with sealed fields + private key -> events in clear
import { readFileSync } from "node:fs";
import type { RecordedContent } from "../engine/model/session-event.ts";
import { causeCode, GatewayError } from "../proxy/errors.ts";
import { decryptCompact } from "../proxy/identity/jose.ts";
import type { RecordedEvent } from "../proxy/recording/read.ts";
import { keyIdOfSealed, sessionKey, unseal } from "../proxy/recording/seal.ts";

/** `key`: PKCS #8 PEM. @throws GatewayError where a field can't be opened with it */
export async function* openedEvents(events: AsyncIterable<RecordedEvent>, key: string): AsyncGenerator<RecordedEvent> {
  const wrapped = new Map<string, string>();
  const contentKeys = new Map<string, Uint8Array>();
  const contentKey = async (id: string): Promise<Uint8Array> => {
    const known = contentKeys.get(id);
    if (known !== undefined) return known;
    const jwe = wrapped.get(id);
    if (jwe === undefined) throw notOpened("the recording doesn't have the key that its fields are sealed under");
    const opened = await decryptCompact(jwe, key);
    if (!opened.ok) throw notOpened(opened.error);
    contentKeys.set(id, opened.value);
    return opened.value;
  };
  for await (const event of events) {
    if (event.type === "content-key") wrapped.set(event.id, event.wrapped);
    if (event.type !== "statement" || event.sealed === undefined) {
      yield event;
      continue;
    }
    const open = async (sealed: string | undefined): Promise<string | undefined> => {
      if (sealed === undefined) return undefined;
      const text = unseal(sealed, sessionKey(await contentKey(keyIdOfSealed(sealed) ?? ""), event.session));
      if (text === undefined) throw notOpened(`a field of \`${event.id}\` was changed`);
      return text;
    };
    const { sealed, ...rest } = event;
    const [values, statement] = [await open(sealed.values), await open(sealed.statement)];
    yield {
      ...rest,
      ...(statement === undefined ? {} : { statement }),
      // SAFETY: the key and the tag say that a gateway sealed its own list.
      ...(values === undefined ? {} : { values: JSON.parse(values) as NonNullable<RecordedContent["values"]> }),
    };
  }
}

const notOpened = (why: string): GatewayError =>
  new GatewayError("config-invalid", `sealed fields can't be opened: ${why}`, "give the private key to `--key`");

export function readKey(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new GatewayError("config-unreadable", `\`${path}\` can't be read: ${causeCode(error)}`, "check the path");
  }
}
