// policy folder -> compiled bundle, swapped atomically; a broken edit keeps the old one and says so.
import { createHash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { err, ok, type Result } from "../engine/lib/result.ts";
import { limits } from "../engine/limits.ts";
import type { PolicySet } from "../engine/model/policy.ts";
import type { Clock, Log } from "./deps.ts";
import { causeCode, GatewayError } from "./errors.ts";
import type { Reloadable } from "./reload.ts";

/** The files of a bundle (policies, JSON documents, manifest.yaml): paths relative to the folder, with `/`, sorted. */
export type BundleFiles = ReadonlyMap<string, string>;

/** Text → policies; the error is the rendered diagnostics, with file, line and column. The language is handed in: the proxy doesn't know it. */
export type CompileBundle = (files: BundleFiles, root: string) => Promise<Result<PolicySet, string>>;

export type PolicyStatus = {
  readonly hash: string;
  readonly loadedAtMs: number;
  /** The newest edit that was turned away; undefined when what runs is what the folder holds. */
  readonly rejected: { readonly atMs: number; readonly message: string } | undefined;
};

export type PolicyHolder = {
  readonly current: () => PolicySet;
  readonly status: () => PolicyStatus;
  readonly reload: () => Promise<PolicyStatus>;
  /** `reload` in two steps, for processes that change together. */
  readonly reloadable: Reloadable;
  readonly close: () => void;
};

export type PolicyHolderDeps = {
  readonly folder: string;
  readonly compile: CompileBundle;
  /** Files outside the folder that `compile` reads by itself: a change of one is a change of the bundle. */
  readonly alsoRead?: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  /** Told of a change in the folder instead of reading it at once: somebody else decides when all processes do. */
  readonly onFolderChange?: () => void;
  /** Told of every load and every rejection, to put it on record. */
  readonly onChange: (event: {
    readonly state: "loaded" | "rejected";
    readonly hash: string;
    readonly message: string | undefined;
  }) => void;
};

/** @throws GatewayError `policy-rejected` when the folder doesn't compile: a gateway never starts half-loaded. */
export async function holdPolicies(deps: PolicyHolderDeps): Promise<PolicyHolder> {
  const files = await readBundleFiles(deps.folder);
  const first = await deps.compile(files, deps.folder);
  if (!first.ok) {
    throw new GatewayError(
      "policy-rejected",
      `the policies in \`${deps.folder}\` don't compile:\n${first.error}`,
      "mend the named places, or run `gw policy check` on the folder",
    );
  }
  let current = first.value;
  let digest = await digestOf(files, deps.alsoRead);
  let status: PolicyStatus = { hash: current.hash, loadedAtMs: deps.clock.nowMs(), rejected: undefined };
  deps.onChange({ state: "loaded", hash: current.hash, message: undefined });

  const reject = (message: string): void => {
    status = { ...status, rejected: { atMs: deps.clock.nowMs(), message } };
    deps.log.error(
      { code: "policy-rejected", hash: current.hash },
      "the edited policies don't compile: the gateway goes on with the ones loaded before",
    );
    deps.onChange({ state: "rejected", hash: current.hash, message });
  };
  let next: { readonly digest: string; readonly compiled: Result<PolicySet, string> } | undefined;
  const prepare: Reloadable["prepare"] = async () => {
    const files = await tryReadBundleFiles(deps.folder);
    const nextDigest = files.ok ? await digestOf(files.value, deps.alsoRead) : `unreadable: ${files.error}`;
    next = undefined;
    if (nextDigest === digest) return { state: "unchanged", digest };
    const compiled = files.ok ? await compileSafely(deps, files.value) : files;
    next = { digest: nextDigest, compiled };
    return compiled.ok
      ? { state: "ready", digest: nextDigest }
      : { state: "rejected", digest: nextDigest, message: compiled.error };
  };
  const settle: Reloadable["settle"] = (isTaken) => {
    const staged = next;
    next = undefined;
    if (staged === undefined || (staged.compiled.ok && !isTaken)) return;
    digest = staged.digest;
    if (!staged.compiled.ok) return reject(staged.compiled.error);
    current = staged.compiled.value;
    status = { hash: current.hash, loadedAtMs: deps.clock.nowMs(), rejected: undefined };
    deps.log.info({ hash: current.hash }, "policies loaded");
    deps.onChange({ state: "loaded", hash: current.hash, message: undefined });
  };
  const swap = async (): Promise<void> => {
    await prepare();
    settle(true);
  };

  // One reload at a time; a change during a reload starts another one after it.
  let running: Promise<void> = Promise.resolve();
  const reload = async (): Promise<PolicyStatus> => {
    const mine = running.then(swap);
    running = mine.catch(() => undefined);
    await mine;
    return status;
  };
  const stopWatching = watchFolder(deps, deps.onFolderChange ?? (() => void reload()));
  const reloadable: Reloadable = { name: "policies", prepare, settle };
  return { current: () => current, status: () => status, reload, reloadable, close: stopWatching };
}

/** A bug in the language must not take a running gateway down: the edit is turned away. */
async function compileSafely(deps: PolicyHolderDeps, files: BundleFiles): Promise<Result<PolicySet, string>> {
  try {
    return await deps.compile(files, deps.folder);
  } catch (error) {
    return err(`the policies can't be compiled: ${causeCode(error)}`);
  }
}

async function digestOf(files: BundleFiles, alsoRead: readonly string[] = []): Promise<string> {
  const digest = createHash("sha256");
  for (const [path, text] of files) digest.update(`${path.length}:${path}${text.length}:${text}`);
  for (const path of alsoRead) {
    const bytes = await readFile(path).catch((error: unknown) => causeCode(error));
    digest.update(`${path.length}:${path}${bytes.length}:`).update(bytes);
  }
  return digest.digest("hex");
}

async function tryReadBundleFiles(folder: string): Promise<Result<BundleFiles, string>> {
  try {
    return ok(await readBundleFiles(folder));
  } catch (error) {
    return err(error instanceof Error ? error.message : causeCode(error));
  }
}

/**
 * The `.policy` and `.json` files of a folder and its manifest, hidden ones and `node_modules` left out.
 * @throws GatewayError `config-unreadable`, naming the file
 */
export async function readBundleFiles(folder: string): Promise<BundleFiles> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw unreadable(folder, error);
  });
  const paths = names
    .filter((entry) => entry.isFile() && (/\.(?:policy|json)$/.test(entry.name) || entry.name === "manifest.yaml"))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .filter((path) => !path.split("/").some((part) => part.startsWith(".") || part === "node_modules"))
    .sort();
  const files = new Map<string, string>();
  for (const path of paths) {
    const full = join(folder, path);
    try {
      if ((await stat(full)).size > limits.policyFileBytesMax * (path.endsWith(".json") ? 64 : 1)) {
        throw new GatewayError("policy-rejected", `\`${full}\` is larger than a policy file may be`);
      }
      files.set(path, await readFile(full, "utf8"));
    } catch (error) {
      throw error instanceof GatewayError ? error : unreadable(full, error);
    }
  }
  return files;
}

const unreadable = (path: string, error: unknown): GatewayError =>
  new GatewayError(
    "config-unreadable",
    `\`${path}\` can't be read: ${causeCode(error)}`,
    "check the path and its permissions",
  );

/** Editors save in several steps: the last event of a burst counts. A slow poll covers file systems without events. */
function watchFolder(deps: PolicyHolderDeps, onChange: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let watcher: FSWatcher | undefined;
  const debounced = (): void => {
    clearTimeout(timer);
    timer = setTimeout(onChange, limits.policyReloadDebounceMs);
    timer.unref();
  };
  try {
    watcher = watch(deps.folder, { recursive: true, persistent: false }, debounced);
    watcher.on("error", (error) => deps.log.warn({ code: causeCode(error) }, "watching the policy folder stopped"));
  } catch (error) {
    deps.log.warn({ code: causeCode(error) }, "the policy folder can't be watched: it is polled");
  }
  const poll = setInterval(onChange, limits.policyPollMs);
  poll.unref();
  return () => {
    clearTimeout(timer);
    clearInterval(poll);
    watcher?.close();
  };
}
