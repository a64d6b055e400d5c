// connections that the primary hands to a worker -> none that waits for ever because the worker died with it in its hands
import type { ChildProcess } from "node:child_process";

/**
 * node:cluster keeps a connection open until the worker says that it has it, and does so for ever when the worker dies before:
 * the client would wait, and the descriptor be lost. What wasn't taken when it ends is closed here, as if it had been.
 *
 * SAFETY: the messages are Node's own (`NODE_CLUSTER`, `newconn`, `ack`). Where another Node speaks otherwise, nothing is noted and
 * nothing is done; `test/cluster/traffic.test.ts` kills a worker and asks at once.
 */
export function closeWhatIsNotTaken(child: ChildProcess): void {
  const handed = new Set<number>();
  const send = child.send.bind(child);
  Object.assign(child, {
    send: (...message: Parameters<typeof send>): boolean => {
      const seq = handoverOf(message[0]);
      if (seq !== undefined) handed.add(seq);
      return send(...message);
    },
  });
  child.on("internalMessage", (message: unknown) => {
    if (typeof message === "object" && message !== null && "ack" in message) handed.delete(Number(message.ack));
  });
  child.once("exit", () => {
    for (const seq of [...handed]) child.emit("internalMessage", { cmd: "NODE_CLUSTER", ack: seq, accepted: true });
  });
}

const handoverOf = (message: unknown): number | undefined =>
  typeof message === "object" &&
  message !== null &&
  "act" in message &&
  message.act === "newconn" &&
  "seq" in message &&
  typeof message.seq === "number"
    ? message.seq
    : undefined;
