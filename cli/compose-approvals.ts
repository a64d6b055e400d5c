// Where approvals lie, who is told of them, and the page that people decide on.

import { limits } from "../engine/limits.ts";
import type { SessionEvent } from "../engine/model/session-event.ts";
import { showApproval } from "../proxy/admin/approval-view.ts";
import type { PageDeps } from "../proxy/admin/page-routes.ts";
import { type ApprovalDesk, createApprovalDesk } from "../proxy/approvals/desk.ts";
import { openPostgresStore } from "../proxy/approvals/postgres-store.ts";
import { openSqliteStore } from "../proxy/approvals/sqlite-store.ts";
import { startHooks } from "../proxy/approvals/webhooks.ts";
import type { Clock, Log } from "../proxy/deps.ts";
import type { GatewayConfig } from "../proxy/gateway-config.ts";
import { createVerifyToken } from "../proxy/identity/authenticate.ts";
import { type OpenId, openOpenId } from "../proxy/identity/openid.ts";
import { openRevocation, revocable } from "../proxy/identity/revocation.ts";

/** @throws GatewayError `approval-unavailable` */
export async function openApprovals(
  { approvals: config }: GatewayConfig,
  record: (event: SessionEvent) => void,
  clock: Clock,
  log: Log,
): Promise<ApprovalDesk> {
  const store =
    config.postgres === undefined ? openSqliteStore(config.file) : await openPostgresStore(config.postgres, log);
  const { breakGlass } = config;
  const desk = createApprovalDesk({ store, clock, record, ...(breakGlass === undefined ? {} : { breakGlass }) });
  const hooks = startHooks(config.hooks ?? [], { desk, show: showApproval, clock, log });
  return {
    // Its functions are properties of its own: they can be handed on.
    ...desk,
    close: async () => {
      hooks.close();
      await desk.close();
    },
  };
}

/** undefined where the configuration has no page. */
export function pageOf(config: GatewayConfig, clock: Clock, log: Log): Omit<PageDeps, "approvals" | "log"> | undefined {
  const page = config.admin?.page;
  if (page === undefined) return undefined;
  const revocation = openRevocation(config.identity, clock, log);
  // Found at the first login, and again after a failure: the gateway starts while the issuer is down.
  let found: Promise<OpenId> | undefined;
  const openId = (): Promise<OpenId> => {
    found ??= page
      .client()
      .then((client) => openOpenId(client, limits.openIdTimeoutS))
      .catch((error: unknown) => {
        found = undefined;
        throw error;
      });
    return found;
  };
  return {
    origin: page.origin,
    openId,
    verify: createVerifyToken({ issuers: [page.issuer], revocation, clock, log }),
    isRevoked: (identity) => revocation.isRevoked(revocable(identity)),
    glassGroups: [...(config.approvals.breakGlass?.groups ?? [])],
    clock,
  };
}
