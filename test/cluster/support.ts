// `gw serve` with workers: who they are, what they log, and clients that lie on all of them
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { RecordedEvent } from "../../proxy/recording/read.ts";
import { eventually } from "../support/eventually.ts";

/** Process ids of the workers of `primary`, as the system has them. */
export function workersOf(primary: number | undefined): readonly number[] {
  const children = readFileSync(`/proc/${primary}/task/${primary}/children`, "utf8").trim();
  // One that has ended stays in the list until the primary has taken note.
  return children
    .split(" ")
    .filter((pid) => pid !== "")
    .map(Number)
    .filter(isRunning);
}

/** Same, once there are `count` of them. */
export const workersSoon = (primary: number | undefined, count: number): Promise<readonly number[]> =>
  eventually(() => {
    const found = workersOf(primary);
    return found.length === count ? found : undefined;
  });

export function isRunning(pid: number): boolean {
  try {
    // A process that has ended and was not waited for is gone as well.
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** A CancelRequest, and its end: the gateway closes when it has done what it can. */
export function sendCancel(port: number, processId: number, secret: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const packet = Buffer.alloc(12 + secret.length);
    packet.writeInt32BE(packet.length, 0);
    packet.writeInt32BE(80_877_102, 4);
    packet.writeInt32BE(processId, 8);
    secret.copy(packet, 12);
    const socket = connect(port, "127.0.0.1", () => socket.write(packet));
    socket.on("error", reject);
    socket.on("close", () => resolve());
    socket.resume();
  });
}

/** Which worker has which session: by the record of its start. */
export const startsOf = (events: readonly RecordedEvent[]): readonly string[] =>
  events.flatMap((event) => (event.type === "session-start" ? [event.session] : []));
