// policies: of gw.yaml -> the policies in force, those in shadow, and what an operator can do with them
import { join } from "node:path";
import { limits } from "../engine/limits.ts";
import type { ConnectionCapabilities } from "../engine/model/capabilities.ts";
import { bundleSource, withHistory } from "../proxy/bundle/bundle-source.ts";
import type { PolicySourceConfig } from "../proxy/bundle/config.ts";
import { fetcherOf } from "../proxy/bundle/fetch.ts";
import { type PolicyOperations, policyOperations } from "../proxy/bundle/operations.ts";
import { type BundleStore, openBundleStore } from "../proxy/bundle/store.ts";
import type { Clock, Log } from "../proxy/deps.ts";
import { causeCode } from "../proxy/errors.ts";
import type { Counters } from "../proxy/gate/counters.ts";
import { createShadow, type Shadow } from "../proxy/gate/shadow.ts";
import type { PoliciesConfig } from "../proxy/gateway-config.ts";
import { type CompileBundle, holdPolicies, type PolicyHolder, type PolicyHolderDeps } from "../proxy/policy-holder.ts";
import { folderSource, type PolicySource } from "../proxy/policy-source.ts";
import type { Reloadable } from "../proxy/reload.ts";
import { compileBundleIn } from "./compile-bundle.ts";
import { joinRego } from "./join-rego.ts";
import { type BundleTestOrder, testBundle } from "./test-bundle.ts";

export type PoliciesParts = {
  readonly policies: PolicyHolder;
  readonly shadow: Shadow | undefined;
  readonly operations: PolicyOperations;
  readonly reloadables: readonly Reloadable[];
};

export type PoliciesDeps = {
  readonly connections: readonly ConnectionCapabilities[];
  /** Folder of the recording that a bundle may be replayed on. */
  readonly recording: string;
  readonly compile: CompileBundle | undefined;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly log: Log;
  /** Somebody else decides when all processes take up a change. */
  readonly onSourceChange: (() => void) | undefined;
  readonly record: PolicyHolderDeps["onChange"];
};

type Undo = ((drainMs: number) => Promise<void> | void)[];

/** @throws GatewayError as `holdPolicies`; a shadow that can't be loaded stops nothing */
export async function openPolicies(config: PoliciesConfig, deps: PoliciesDeps, undo: Undo): Promise<PoliciesParts> {
  const { clock, log } = deps;
  const store = openBundleStore(config.state);
  const shared = deps.onSourceChange === undefined ? {} : { onSourceChange: deps.onSourceChange };
  const compile = deps.compile ?? compileBundleIn(config.timeZone, deps.connections);
  const rego = joinRego(
    tested(compile, config.source, replayIn(config, deps)),
    config.rego ?? [],
    bundled(config),
    log,
  );
  undo.push(() => rego.close());
  const policies = await holdPolicies({
    source: withHistory(sourceOf(config.source, store, deps), store, clock),
    compile: rego.compile,
    alsoRead: rego.files,
    ...shared,
    clock,
    log,
    onChange: deps.record,
  });
  undo.push(() => policies.close());

  const held = config.shadow && holdShadow(config, compile, deps, undo);
  const shadow =
    config.shadow &&
    createShadow({
      policies: () => held?.current()?.current(),
      connections: config.shadow.connections,
      share: config.shadow.share,
      counters: deps.counters,
      clock,
    });
  await held?.first;
  const reloadHere = async (): Promise<void> => void (await policies.reload());
  return {
    policies,
    shadow,
    reloadables: [policies.reloadable],
    operations: policyOperations({
      live: policies,
      store,
      shadow: held?.current,
      shadowCounts: () => shadow?.counts() ?? { same: 0, different: 0, failed: 0 },
      // The others are told; this process answers the operator from what it has loaded itself.
      reload: async () => {
        await reloadHere();
        deps.onSourceChange?.();
      },
      log,
    }),
  };
}

/** Tried again at each change of its source, until there is one that can be loaded. */
function holdShadow(config: PoliciesConfig, compile: CompileBundle, deps: PoliciesDeps, undo: Undo) {
  const { clock, log } = deps;
  let holder: PolicyHolder | undefined;
  let isClosed = false;
  const wanted = config.shadow?.source ?? config.source;
  const store = openBundleStore(join(config.state, "shadow"));
  const source = sourceOf(wanted, store, deps);
  const rego = joinRego(tested(compile, wanted, replayIn(config, deps)), [], bundled(config), log);
  const open = async (): Promise<void> => {
    try {
      const opened = await holdPolicies({ source, compile: rego.compile, clock, log, onChange: () => undefined });
      if (isClosed) opened.close();
      else holder = opened;
    } catch (error) {
      log.error({ code: causeCode(error) }, "the shadow policies can't be loaded: nothing is compared");
      if (isClosed) return;
      timer = setTimeout(() => void open(), limits.policyPollMs).unref();
    }
  };
  let timer: NodeJS.Timeout | undefined;
  undo.push(async () => {
    isClosed = true;
    clearTimeout(timer);
    holder?.close();
    await rego.close();
  });
  return { current: () => holder, first: open() };
}

const bundled = (config: PoliciesConfig) => ({ deadlineMs: limits.regoDeadlineMs, timeZone: config.timeZone });

const sourceOf = (config: PolicySourceConfig, store: BundleStore, { clock, log }: PoliciesDeps): PolicySource =>
  config.kind === "folder"
    ? folderSource(config.path, log)
    : bundleSource({
        fetcher: fetcherOf(config.location),
        store,
        trusted: config.trusted,
        acceptsOlder: config.acceptsOlder,
        pollMs: config.pollMs,
        clock,
        log,
      });

/** A bundle is in force only after its own tests passed; a folder's are run by its author. */
const tested =
  (compile: CompileBundle, source: PolicySourceConfig, replay: ReplayIn): CompileBundle =>
  async (files, root, archive) => {
    const compiled = await compile(files, root, archive);
    if (!compiled.ok || archive === undefined || source.kind === "folder") return compiled;
    const { isTested, replayMs } = source;
    if (!isTested && replayMs === undefined) return compiled;
    const passed = await testBundle({ files, isTested, replay: replayMs === undefined ? undefined : replay(replayMs) });
    return passed.ok ? compiled : passed;
  };

type ReplayIn = (backMs: number) => BundleTestOrder["replay"];

const replayIn =
  ({ timeZone }: PoliciesConfig, { recording, clock }: PoliciesDeps): ReplayIn =>
  (backMs) => ({ recording, timeZone, fromMs: clock.nowMs() - backMs });
