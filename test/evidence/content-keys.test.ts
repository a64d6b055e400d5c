// Content keys: each has its hour, is on record before it is used, and the one in use goes on where no new one can be recorded.
import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { openedEvents } from "../../cli/session-content.ts";
import { limits } from "../../engine/limits.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { silentLog } from "../../proxy/log.ts";
import { openContent } from "../../proxy/recording/content.ts";
import type { EventText } from "../../proxy/recording/event-text.ts";
import type { RecordedEvent } from "../../proxy/recording/read.ts";
import { keyIdOfSealed } from "../../proxy/recording/seal.ts";
import { eventually } from "../support/eventually.ts";

const auditor = generateKeyPairSync("x25519");
const to = String(auditor.publicKey.export({ type: "spki", format: "pem" }));
const pem = String(auditor.privateKey.export({ type: "pkcs8", format: "pem" }));
createPrivateKey(pem);

test("each hour has a content key of its own, recorded before it seals, and one that can't be recorded isn't used", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const events: SessionEvent[] = [];
  let nowMs = Date.UTC(2026, 0, 1);
  let isFull = false;
  const content = await openContent(
    { kind: "sealed", to, isStatementSealed: true },
    {
      recorder: {
        recordIntent: (given: readonly (SessionEvent | EventText)[]) => {
          if (isFull) throw new GatewayError("record-failed", "full");
          for (const event of given) if (typeof event !== "string") events.push(event);
        },
      },
      clock: { nowMs: () => nowMs },
      log: { ...silentLog, error: (fields) => void failures.push(fields) },
    },
  );
  const failures: object[] = [];
  t.after(() => content?.close());
  const keysRecorded = () => events.flatMap((event) => (event.type === "content-key" ? [event.id] : []));
  const sealedUnder = (): string => {
    const sealed = content?.ofTexts("ses_1", ["v"], "text")?.sealed?.statement ?? "";
    events.push({
      atMs: nowMs,
      session: "ses_1",
      type: "statement",
      id: `dec_${events.length}`,
      sealed: { statement: sealed },
    } as SessionEvent);
    return keyIdOfSealed(sealed) ?? "";
  };
  const pass = (ms: number): void => {
    nowMs += ms;
    t.mock.timers.tick(ms);
  };
  const first = sealedUnder();
  assert.deepEqual(keysRecorded(), [first]);
  pass(limits.contentKeyEveryMs - 1);
  assert.equal(sealedUnder(), first);
  pass(1);
  const second = await eventually(() => (keysRecorded().length === 2 ? keysRecorded()[1] : undefined));
  await eventually(() => (sealedUnder() === second ? true : undefined));
  isFull = true;
  pass(limits.contentKeyEveryMs);
  await eventually(() => (failures.length > 0 ? true : undefined));
  assert.equal(sealedUnder(), second);
  assert.deepEqual(failures, [{ code: "record-failed", cause: "record-failed" }]);
  isFull = false;
  pass(limits.contentKeyEveryMs);
  const third = await eventually(() => (keysRecorded().length === 3 ? keysRecorded()[2] : undefined));
  await eventually(() => (sealedUnder() === third ? true : undefined));
  assert.equal(new Set([first, second, third]).size, 3);
  // A key precedes whatever it seals: read in order, every field opens.
  async function* recorded(): AsyncGenerator<RecordedEvent> {
    for (const [i, event] of events.entries()) yield { ...event, seq: i + 1, hash: "" };
  }
  for await (const event of openedEvents(recorded(), pem)) {
    if (event.type === "statement") assert.equal(event.statement, "text");
  }
});
