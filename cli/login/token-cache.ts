// The tokens of `gw login`, one file for each gateway, for its owner's eyes only.
import { createHash, randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { causeCode, GatewayError } from "../../proxy/errors.ts";
import { z } from "../../proxy/schema.ts";

const cachedSchema = z.strictObject({
  admin: z.string(),
  token: z.string().min(1),
  /** Ms since the epoch. */
  expiresAtMs: z.number(),
  refreshToken: z.string().min(1).optional(),
  use: z.enum(["access", "id"]),
  client: z.strictObject({
    issuer: z.string(),
    clientId: z.string(),
    scope: z.string(),
    resource: z.string().optional(),
  }),
});

export type CachedLogin = z.infer<typeof cachedSchema>;

/** `GW_HOME`, else where the system keeps a user's settings. */
export function loginFolder(environment: NodeJS.ProcessEnv): string {
  const base = environment.GW_HOME ?? join(environment.XDG_CONFIG_HOME ?? join(homedir(), ".config"), "gatewright");
  return join(base, "logins");
}

/** Two spellings of one address are two logins; nothing is shared between gateways. */
const fileOf = (folder: string, admin: string): string =>
  join(folder, `${createHash("sha256").update(new URL(admin).href).digest("hex").slice(0, 32)}.json`);

/** @throws GatewayError `config-invalid` when others could read or swap it: then it may be nobody's or everybody's */
export function readLogin(folder: string, admin: string): CachedLogin | undefined {
  const path = fileOf(folder, admin);
  let text: string;
  try {
    const { mode, uid } = lstatSync(path);
    const isOthers = process.getuid !== undefined && uid !== process.getuid();
    if ((mode & 0o170077) !== 0o100000 || isOthers) {
      throw new GatewayError(
        "config-invalid",
        `the login in \`${path}\` is not a file that only you can read`,
        `remove it, and run \`gw login\` again`,
      );
    }
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (causeCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const parsed = cachedSchema.safeParse(parseJson(text));
  return parsed.success && parsed.data.admin === new URL(admin).href ? parsed.data : undefined;
}

/** Whole or not at all, with mode 0600 from its first byte on. */
export function writeLogin(folder: string, login: CachedLogin): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = fileOf(folder, login.admin);
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  writeFileSync(draft, JSON.stringify(login), { mode: 0o600, flag: "wx" });
  renameSync(draft, path);
}

export function removeLogin(folder: string, admin: string): boolean {
  const path = fileOf(folder, admin);
  const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  rmSync(path, { force: true });
  return isThere;
}

/** How long another process may take to refresh, before its lock is taken for a dead one's. */
const lockMs = 30_000;

/** One process refreshes at a time: a refresh token is often good once. The others wait and read what it wrote. */
export async function withLock<T>(folder: string, admin: string, run: () => Promise<T>): Promise<T> {
  const lock = `${fileOf(folder, admin)}.lock`;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { mode: 0o600, flag: "wx" });
      break;
    } catch (error) {
      if (causeCode(error) !== "EEXIST") throw error;
      const held = lstatSync(lock, { throwIfNoEntry: false });
      if (held !== undefined && Date.now() - held.mtimeMs > lockMs) rmSync(lock, { force: true });
      else await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  try {
    return await run();
  } finally {
    rmSync(lock, { force: true });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
