// a session that its client left -> as good as a new one, or not to be used again
import type { Socket } from "node:net";
import { backendType, decodeReady } from "./protocol/backend.ts";
import { encodeQuery } from "./protocol/encode.ts";
import { FrameReader, type FrameRules } from "./protocol/frame.ts";
import { readShared } from "./shared-reads.ts";
import type { UpstreamSession } from "./upstream.ts";

/**
 * What DISCARD ALL is believed to undo, asked of the server: role, settings, names, cursors, channels, temporary tables and
 * advisory locks. Operators by their full names: the client chose the search_path that a reset comes back to.
 */
const isClean = (user: string): string => `SELECT current_user OPERATOR(pg_catalog.=) '${user.replaceAll("'", "''")}'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_statements)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE name OPERATOR(pg_catalog.<>) '')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_listening_channels())
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks
    WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())`;

const rules: FrameRules = { lengthMax: () => 65_536, isStreamed: () => false };

/** `socket` is idle at the server, outside of a transaction, and nobody else reads it. */
export function resetSession(socket: Socket, { user }: UpstreamSession, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const reader = new FrameReader(rules);
    const questions = ["DISCARD ALL", isClean(user)];
    let isTrue = false;
    const askNext = (): void => {
      const text = questions.shift();
      if (text === undefined) finish(isTrue && reader.waitingBytes === 0);
      else socket.write(encodeQuery(text));
    };
    const finish = (isReset: boolean): void => {
      clearTimeout(late);
      readShared(socket, () => undefined);
      socket.off("end", fail).off("close", fail);
      resolve(isReset);
    };
    const fail = (): void => finish(false);
    const late = setTimeout(fail, timeoutMs);
    socket.once("end", fail).once("close", fail);
    readShared(socket, (chunk) => {
      reader.push(chunk);
      for (;;) {
        const step = reader.next();
        if (step.kind !== "frame") {
          if (step.kind === "fault") fail();
          break;
        }
        const { type, bytes } = step.frame;
        if (type === backendType.error) fail();
        if (type === backendType.dataRow) isTrue = bytes.at(-1) === 0x74;
        if (type === backendType.readyForQuery) {
          if (decodeReady(bytes) === "idle") askNext();
          else fail();
        }
      }
      reader.release();
    });
    socket.resume();
    askNext();
  });
}
