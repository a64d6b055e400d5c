// Copies of checkpoints: another file, a webhook, object storage with a lock.
import { appendFile } from "node:fs/promises";
import { limits } from "../../engine/limits.ts";
import { objectPutter, type S3Target } from "../object-storage.ts";
import type { CheckpointSink } from "./checkpointer.ts";

export type CheckpointSinkConfig =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "webhook"; readonly url: string; readonly token: (() => Promise<string>) | undefined }
  | { readonly kind: "s3"; readonly target: S3Target; readonly prefix: string; readonly lockDays: number | undefined };

export function sinkOf(config: CheckpointSinkConfig): CheckpointSink {
  switch (config.kind) {
    case "file":
      return { name: config.path, send: (line) => appendFile(config.path, `${line}\n`, { mode: 0o640, flush: true }) };
    case "webhook":
      return { name: new URL(config.url).origin, send: (line, _, signal) => post(config, line, signal) };
    case "s3": {
      const put = objectPutter(config.target);
      return {
        name: `s3://${config.target.bucket}/${config.prefix}`,
        send: (line, { node, size, atMs }, signal) => {
          const lockedUntil =
            config.lockDays === undefined ? undefined : new Date(atMs + config.lockDays * limits.dayMs);
          const key = `${config.prefix}${node}/${String(size).padStart(15, "0")}.jws`;
          return put(key, new TextEncoder().encode(line), { contentType: "application/jose", lockedUntil, signal });
        },
      };
    }
  }
}

/** The body is the JWS itself: whoever receives it can check it. */
async function post(
  { url, token }: CheckpointSinkConfig & { readonly kind: "webhook" },
  line: string,
  signal: AbortSignal,
): Promise<void> {
  const bearer = await token?.();
  const response = await fetch(url, {
    method: "POST",
    body: line,
    redirect: "error",
    signal,
    headers: {
      "content-type": "application/jose",
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    },
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`answered ${response.status}`);
}
