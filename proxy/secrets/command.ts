// a command's output -> a secret, such as `aws rds generate-db-auth-token` prints it
import { spawn } from "node:child_process";
import { limits } from "../../engine/limits.ts";
import type { Fetched } from "./credential.ts";

/**
 * Run without a shell. The output is the secret itself; or JSON with `password` (or `token`), and `user` and `expiration`
 * (ISO 8601, any case) where it has them. What the command writes on standard error is thrown away: it may hold secrets.
 * @throws Error that names what went wrong, without output
 */
export async function secretOfCommand(
  argv: readonly string[],
  ttlMs: number,
  environment: Readonly<Record<string, string | undefined>>,
  nowMs: number,
): Promise<Fetched> {
  const text = (await run(argv, environment)).replace(/\r?\n$/, "");
  if (text === "") throw new Error("the command printed nothing");
  const fields = fieldsOf(text);
  if (fields === undefined) return { credential: { password: text }, ttlMs };
  const password = fields.get("password") ?? fields.get("token");
  if (password === undefined) throw new Error("the command's JSON has neither `password` nor `token`");
  const user = fields.get("user") ?? fields.get("username");
  const expiration = fields.get("expiration");
  const endsAtMs = expiration === undefined ? undefined : Date.parse(expiration);
  if (Number.isNaN(endsAtMs)) throw new Error("the command's `expiration` is not a time");
  return {
    credential: { password, ...(user === undefined ? {} : { user }) },
    ttlMs: endsAtMs === undefined ? ttlMs : Math.max(0, endsAtMs - nowMs),
  };
}

function fieldsOf(text: string): ReadonlyMap<string, string> | undefined {
  if (!text.startsWith("{")) return undefined;
  const json: unknown = JSON.parse(text);
  if (typeof json !== "object" || json === null) return undefined;
  const texts = Object.entries(json).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return new Map(texts.map(([name, value]) => [name.toLowerCase(), value]));
}

function run(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const [command = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"], env });
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => stop("the command took too long"), limits.secretTimeoutMs);
    const stop = (why: string): void => {
      child.kill("SIGKILL");
      reject(new Error(why));
    };
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > limits.secretBytesMax) stop("the command printed too much");
      else chunks.push(chunk);
    });
    child.once("error", () => {
      clearTimeout(timer);
      reject(new Error("the command can't be started"));
    });
    child.once("close", (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(Buffer.concat(chunks).toString("utf8"));
      else reject(new Error(`the command ended with ${code ?? "a signal"}`));
    });
  });
}
