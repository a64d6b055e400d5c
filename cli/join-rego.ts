// compiled policies + Rego bundles -> the policy set that a gateway enforces
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { addForConnection, combinePolicySets } from "../engine/combine.ts";
import { err, ok, type Result } from "../engine/lib/result.ts";
import type { ArchiveFiles } from "../engine/lib/tar.ts";
import { limits } from "../engine/limits.ts";
import type { PolicySet } from "../engine/model/policy.ts";
import { type RegoBundle, readRegoBundle, readRegoFiles } from "../engine/rego/bundle.ts";
import { noNeeds, regoPolicySet } from "../engine/rego/policy-set.ts";
import { verifyBundle } from "../proxy/bundle/signature.ts";
import type { Log } from "../proxy/deps.ts";
import { causeCode } from "../proxy/errors.ts";
import type { RegoConfig } from "../proxy/gateway-config.ts";
import type { CompileBundle } from "../proxy/policy-holder.ts";
import type { BundleFiles } from "../proxy/policy-source.ts";
import { type RegoWorkers, startRegoWorkers } from "../proxy/rego/worker-pool.ts";

export type JoinedRego = {
  /** As the compiler that was given, and with every Rego bundle: one that can't be loaded is a bundle that doesn't compile. */
  readonly compile: CompileBundle;
  /** Bundles, to be watched. */
  readonly files: readonly string[];
  readonly close: () => Promise<void>;
};

type Loaded = {
  readonly digest: string;
  readonly workers: RegoWorkers;
  readonly set: (timeZone: string) => PolicySet;
};

export type BundledRego = { readonly deadlineMs: number; readonly timeZone: string };

/** `bundled`: how a module is run that lies in the policies' own bundle. */
export function joinRego(
  compile: CompileBundle,
  configs: readonly RegoConfig[],
  bundled: BundledRego,
  log: Log,
): JoinedRego {
  const current = new Map<RegoConfig | BundledRego, Loaded>();
  // What a reload replaced decides on until the new policies are in force: it is closed by the reload after that.
  let replaced: RegoWorkers[] = [];
  const load = async (config: RegoConfig): Promise<Result<Loaded, string>> => {
    const bytes = await readFile(config.bundle).catch((error: unknown) => causeCode(error));
    if (typeof bytes === "string") return err(`the Rego bundle \`${config.bundle}\` can't be read: ${bytes}`);
    const digest = createHash("sha256").update(bytes).digest("hex");
    const known = current.get(config);
    if (known?.digest === digest) return ok(known);
    const loaded = await loadBundle(config, bytes, digest, log);
    return loaded.ok ? loaded : err(`the Rego bundle \`${config.bundle}\` can't be loaded: ${loaded.error}`);
  };
  const loadOwn = async (archive: ArchiveFiles): Promise<Result<Loaded, string>> => {
    const bundle = readRegoFiles(archive, limits);
    if (!bundle.ok) return bundle;
    const known = current.get(bundled);
    if (known?.digest === bundle.value.hash) return ok(known);
    const run = { entrypoint: undefined, deadlineMs: bundled.deadlineMs };
    return startBundle(bundle.value, run, bundle.value.hash, log);
  };
  return {
    files: configs.map((config) => config.bundle),
    compile: async (files, root, archive) => {
      const next = new Map<RegoConfig | BundledRego, Loaded>();
      const own = archive !== undefined && isRego(archive) ? await loadOwn(archive) : undefined;
      if (own && !own.ok) return err(`the Rego module of \`${root}\` can't be loaded: ${own.error}`);
      if (own) next.set(bundled, own.value);
      const base = await compileBase(compile, { files, root, archive }, own?.value, bundled.timeZone);
      if (!base.ok) {
        if (own && current.get(bundled) !== own.value) await own.value.workers.close();
        return base;
      }
      let whole = base.value;
      for (const config of configs) {
        const loaded = await load(config);
        if (!loaded.ok) {
          await closeAll([...next].flatMap(([c, l]) => (current.get(c) === l ? [] : [l.workers])));
          return loaded;
        }
        next.set(config, loaded.value);
        whole = addTo(whole, loaded.value.set(base.value.timeZone ?? "UTC"), config.connections);
      }
      await closeAll(replaced);
      replaced = [...current].flatMap(([config, old]) => (next.get(config) === old ? [] : [old.workers]));
      for (const [config, loaded] of next) current.set(config, loaded);
      return ok(whole);
    },
    close: () => closeAll([...replaced, ...[...current.values()].map((l) => l.workers)]),
  };
}

/** OPA's marks of a bundle that is compiled to WebAssembly. */
const isRego = (archive: ArchiveFiles): boolean => [...archive.keys()].some((name) => name.endsWith(".wasm"));

type Source = { readonly files: BundleFiles; readonly root: string; readonly archive: ArchiveFiles | undefined };

/** Policies in our language, in Rego, or both in one bundle. */
async function compileBase(
  compile: CompileBundle,
  { files, root, archive }: Source,
  own: Loaded | undefined,
  timeZone: string,
): Promise<Result<PolicySet, string>> {
  if (own !== undefined && ![...files.keys()].some((path) => path.endsWith(".policy"))) return ok(own.set(timeZone));
  const base = await compile(files, root, archive);
  return base.ok && own !== undefined ? ok(combinePolicySets(base.value, own.set(base.value.timeZone ?? "UTC"))) : base;
}

const addTo = (base: PolicySet, added: PolicySet, connections: readonly string[] | undefined): PolicySet =>
  connections === undefined
    ? combinePolicySets(base, added)
    : connections.reduce((whole, connection) => addForConnection(whole, added, connection), base);

async function loadBundle(
  config: RegoConfig,
  bytes: Uint8Array,
  digest: string,
  log: Log,
): Promise<Result<Loaded, string>> {
  const bundle = readRegoBundle(bytes, limits);
  if (!bundle.ok) return bundle;
  // Before anything of it runs.
  const { signedBy } = config;
  const vouched = signedBy && (await verifyBundle(bundle.value.files, signedBy.key, signedBy.algorithm));
  if (vouched && !vouched.ok) return vouched;
  return startBundle(bundle.value, config, digest, log);
}

async function startBundle(
  { module, data, hash, revision, namesEstimatedRows }: RegoBundle,
  { entrypoint: wanted, deadlineMs }: Pick<RegoConfig, "entrypoint" | "deadlineMs">,
  digest: string,
  log: Log,
): Promise<Result<Loaded, string>> {
  const started = await startRegoWorkers(
    { module, data, entrypoint: wanted, pagesMax: limits.regoMemoryPagesMax },
    { deadlineMs, limits, monotonicMs: () => performance.now(), log },
  );
  if (!started.ok) return started;
  const workers = started.value;
  const { evaluate, entrypoint } = workers;
  return ok({
    digest,
    workers,
    set: (timeZone) =>
      regoPolicySet({
        hash,
        revision,
        timeZone,
        entrypoint,
        evaluate,
        needs: { ...noNeeds, estimatedRows: namesEstimatedRows },
        tags: () => undefined,
        limits,
      }),
  });
}

async function closeAll(workers: readonly RegoWorkers[]): Promise<void> {
  await Promise.all(workers.map((w) => w.close()));
}
