// Approvals as JSON: what gw approvals, chat bots and consoles call. The schemas are the published description.
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { ApprovalDesk } from "../approvals/desk.ts";
import { GatewayError } from "../errors.ts";
import { maySee, showApproval } from "./approval-view.ts";

export type ApprovalRouteDeps = {
  readonly approvals: ApprovalDesk;
  readonly whoAsks: (request: FastifyRequest) => Promise<IdentityFacts>;
};

const states = ["pending", "granted", "denied", "withdrawn", "used", "expired", "unreviewed", "all"] as const;

const text = { type: "string" } as const;
const approvalSchema = {
  type: "object",
  description: "A request for approval, whole. Nothing in it is cut.",
  additionalProperties: true,
  required: ["id", "state", "requester", "connection", "statement", "parameters", "accesses", "rules", "expires"],
  properties: {
    id: text,
    state: { type: "string", enum: states.slice(0, 6) },
    requester: {
      type: "object",
      properties: { sub: text, kind: text, onBehalfOf: { type: "array", items: text } },
    },
    connection: text,
    protocol: text,
    session: text,
    decision: text,
    statement: { ...text, description: "The SQL statement, HTTP request or tool call." },
    parameters: { type: "array", items: { type: ["string", "null"] } },
    accesses: { type: "array", items: text },
    estimatedRows: { type: "number" },
    rowsMax: { type: "number" },
    rules: {
      type: "array",
      items: { type: "object", properties: { rule: text, message: text, missing: { type: "integer" } } },
    },
    approvers: text,
    votes: { type: "array", items: { type: "object", additionalProperties: true } },
    brokenGlass: { type: "object", additionalProperties: true },
    policy: text,
    created: { ...text, format: "date-time" },
    expires: { ...text, format: "date-time" },
  },
} as const;
const standInSchema = {
  type: "object",
  properties: { absent: text, by: text, until: { ...text, format: "date-time" } },
} as const;
const faultSchema = { type: "object", properties: { code: text, message: text, help: text } } as const;
const faults = {
  400: faultSchema,
  401: faultSchema,
  403: faultSchema,
  404: faultSchema,
  409: faultSchema,
  503: faultSchema,
};
const one = { 200: approvalSchema, ...faults };
const idParams = { type: "object", properties: { id: text }, required: ["id"] } as const;
const reasonBody = {
  type: "object",
  nullable: true,
  properties: { reason: { type: "string", maxLength: 2_000 } },
} as const;

type ById = { readonly Params: { readonly id: string } };

export function addApprovalRoutes(app: FastifyInstance, { approvals, whoAsks }: ApprovalRouteDeps): void {
  const visible = async (viewer: IdentityFacts, id: string) => {
    const approval = await approvals.get(id);
    if (!approval || !maySee(approval, viewer, await approvals.standIns())) {
      throw new GatewayError("approval-not-found", `there is no approval request \`${id}\``);
    }
    return approval;
  };
  app.get<{ Querystring: { state?: string } }>(
    "/v1/approvals",
    {
      schema: {
        summary: "Requests that the bearer of the token may see, newest first",
        querystring: { type: "object", properties: { state: { type: "string" } } },
        response: {
          200: { type: "object", properties: { approvals: { type: "array", items: approvalSchema } } },
          ...faults,
        },
      },
    },
    async (request) => {
      const viewer = await whoAsks(request);
      const state = stateOf(request.query.state);
      const all =
        state === "unreviewed"
          ? await approvals.unreviewed()
          : await approvals.list(state === "all" ? undefined : state);
      const standIns = await approvals.standIns();
      return { approvals: all.filter((approval) => maySee(approval, viewer, standIns)).map(showApproval) };
    },
  );
  app.get<ById>(
    "/v1/approvals/:id",
    { schema: { summary: "One request, whole", params: idParams, response: one } },
    async (request) => showApproval(await visible(await whoAsks(request), request.params.id)),
  );
  const act = (
    name: string,
    summary: string,
    run: (id: string, person: IdentityFacts, body: unknown) => Promise<Parameters<typeof showApproval>[0]>,
  ): void => {
    app.post<ById>(
      `/v1/approvals/:id/${name}`,
      { schema: { summary, params: idParams, body: reasonBody, response: one }, attachValidation: true },
      async (request) => showApproval(await run(request.params.id, await whoAsks(request), request.body)),
    );
  };
  act("approve", "Vote for it; the reason is for the record", (id, person, body) =>
    approvals.vote(id, person, "approve", reasonIn(body)),
  );
  act("deny", "Refuse it; the one who asked reads the reason", (id, person, body) =>
    approvals.vote(id, person, "deny", reasonNeeded(body, "a refusal")),
  );
  act("withdraw", "Take a request or a grant back; what runs on it ends", (id, person, body) =>
    approvals.revoke(id, person, reasonNeeded(body, "a withdrawal")),
  );
  act("break-glass", "Let it through without the approvers, to be reviewed", (id, person, body) =>
    approvals.breakGlass(id, person, reasonNeeded(body, "breaking glass")),
  );
  act("accept", "Review broken glass: it was right", (id, person, body) =>
    approvals.review(id, person, "accepted", reasonIn(body) ?? ""),
  );
  act("object", "Review broken glass: it was not right", (id, person, body) =>
    approvals.review(id, person, "objected", reasonNeeded(body, "an objection")),
  );
  app.get(
    "/v1/stand-ins",
    {
      schema: {
        summary: "Who votes in whose place just now",
        response: {
          200: { type: "object", properties: { standIns: { type: "array", items: standInSchema } } },
          ...faults,
        },
      },
    },
    async (request) => {
      await whoAsks(request);
      return { standIns: (await approvals.standIns()).map(showStandIn) };
    },
  );
  app.put(
    "/v1/stand-ins/mine",
    {
      schema: {
        summary: "Name who votes in your place while you are away; without `by` it ends",
        body: { type: "object", properties: { by: text, until: { ...text, format: "date-time" } } },
        response: { 200: standInSchema, ...faults },
      },
      attachValidation: true,
    },
    async (request) => {
      const person = await whoAsks(request);
      const { by, until } = standInOf(request.body);
      const standIn = await approvals.setStandIn(person, by, until);
      return standIn === undefined ? {} : showStandIn(standIn);
    },
  );
}

const showStandIn = ({
  absent,
  by,
  untilMs,
}: {
  readonly absent: string;
  readonly by: string;
  readonly untilMs: number;
}) => ({
  absent,
  by,
  until: new Date(untilMs).toISOString(),
});

function stateOf(state: string | undefined): (typeof states)[number] {
  if (state === undefined) return "all";
  const found = states.find((s) => s === state);
  if (found === undefined) throw new GatewayError("admin-invalid", `\`state\` is one of ${states.join(", ")}`);
  return found;
}

export function reasonIn(body: unknown): string | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body !== "object") throw new GatewayError("admin-invalid", "the body must be an object");
  const reason: unknown = "reason" in body ? body.reason : undefined;
  if (reason === undefined || reason === null || reason === "") return undefined;
  if (typeof reason !== "string" || reason.length > 2_000) {
    throw new GatewayError("admin-invalid", "`reason` must be a text of at most 2,000 characters");
  }
  return reason;
}

export function reasonNeeded(body: unknown, what: string): string {
  const reason = reasonIn(body);
  if (reason === undefined || reason.trim() === "") {
    throw new GatewayError("admin-invalid", `${what} needs a \`reason\`: others read it`);
  }
  return reason;
}

function standInOf(body: unknown): { readonly by: string | undefined; readonly until: number } {
  if (typeof body !== "object" || body === null) throw new GatewayError("admin-invalid", "the body must be an object");
  const by: unknown = "by" in body ? body.by : undefined;
  const until: unknown = "until" in body ? body.until : undefined;
  if (by === undefined || by === null) return { by: undefined, until: 0 };
  const untilMs = typeof until === "string" ? Date.parse(until) : Number.NaN;
  if (typeof by !== "string" || by === "" || Number.isNaN(untilMs)) {
    throw new GatewayError("admin-invalid", "name `by` and a time `until`, such as 2027-01-31T08:00:00Z");
  }
  return { by, until: untilMs };
}
