// The operator's door: approvals, health, metrics. JSON in, JSON out.
import swagger from "@fastify/swagger";
import fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { ApprovalDesk } from "../approvals/desk.ts";
import type { Log } from "../deps.ts";
import { causeCode, type FaultCode, GatewayError } from "../errors.ts";
import type { Address } from "../gateway-config.ts";
import type { VerifyToken } from "../identity/authenticate.ts";
import { renderMetrics } from "../telemetry/render-metrics.ts";
import { addApprovalRoutes } from "./approval-routes.ts";
import type { Metric } from "./metrics.ts";
import { addPageRoutes, type PageDeps } from "./page-routes.ts";
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
  /** Left out: `gw login` must be told. */
  readonly login?: ShownLogin;
  /** The page for people; left out: none is served. */
  readonly page?: Omit<PageDeps, "approvals" | "log">;
  readonly log: Log;
};

export type ShownDatabase = {
  readonly name: string;
  readonly kind: "postgres";
  readonly host: string;
  readonly port: number;
  readonly database: string;
};
export type ShownConnection =
  | ShownDatabase
  | { readonly name: string; readonly kind: "http" | "mcp" | "llm"; readonly url: string };

/** Where `gw login` goes: our registration at the issuer, nothing secret. */
export type ShownLogin = {
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
  readonly resource?: string;
  /** Which of the issuer's tokens the gateway takes. */
  readonly use: "access" | "id";
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
    // A number is not a text: bodies are taken as they are.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Gatewright", description: "Approvals, health and metrics of a gateway.", version: "1" },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer", bearerFormat: "JWT" } } },
      security: [{ token: [] }],
    },
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
    reply.type("text/plain; version=0.0.4").send(await renderMetrics(deps.metrics())),
  );

  app.get("/v1/login", async (_request, reply) => {
    if (deps.login !== undefined) return deps.login;
    return reply.code(404).send({ code: "admin-invalid", message: "this gateway doesn't say where to log in" });
  });
  app.get("/v1/whoami", async (request) => {
    const { sub, kind, groups, email, mfa, on_behalf_of, chain } = await whoAsks(request, deps.verify);
    const behind = chain === undefined || chain.length < 2 ? {} : { chain };
    const list = isKnown(groups) ? [...groups].sort() : [];
    return { sub, kind, groups: list, email, mfa, on_behalf_of, ...behind, connections: deps.connections };
  });

  addApprovalRoutes(app, { approvals: deps.approvals, whoAsks: (request) => whoAsks(request, deps.verify) });
  app.get("/v1/openapi.json", { schema: { hide: true } }, async () => app.swagger());
  if (deps.page) addPageRoutes(app, { ...deps.page, approvals: deps.approvals, log: deps.log });

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

export type { ShownApproval } from "./approval-view.ts";
