// policies of a source -> compiled bundle, swapped atomically; a broken edit keeps the old one and says so.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { err, ok, type Result } from "../engine/lib/result.ts";
import type { ArchiveFiles } from "../engine/lib/tar.ts";
import type { PolicySet } from "../engine/model/policy.ts";
import type { Clock, Log } from "./deps.ts";
import { causeCode, GatewayError } from "./errors.ts";
import type { BundleFiles, PolicyInput, PolicySource, SourceStatus } from "./policy-source.ts";
import type { Reloadable } from "./reload.ts";

/**
 * Text → policies; the error is the rendered diagnostics, with file, line and column. The language is handed in: the
 * proxy doesn't know it. `archive`: the whole bundle, where the files came in one.
 */
export type CompileBundle = (
  files: BundleFiles,
  root: string,
  archive?: ArchiveFiles,
) => Promise<Result<PolicySet, string>>;

export type PolicyStatus = {
  readonly hash: string;
  readonly revision: string;
  readonly source: string;
  readonly loadedAtMs: number;
  /** The newest edit that was turned away; undefined when what runs is what the source holds. */
  readonly rejected: { readonly atMs: number; readonly message: string } | undefined;
} & SourceStatus;

export type PolicyHolder = {
  readonly current: () => PolicySet;
  /** What `current` was made of. */
  readonly input: () => PolicyInput;
  readonly status: () => PolicyStatus;
  readonly reload: () => Promise<PolicyStatus>;
  /** `reload` in two steps, for processes that change together. */
  readonly reloadable: Reloadable;
  readonly close: () => void;
};

export type PolicyHolderDeps = {
  readonly source: PolicySource;
  readonly compile: CompileBundle;
  /** Files outside the source that `compile` reads by itself: a change of one is a change of the bundle. */
  readonly alsoRead?: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  /** Told of a change in the source instead of reading it at once: somebody else decides when all processes do. */
  readonly onSourceChange?: () => void;
  /** Told of every load and every rejection, to put it on record. */
  readonly onChange: (event: {
    readonly state: "loaded" | "rejected";
    readonly hash: string;
    readonly message: string | undefined;
  }) => void;
};

type Loaded = { readonly input: PolicyInput; readonly policies: PolicySet };

/** @throws GatewayError `policy-rejected` when the policies don't compile: a gateway never starts half-loaded. */
export async function holdPolicies(deps: PolicyHolderDeps): Promise<PolicyHolder> {
  const { source } = deps;
  const first = await loadFirst(deps);
  let current: Loaded = first.loaded;
  let digest = await digestOf(first.seen, deps.alsoRead);
  let loadedAtMs = deps.clock.nowMs();
  let rejected: PolicyStatus["rejected"];

  const status = (): PolicyStatus => ({
    hash: current.policies.hash,
    revision: current.policies.revision,
    source: source.name,
    loadedAtMs,
    rejected,
    ...source.status?.(),
  });
  const reject = (message: string): void => {
    const { hash } = current.policies;
    rejected = { atMs: deps.clock.nowMs(), message };
    deps.log.error(
      { code: "policy-rejected", hash },
      "the edited policies don't compile: the gateway goes on with the ones loaded before",
    );
    deps.onChange({ state: "rejected", hash, message });
  };
  const accept = (loaded: Loaded): void => {
    current = loaded;
    loadedAtMs = deps.clock.nowMs();
    rejected = undefined;
    deps.onChange({ state: "loaded", hash: loaded.policies.hash, message: undefined });
    source.accepted?.(loaded.input, loaded.policies).catch((error: unknown) => {
      deps.log.error({ code: causeCode(error) }, "the policies in force can't be kept for a rollback");
    });
  };
  accept(current);
  if (first.rejected !== undefined) reject(first.rejected);

  let next: { readonly digest: string; readonly loaded: Result<Loaded, string> } | undefined;
  const prepare: Reloadable["prepare"] = async () => {
    const input = await tryRead(source);
    const nextDigest = await digestOf(input.ok ? input.value.digest : `unreadable: ${input.error}`, deps.alsoRead);
    next = undefined;
    if (nextDigest === digest) return { state: "unchanged", digest };
    const loaded = input.ok ? await compileSafely(deps, input.value) : input;
    next = { digest: nextDigest, loaded };
    return loaded.ok
      ? { state: "ready", digest: nextDigest }
      : { state: "rejected", digest: nextDigest, message: loaded.error };
  };
  const settle: Reloadable["settle"] = (isTaken) => {
    const staged = next;
    next = undefined;
    if (staged === undefined || (staged.loaded.ok && !isTaken)) return;
    digest = staged.digest;
    if (!staged.loaded.ok) return reject(staged.loaded.error);
    deps.log.info({ hash: staged.loaded.value.policies.hash }, "policies loaded");
    accept(staged.loaded.value);
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
    return status();
  };
  const stopWatching = source.watch(deps.onSourceChange ?? (() => void reload()));
  return {
    current: () => current.policies,
    input: () => current.input,
    status,
    reload,
    reloadable: { name: "policies", prepare, settle },
    close: stopWatching,
  };
}

type First = {
  readonly loaded: Loaded;
  /** Digest of what the source holds now, whether it is what was loaded or not. */
  readonly seen: string;
  readonly rejected: string | undefined;
};

/** What the source holds; where that can't be used, what was in force last. */
async function loadFirst(deps: PolicyHolderDeps): Promise<First> {
  const { source } = deps;
  const input = await source.read().catch((error: unknown) => {
    if (error instanceof GatewayError) return error;
    throw error;
  });
  const newest = input instanceof GatewayError ? err(input.message) : await compileSafely(deps, input);
  const seen = input instanceof GatewayError ? `unreadable: ${input.message}` : input.digest;
  if (newest.ok) return { loaded: newest.value, seen, rejected: undefined };
  const last = await source.lastGood?.();
  const kept = last && (await compileSafely(deps, last));
  if (kept?.ok) return { loaded: kept.value, seen, rejected: newest.error };
  if (input instanceof GatewayError) throw input;
  throw new GatewayError(
    "policy-rejected",
    `the policies in \`${source.name}\` don't compile:\n${newest.error}`,
    "mend the named places, or run `gw policy check` on the folder",
  );
}

/** A bug in the language must not take a running gateway down: the edit is turned away. */
async function compileSafely(deps: PolicyHolderDeps, input: PolicyInput): Promise<Result<Loaded, string>> {
  try {
    const compiled = await deps.compile(input.files, input.root, input.archive);
    return compiled.ok ? ok({ input, policies: compiled.value }) : compiled;
  } catch (error) {
    return err(`the policies can't be compiled: ${causeCode(error)}`);
  }
}

async function digestOf(source: string, alsoRead: readonly string[] = []): Promise<string> {
  const digest = createHash("sha256").update(source);
  for (const path of alsoRead) {
    const bytes = await readFile(path).catch((error: unknown) => causeCode(error));
    digest.update(`${path.length}:${path}${bytes.length}:`).update(bytes);
  }
  return digest.digest("hex");
}

async function tryRead(source: PolicySource): Promise<Result<PolicyInput, string>> {
  try {
    return ok(await source.read());
  } catch (error) {
    return err(error instanceof Error ? error.message : causeCode(error));
  }
}
