// Bundles that were in force, on disk: for starts without a network, for going back, and against being sent back.
import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { limits } from "../../engine/limits.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { z } from "../schema.ts";

export type StoredBundle = {
  /** SHA-256 of the packed bytes, 64 hex digits. */
  readonly digest: string;
  /** `sha256:…` of what it compiled to. */
  readonly hash: string;
  readonly revision: string;
  readonly serial: number | undefined;
  readonly source: string;
  readonly acceptedAtMs: number;
};

export type BundleState = {
  /** Each bundle once, in the order in which they were first in force. */
  readonly history: readonly StoredBundle[];
  /** Of the one that is in force, or was when the gateway ended. */
  readonly active: string | undefined;
  /** An operator's choice, in place of what the source has. */
  readonly pinned: string | undefined;
  /** The highest serial number that was ever in force. */
  readonly serialMax: number | undefined;
};

export type BundleStore = {
  readonly state: () => Promise<BundleState>;
  /** @throws GatewayError `bundle-store-damaged` when it isn't there or isn't what was stored */
  readonly bytes: (digest: string) => Promise<Uint8Array>;
  /** Keeps the bytes as the ones in force; durable when it resolves. */
  readonly accept: (bytes: Uint8Array, about: Omit<StoredBundle, "digest">) => Promise<StoredBundle>;
  /** Keeps bytes that aren't in force yet, e.g. of a shadow that is to be promoted. */
  readonly put: (bytes: Uint8Array) => Promise<string>;
  readonly pin: (digest: string | undefined) => Promise<void>;
};

const stateSchema = z.strictObject({
  version: z.literal(1),
  active: z.string().optional(),
  pinned: z.string().optional(),
  serial_max: z.int().optional(),
  history: z.array(
    z.strictObject({
      digest: z.string(),
      hash: z.string(),
      revision: z.string(),
      serial: z.int().optional(),
      source: z.string(),
      accepted_at_ms: z.number(),
    }),
  ),
});
const empty: BundleState = { history: [], active: undefined, pinned: undefined, serialMax: undefined };

/** Several processes may use one folder: each change is read, made and renamed into place. */
export function openBundleStore(folder: string): BundleStore {
  const statePath = join(folder, "state.json");
  const pathOf = (digest: string): string => join(folder, `${digest}.tar.gz`);

  const state = async (): Promise<BundleState> => {
    const text = await readFile(statePath, "utf8").catch((error: unknown) => {
      if (causeCode(error) === "ENOENT") return undefined;
      throw damaged(statePath, causeCode(error));
    });
    return text === undefined ? empty : decode(text, statePath);
  };
  const write = async (next: BundleState): Promise<void> => {
    const json = {
      version: 1,
      active: next.active,
      pinned: next.pinned,
      serial_max: next.serialMax,
      history: next.history.map(({ acceptedAtMs, ...rest }) => ({ ...rest, accepted_at_ms: acceptedAtMs })),
    };
    await writeDurably(statePath, new TextEncoder().encode(`${JSON.stringify(json, undefined, 2)}\n`));
  };
  const put = async (bytes: Uint8Array): Promise<string> => {
    const digest = sha256(bytes);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeDurably(pathOf(digest), bytes);
    return digest;
  };
  const forgetOld = async (kept: ReadonlySet<string>): Promise<void> => {
    for (const name of await readdir(folder)) {
      const digest = /^([0-9a-f]{64})\.tar\.gz$/.exec(name)?.[1];
      if (digest !== undefined && !kept.has(digest)) await rm(join(folder, name), { force: true });
    }
  };

  // One change at a time within a process.
  let running: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(change: () => Promise<T>): Promise<T> => {
    const mine = running.then(change);
    running = mine.catch(() => undefined);
    return mine;
  };

  return {
    state,
    put: (bytes) => inTurn(() => put(bytes)),
    bytes: async (digest) => {
      const path = pathOf(digest);
      const bytes = await readFile(path).catch((error: unknown) => {
        throw damaged(path, causeCode(error));
      });
      if (sha256(bytes) !== digest) throw damaged(path, "its content is not what its name says");
      return bytes;
    },
    accept: (bytes, about) =>
      inTurn(async () => {
        const digest = await put(bytes);
        const before = await state();
        const known = before.history.find((entry) => entry.digest === digest);
        if (known !== undefined && before.active === digest) return known;
        const stored = known ?? { digest, ...about };
        const all = known === undefined ? [...before.history, stored] : before.history;
        const history = all.slice(-limits.bundleHistoryMax);
        const serials = [before.serialMax, about.serial].filter((n): n is number => n !== undefined);
        const serialMax = serials.length === 0 ? undefined : Math.max(...serials);
        await write({ ...before, active: digest, history, serialMax });
        await forgetOld(new Set([digest, ...history.map((h) => h.digest), before.pinned ?? ""]));
        return stored;
      }),
    pin: (digest) =>
      inTurn(async () => {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await write({ ...(await state()), pinned: digest });
      }),
  };
}

function decode(text: string, path: string): BundleState {
  try {
    const { history, active, pinned, serial_max } = stateSchema.parse(JSON.parse(text));
    return {
      active,
      pinned,
      serialMax: serial_max,
      history: history.map(({ accepted_at_ms, serial, ...rest }) => ({
        ...rest,
        serial,
        acceptedAtMs: accepted_at_ms,
      })),
    };
  } catch {
    throw damaged(path, "it is not what a gateway wrote");
  }
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const damaged = (path: string, why: string): GatewayError =>
  new GatewayError(
    "bundle-store-damaged",
    `\`${path}\` can't be used: ${why}`,
    "move the folder away: the bundles are fetched again, and what was known of older ones is forgotten",
  );

/** Never half a file under its own name. */
async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`;
  const file = await open(draft, "w", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
