// What an operator can do to the policies in force: look, go back, go on, promote the shadow.
import type { Log } from "../deps.ts";
import { GatewayError } from "../errors.ts";
import type { ShadowCounts } from "../gate/shadow.ts";
import type { PolicyHolder, PolicyStatus } from "../policy-holder.ts";
import { packInput } from "./bundle-source.ts";
import type { BundleStore, StoredBundle } from "./store.ts";

export type PoliciesStatus = {
  readonly live: PolicyStatus;
  readonly shadow: (PolicyStatus & { readonly decisions: ShadowCounts }) | undefined;
  /** Newest first. */
  readonly history: readonly (StoredBundle & { readonly isActive: boolean })[];
};

export type PolicyOperations = {
  readonly status: () => Promise<PoliciesStatus>;
  /** To the one before the one in force, or to the one whose digest or hash begins so. @throws GatewayError `bundle-not-found` */
  readonly rollback: (to: string | undefined) => Promise<PoliciesStatus>;
  /** What the shadow decides with becomes live. @throws GatewayError `bundle-not-found` */
  readonly promote: () => Promise<PoliciesStatus>;
  /** Back to what the source has. */
  readonly resume: () => Promise<PoliciesStatus>;
};

export type OperationsDeps = {
  readonly live: PolicyHolder;
  readonly store: BundleStore;
  readonly shadow: (() => PolicyHolder | undefined) | undefined;
  readonly shadowCounts: () => ShadowCounts;
  /** Takes up what changed, in every process of this gateway. */
  readonly reload: () => Promise<void>;
  readonly log: Log;
};

export function policyOperations(deps: OperationsDeps): PolicyOperations {
  const { live, store } = deps;
  const status = async (): Promise<PoliciesStatus> => {
    const { history, active } = await store.state();
    const shadow = deps.shadow?.();
    return {
      live: live.status(),
      shadow: shadow && { ...shadow.status(), decisions: deps.shadowCounts() },
      history: history.toReversed().map((entry) => ({ ...entry, isActive: entry.digest === active })),
    };
  };
  const choose = async (digest: string | undefined, what: string): Promise<PoliciesStatus> => {
    const before = (await store.state()).pinned;
    await store.pin(digest);
    await deps.reload();
    const { rejected } = live.status();
    if (rejected !== undefined && digest !== undefined) {
      await store.pin(before);
      await deps.reload();
      throw new GatewayError("policy-rejected", `the chosen policies can't be loaded: ${rejected.message}`);
    }
    deps.log.warn({ code: what, digest }, "an operator chose the policies in force");
    return status();
  };
  return {
    status,
    rollback: async (to) => {
      const { history, active } = await store.state();
      const at = history.findIndex((entry) => entry.digest === active);
      const found =
        to === undefined
          ? history[at - 1]
          : history.filter(
              (entry) =>
                entry.digest.startsWith(to) ||
                entry.hash.replace(/^sha256:/, "").startsWith(to.replace(/^sha256:/, "")),
            );
      const [entry, second] = Array.isArray(found) ? found : [found];
      if (second !== undefined) {
        throw new GatewayError("bundle-not-found", `\`${to}\` is the beginning of several bundles`, "write more of it");
      }
      if (entry === undefined) {
        throw new GatewayError(
          "bundle-not-found",
          to === undefined
            ? "no bundle was in force before this one"
            : `no bundle that was in force begins with \`${to}\``,
          "`gw bundle status` lists them",
        );
      }
      return choose(entry.digest, "policies-rolled-back");
    },
    promote: async () => {
      const shadow = deps.shadow?.();
      if (shadow === undefined) {
        throw new GatewayError("bundle-not-found", "there is no shadow to promote", "name one under `policies.shadow`");
      }
      const input = shadow.input();
      const digest = await store.put(input.packed ?? packInput(input, shadow.current()));
      return choose(digest, "policies-promoted");
    },
    resume: () => choose(undefined, "policies-resumed"),
  };
}
