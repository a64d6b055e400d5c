// a bundle that is fetched -> policies to judge; and what was in force, kept for any source
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { limits } from "../../engine/limits.ts";
import type { Clock, Log } from "../deps.ts";
import { GatewayError } from "../errors.ts";
import type { PolicyInput, PolicySource, SourceStatus } from "../policy-source.ts";
import type { BundleFetcher } from "./fetch.ts";
import { openBundle, packBundle, type TrustedKey } from "./policy-bundle.ts";
import type { BundleStore } from "./store.ts";

export type BundleSourceDeps = {
  readonly fetcher: BundleFetcher;
  readonly store: BundleStore;
  /** Bundles without this key's signature are refused; undefined: unsigned ones are taken. */
  readonly trusted: TrustedKey | undefined;
  /** Takes bundles that were in force before and were replaced, and lower serial numbers. */
  readonly acceptsOlder: boolean;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly log: Log;
};

/** Asks its fetcher again and again while it is watched. A source that fails is asked less and less often. */
export function bundleSource(deps: BundleSourceDeps): PolicySource {
  const { fetcher, store, clock, log } = deps;
  let newest: Result<PolicyInput, GatewayError> | undefined;
  let tag: string | undefined;
  let fetched: SourceStatus["fetched"];

  /** True when there is something new. @throws GatewayError `bundle-unreachable` */
  const look = async (signal: AbortSignal): Promise<boolean> => {
    try {
      const answer = await fetcher.fetch(tag, signal);
      fetched = { atMs: clock.nowMs(), error: undefined };
      if (answer.state === "unchanged") return false;
      newest = await examine(answer.bytes, fetcher.name, deps);
      tag = answer.tag;
      return true;
    } catch (error) {
      const fault = error instanceof GatewayError ? error : undefined;
      fetched = { atMs: clock.nowMs(), error: fault?.message ?? "the source failed" };
      throw error;
    }
  };

  return {
    name: fetcher.name,
    isRemote: true,
    read: async () => {
      if (newest === undefined) await look(AbortSignal.timeout(limits.bundleFetchMs));
      if (newest?.ok) return newest.value;
      throw newest?.error ?? new GatewayError("bundle-unreachable", `\`${fetcher.name}\` has no bundle`);
    },
    watch: (onChange) => {
      const ending = new AbortController();
      let failures = 0;
      const once = async (): Promise<number> => {
        try {
          if (await look(ending.signal)) onChange();
          failures = 0;
          return fetcher.isLongPoll ? limits.bundleRetryMs : deps.pollMs;
        } catch {
          if (ending.signal.aborted) return 0;
          if (failures === 0)
            log.warn({ code: "bundle-unreachable" }, "the bundle's source can't be read: the policies in force stay");
          failures += 1;
          return Math.min(
            limits.bundleRetryMs * 2 ** Math.min(failures - 1, 20),
            limits.bundleRetryMaxMs,
            Math.max(deps.pollMs, limits.bundleRetryMs) * 20,
          );
        }
      };
      let timer: NodeJS.Timeout | undefined;
      const turn = async (): Promise<void> => {
        const pauseMs = await once();
        if (!ending.signal.aborted) timer = setTimeout(() => void turn(), pauseMs).unref();
      };
      timer = setTimeout(() => void turn(), fetcher.isLongPoll ? 0 : deps.pollMs).unref();
      return () => {
        ending.abort();
        clearTimeout(timer);
      };
    },
    status: () => ({ fetched }),
  };

  async function examine(
    packed: Uint8Array,
    root: string,
    { trusted, acceptsOlder }: BundleSourceDeps,
  ): Promise<Result<PolicyInput, GatewayError>> {
    const refuse = (why: string) =>
      err(new GatewayError("bundle-refused", `the bundle at \`${root}\` is refused: ${why}`));
    const opened = await openBundle(packed, trusted);
    if (!opened.ok) return refuse(opened.error);
    const { manifest, files, archive, digest } = opened.value;
    const { history, serialMax } = await store.state();
    const since = history.filter((entry) => entry.source === root);
    // INVARIANT: a bundle without a number can't be told from one of before there were numbers.
    if (!acceptsOlder && manifest.serial === undefined && serialMax !== undefined) {
      return refuse(`it has no serial number, and ${serialMax} was in force: build it with one`);
    }
    if (!acceptsOlder && manifest.serial !== undefined && serialMax !== undefined && manifest.serial < serialMax) {
      return refuse(`its serial number ${manifest.serial} is lower than ${serialMax}, which was in force`);
    }
    if (!acceptsOlder && since.some((entry) => entry.digest === digest) && since.at(-1)?.digest !== digest) {
      return refuse("it was in force before and has been replaced: `gw bundle rollback` goes back on purpose");
    }
    return ok({ files, root, digest, archive, packed, serial: manifest.serial });
  }
}

/** Any source, with what was in force kept in `store`: an operator's choice of it goes before what the source has. */
export function withHistory(source: PolicySource, store: BundleStore, clock: Clock): PolicySource {
  let pinned: string | undefined;
  const stored = async (digest: string): Promise<PolicyInput> => {
    const packed = await store.bytes(digest);
    const opened = await openBundle(packed, undefined);
    if (!opened.ok)
      throw new GatewayError("bundle-store-damaged", `the bundle ${digest} can't be used: ${opened.error}`);
    const { files, archive, manifest } = opened.value;
    const known = (await store.state()).history.find((entry) => entry.digest === digest);
    return { files, root: known?.source ?? source.name, digest, archive, packed, serial: manifest.serial };
  };
  return {
    name: source.name,
    read: async () => {
      pinned = (await store.state()).pinned;
      return pinned === undefined ? source.read() : stored(pinned);
    },
    watch: source.watch,
    accepted: async (input, policies) => {
      await store.accept(input.packed ?? packInput(input, policies), {
        hash: policies.hash,
        revision: policies.revision,
        serial: input.serial,
        source: input.root,
        acceptedAtMs: clock.nowMs(),
      });
    },
    // A folder that doesn't compile stops a start: its author is there to mend it.
    ...(source.isRemote === true ? { lastGood: () => lastGood() } : {}),
    status: () => ({ ...source.status?.(), pinned }),
  };

  async function lastGood(): Promise<PolicyInput | undefined> {
    const { active } = await store.state();
    return active === undefined ? undefined : stored(active);
  }
}

/** The bundle that a folder would be. */
export const packInput = (
  input: PolicyInput,
  policies: { readonly hash: string; readonly revision: string },
): Uint8Array =>
  packBundle(input.files, {
    revision: policies.revision,
    serial: undefined,
    policyHash: policies.hash,
    builtFrom: undefined,
  });
