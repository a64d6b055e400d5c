// The one place where the parts are wired together.
import type { Clock, Log } from "../proxy/deps.ts";
import type { GatewayConfig } from "../proxy/gateway-config.ts";
import type { PolicyStatus } from "../proxy/policy-holder.ts";

/** A running gateway. Ports are the real ones: `listen: 127.0.0.1:0` picks a free one. */
export type Gateway = {
  readonly connections: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  readonly policy: {
    readonly status: () => PolicyStatus;
    /** Reads the folder again now; resolves when the outcome is known. */
    readonly reload: () => Promise<PolicyStatus>;
  };
  /** Stops listening, lets running statements end for `drainMs` (default 5 s), closes everything. Idempotent. */
  readonly stop: (drainMs?: number) => Promise<void>;
};

export type GatewayOverrides = { readonly log?: Log; readonly clock?: Clock };

/**
 * Starts everything that `config` names, or nothing: on a failure what was started is stopped again.
 * @throws GatewayError with the code and the way out: policies that don't compile, an address in use, an unreachable catalog.
 */
export async function startGateway(_config: GatewayConfig, _overrides: GatewayOverrides = {}): Promise<Gateway> {
  throw new Error("not wired yet");
}
