// events with sealed fields + private key -> events in clear
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RecordedContent, RecordedFacts, RecordedResult } from "../engine/model/session-event.ts";
import { causeCode, GatewayError } from "../proxy/errors.ts";
import { decryptCompact } from "../proxy/identity/jose.ts";
import { chainFolders } from "../proxy/recording/chains.ts";
import { pruneRecords } from "../proxy/recording/prunes.ts";
import type { RecordedEvent } from "../proxy/recording/read.ts";
import { keyIdOfSealed, sessionKey, unseal } from "../proxy/recording/seal.ts";

/** Content keys whose own lines were pruned, of every chain: a record of pruning has those that are still needed. */
export const prunedKeys = (directory: string): ReadonlyMap<string, string> =>
  new Map(
    chainFolders(directory).flatMap((chain) =>
      pruneRecords(join(directory, chain)).flatMap(({ keys }) => keys.map(({ id, wrapped }) => [id, wrapped] as const)),
    ),
  );

/** `key`: PKCS #8 PEM. @throws GatewayError where a field can't be opened with it */
export async function* openedEvents(
  events: AsyncIterable<RecordedEvent>,
  key: string,
  earlier: ReadonlyMap<string, string> = new Map(),
): AsyncGenerator<RecordedEvent> {
  const wrapped = new Map(earlier);
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
    if (event.type === "prune") for (const key of event.keys) wrapped.set(key.id, key.wrapped);
    const sealed = "sealed" in event ? event.sealed : undefined;
    if (sealed === undefined) {
      yield event;
      continue;
    }
    const open = async (name: string): Promise<string | undefined> => {
      const field: unknown = Reflect.get(sealed, name);
      if (typeof field !== "string") return undefined;
      const text = unseal(field, sessionKey(await contentKey(keyIdOfSealed(field) ?? ""), event.session));
      if (text === undefined)
        throw notOpened(`a field of ${"id" in event ? `\`${event.id}\`` : "a session's start"} was changed`);
      return text;
    };
    yield await openedEvent(event, open);
  }
}

/** SAFETY: the key and the tag say that a gateway sealed its own fields. */
async function openedEvent(
  event: RecordedEvent,
  open: (name: string) => Promise<string | undefined>,
): Promise<RecordedEvent> {
  switch (event.type) {
    case "statement": {
      const { sealed: _, ...rest } = event;
      const [values, statement] = [await open("values"), await open("statement")];
      return {
        ...rest,
        ...(statement === undefined ? {} : { statement }),
        ...(values === undefined ? {} : { values: JSON.parse(values) as NonNullable<RecordedContent["values"]> }),
      };
    }
    case "completion": {
      const { sealed: _, ...rest } = event;
      const result = await open("result");
      return { ...rest, ...(result === undefined ? {} : { result: JSON.parse(result) as RecordedResult }) };
    }
    case "session-start": {
      const { sealed: _, ...rest } = event;
      const facts = await open("facts");
      return { ...rest, ...(facts === undefined ? {} : { facts: JSON.parse(facts) as RecordedFacts }) };
    }
    default:
      return event;
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
