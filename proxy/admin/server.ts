// The operator's door: approvals, health, metrics. JSON in, JSON out.
import fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import { type Approval, describeApprovers, missingFor } from "../approvals/approval.ts";
import type { ApprovalDesk } from "../approvals/desk.ts";
import type { Log } from "../deps.ts";
import { causeCode, type FaultCode, GatewayError } from "../errors.ts";
import type { Address } from "../gateway-config.ts";
import type { VerifyToken } from "../identity/authenticate.ts";
import { type Metric, renderMetrics } from "./metrics.ts";
import type { AdminRoute } from "./policy-routes.ts";

export type AdminDeps = {
  readonly listen: Address;
  readonly approvals: ApprovalDesk;
  readonly verify: VerifyToken;
  /** Where clients connect: shown to whoever has a good token. */
  readonly connections: readonly ShownConnection[];
  /** Undefined when statements can run, else the code of what stops them. */
  readonly whyNotReady: () => FaultCode | undefined;
  readonly metrics: () => readonly Metric[];
  readonly routes?: readonly AdminRoute[];
  readonly log: Log;
};

export type ShownConnection = {
  readonly name: string;
  readonly kind: "postgres";
  readonly host: string;
  readonly port: number;
  readonly database: string;
};

export type AdminServer = { readonly host: string; readonly port: number; readonly close: () => Promise<void> };

const httpStatus: Partial<Readonly<Record<FaultCode, number>>> = {
  "admin-unauthorized": 401,
  "admin-invalid": 400,
  "admin-forbidden": 403,
  "bundle-not-found": 404,
  "policy-rejected": 409,
  "approval-not-found": 404,
  "approval-not-eligible": 403,
  "approval-closed": 409,
  "record-failed": 503,
  "approval-unavailable": 503,
};

/** @throws GatewayError `listen-failed` */
export async function startAdminServer(deps: AdminDeps): Promise<AdminServer> {
  const app = fastify({
    logger: false,
    bodyLimit: limits.adminBodyBytesMax,
    requestTimeout: 10_000,
    return503OnClosing: true,
  });
  app.setErrorHandler((error, _request, reply) => sendFault(reply, error, deps.log));
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ code: "admin-invalid", message: "there is no such route" }),
  );

  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const why = deps.whyNotReady();
    return why === undefined ? { status: "ready" } : reply.code(503).send({ status: "not ready", code: why });
  });
  app.get("/metrics", async (_request, reply) =>
    reply.type("text/plain; version=0.0.4").send(renderMetrics(deps.metrics())),
  );

  app.get("/v1/whoami", async (request) => {
    const { sub, kind, groups, email, mfa, on_behalf_of } = await whoAsks(request, deps.verify);
    const list = isKnown(groups) ? [...groups].sort() : [];
    return { sub, kind, groups: list, email, mfa, on_behalf_of, connections: deps.connections };
  });

  app.get<{ Querystring: { state?: string } }>("/v1/approvals", async (request) => {
    const viewer = await whoAsks(request, deps.verify);
    const all = await deps.approvals.list(stateOf(request.query.state));
    return { approvals: all.filter((approval) => maySee(approval, viewer)).map(showApproval) };
  });
  app.get<{ Params: { id: string } }>("/v1/approvals/:id", async (request) => {
    const viewer = await whoAsks(request, deps.verify);
    const approval = await deps.approvals.get(request.params.id);
    if (!approval || !maySee(approval, viewer)) {
      throw new GatewayError("approval-not-found", `there is no approval request \`${request.params.id}\``);
    }
    return showApproval(approval);
  });
  app.post<{ Params: { id: string } }>("/v1/approvals/:id/approve", async (request) => {
    const voter = await whoAsks(request, deps.verify);
    return showApproval(await deps.approvals.vote(request.params.id, voter, "approve", reasonIn(request.body)));
  });
  app.post<{ Params: { id: string } }>("/v1/approvals/:id/deny", async (request) => {
    const voter = await whoAsks(request, deps.verify);
    const reason = reasonIn(request.body);
    if (reason === undefined || reason.trim() === "") {
      throw new GatewayError("admin-invalid", "a refusal needs a `reason`: the one who asked reads it");
    }
    return showApproval(await deps.approvals.vote(request.params.id, voter, "deny", reason));
  });

  for (const { method, url, handle } of deps.routes ?? []) {
    app.route({ method, url, handler: async (request) => handle(await whoAsks(request, deps.verify), request.body) });
  }

  try {
    await app.listen({ host: deps.listen.host, port: deps.listen.port });
  } catch (error) {
    throw new GatewayError(
      "listen-failed",
      `the admin interface can't listen on ${deps.listen.host}:${deps.listen.port}: ${causeCode(error)}`,
      "change `admin.listen`",
    );
  }
  const address = app.server.address();
  const port = typeof address === "object" && address !== null ? address.port : deps.listen.port;
  return { host: deps.listen.host, port, close: () => app.close() };
}

async function whoAsks(request: FastifyRequest, verify: VerifyToken): Promise<IdentityFacts> {
  const token = /^Bearer ([\w.~+/=-]+)$/.exec(request.headers.authorization ?? "")?.[1];
  if (token === undefined) {
    throw new GatewayError("admin-unauthorized", "this needs a bearer token", "pass `Authorization: Bearer …`");
  }
  const verified = await verify(token, request.ip);
  if (!verified.ok) throw new GatewayError("admin-unauthorized", verified.error.message);
  return verified.value.identity;
}

/** People see what they asked for, what was asked in their name, and what they may decide; statements hold content. */
function maySee(approval: Approval, { sub, groups, kind }: IdentityFacts): boolean {
  if (!isKnown(sub) || !isKnown(groups) || !isKnown(kind)) return false;
  if (approval.requester.sub === sub || approval.requester.onBehalfOf.includes(sub)) return true;
  if (kind !== "human") return false;
  return approval.requirements.some(
    (requirement) =>
      requirement.approvers.length === 0 ||
      requirement.approvers.some((a) => (a.kind === "user" ? a.name === sub : groups.has(a.name))),
  );
}

const states = ["pending", "granted", "denied", "withdrawn", "used", "expired"] as const;

function stateOf(text: string | undefined): (typeof states)[number] | undefined {
  if (text === undefined || text === "all") return undefined;
  const state = states.find((s) => s === text);
  if (state === undefined) throw new GatewayError("admin-invalid", `\`state\` is one of ${states.join(", ")}, all`);
  return state;
}

function reasonIn(body: unknown): string | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body !== "object") throw new GatewayError("admin-invalid", "the body must be an object");
  const reason: unknown = "reason" in body ? body.reason : undefined;
  if (reason === undefined || reason === null) return undefined;
  if (typeof reason !== "string" || reason.length > 2_000) {
    throw new GatewayError("admin-invalid", "`reason` must be a text of at most 2,000 characters");
  }
  return reason;
}

/** What an approver decides on: the whole statement, every bind value, who is behind it, who is still needed. */
function showApproval(approval: Approval) {
  const { requirements, votes } = approval;
  return {
    id: approval.id,
    state: approval.state,
    requester: approval.requester,
    connection: approval.connection,
    session: approval.session,
    decision: approval.decisionId,
    statement: approval.statement,
    parameters: approval.parameters,
    accesses: approval.accesses,
    rules: requirements.map((r) => ({ rule: r.rule, message: r.message, missing: missingFor(r, votes) })),
    approvers: describeApprovers(requirements),
    votes: votes.map(({ by, verdict, reason, atMs }) => ({ by, verdict, reason, at: new Date(atMs).toISOString() })),
    policy: approval.policyHash,
    created: new Date(approval.createdAtMs).toISOString(),
    expires: new Date(approval.expiresAtMs).toISOString(),
  };
}
export type ShownApproval = ReturnType<typeof showApproval>;

function sendFault(reply: FastifyReply, error: unknown, log: Log): FastifyReply {
  if (error instanceof GatewayError) {
    return reply
      .code(httpStatus[error.code] ?? 500)
      .send({ code: error.code, message: error.message, help: error.help });
  }
  const status: unknown = error instanceof Error && "statusCode" in error ? error.statusCode : undefined;
  if (typeof status === "number" && status >= 400 && status < 500) {
    return reply.code(status).send({ code: "admin-invalid", message: "the request can't be read" });
  }
  log.error({ code: "internal-error", cause: causeCode(error) }, "an admin request failed");
  return reply.code(500).send({ code: "internal-error", message: "the request failed inside the gateway" });
}
