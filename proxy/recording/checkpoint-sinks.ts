// Copies of checkpoints: another file, a webhook, object storage with a lock.
import { open } from "node:fs/promises";
import { limits } from "../../engine/limits.ts";
import { objectPutter, type S3Target } from "../object-storage.ts";
import type { CheckpointSink } from "./checkpointer.ts";
import { hashOfCheckpoint } from "./checkpoints.ts";

export type CheckpointSinkConfig =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "webhook"; readonly url: string; readonly token: (() => Promise<string>) | undefined }
  | { readonly kind: "s3"; readonly target: S3Target; readonly prefix: string; readonly lockDays: number | undefined };

export function sinkOf(config: CheckpointSinkConfig): CheckpointSink {
  switch (config.kind) {
    case "file":
      return { name: config.path, send: (line) => appendLine(config.path, line) };
    case "webhook":
      return { name: new URL(config.url).origin, send: (line, _, signal) => post(config, line, signal) };
    case "s3": {
      const put = objectPutter(config.target);
      return {
        name: `s3://${config.target.bucket}/${config.prefix}`,
        send: (line, { node, size, atMs }, signal) => {
          const lockedUntil =
            config.lockDays === undefined ? undefined : new Date(atMs + config.lockDays * limits.dayMs);
          // Its hash in the name: another checkpoint of the same size stands beside it, and doesn't take its place.
          const name = `${String(size).padStart(15, "0")}-${hashOfCheckpoint(line).slice(0, 16)}`;
          const key = `${config.prefix}${node}/${name}.jws`;
          return put(key, new TextEncoder().encode(line), { contentType: "application/jose", lockedUntil, signal });
        },
      };
    }
  }
}

/** What a crash tore before it must not take this one along. */
async function appendLine(path: string, line: string): Promise<void> {
  const file = await open(path, "a+", 0o640);
  try {
    const { size } = await file.stat();
    const { buffer } = size === 0 ? { buffer: Buffer.from("\n") } : await file.read(Buffer.alloc(1), 0, 1, size - 1);
    await file.appendFile(`${buffer[0] === 0x0a ? "" : "\n"}${line}\n`);
    await file.datasync();
  } finally {
    await file.close();
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
