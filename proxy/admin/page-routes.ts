// The approval page: login at the identity provider by code flow with PKCE, a session cookie, forms with a token.
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import { type Approval, eligibilityOf } from "../approvals/approval.ts";
import type { ApprovalDesk } from "../approvals/desk.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import type { VerifyToken } from "../identity/authenticate.ts";
import type { CodeLogin, OpenId } from "../identity/openid.ts";
import { reasonIn, reasonNeeded } from "./approval-routes.ts";
import { maySee } from "./approval-view.ts";
import { listPage, messagePage, requestPage, stylesheet, type Viewer, welcomePage } from "./page.ts";

export type PageDeps = {
  /** What people's browsers call this interface: `https://gw.example`. No path. */
  readonly origin: string;
  readonly openId: () => Promise<OpenId>;
  /** Takes the issuer's ID tokens that are for our client. */
  readonly verify: VerifyToken;
  readonly isRevoked: (identity: IdentityFacts) => boolean;
  /** Groups that may break glass; [] shows no such form. */
  readonly glassGroups: readonly string[];
  readonly approvals: ApprovalDesk;
  readonly clock: Clock;
  readonly log: Log;
};

type Session = {
  readonly identity: IdentityFacts;
  readonly name: string;
  readonly csrf: string;
  readonly endsAtMs: number;
};

const secret = (): string => randomBytes(32).toString("base64url");

export function addPageRoutes(app: FastifyInstance, deps: PageDeps): void {
  const { approvals, clock, log, origin } = deps;
  const sessions = new Map<string, Session>();
  /** Logins under way, by the cookie of the browser that began them: nobody else's code is taken. */
  const logins = new Map<string, { readonly login: CodeLogin; readonly endsAtMs: number }>();
  const isSecure = origin.startsWith("https:");
  // `__Host-` cookies are bound to this very host and to https; on loopback without TLS there is none to bind to.
  const cookieName = (name: string): string => `${isSecure ? "__Host-" : ""}gw_${name}`;
  const cookie = (name: string, value: string, maxAgeS: number): string =>
    `${cookieName(name)}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeS}${isSecure ? "; Secure" : ""}`;

  // Pages are for people: the description of the API leaves them out.
  app.addHook("onRoute", (route) => {
    if (route.url.startsWith("/approvals")) route.schema = { ...route.schema, hide: true };
  });
  app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) =>
    done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );

  const send = (reply: FastifyReply, page: string, status = 200): FastifyReply =>
    secured(reply).code(status).type("text/html; charset=utf-8").send(page);
  const sessionOf = (request: FastifyRequest): Session | undefined => {
    const id = cookieIn(request, cookieName("session"));
    const session = id === undefined ? undefined : sessions.get(id);
    if (session === undefined || id === undefined) return undefined;
    if (session.endsAtMs > clock.nowMs() && !deps.isRevoked(session.identity)) return session;
    sessions.delete(id);
    return undefined;
  };
  const viewerOf = ({ name, csrf }: Session): Viewer => ({ name, csrf });
  const tidy = (map: Map<string, { readonly endsAtMs: number }>, max: number): void => {
    for (const [id, { endsAtMs }] of map) if (endsAtMs <= clock.nowMs()) map.delete(id);
    const oldest = map.keys().next().value;
    if (map.size >= max && oldest !== undefined) map.delete(oldest);
  };

  app.get("/approvals/style.css", (_request, reply) => secured(reply).type("text/css; charset=utf-8").send(stylesheet));

  app.get("/approvals/login", async (_request, reply) => {
    tidy(logins, limits.pageLoginsMax);
    try {
      const login = await (await deps.openId()).startCode(`${origin}/approvals/callback`);
      const id = secret();
      logins.set(id, { login, endsAtMs: clock.nowMs() + limits.pageLoginMs });
      return secured(reply)
        .header("set-cookie", cookie("login", id, limits.pageLoginMs / 1_000))
        .redirect(login.url, 302);
    } catch (error) {
      log.warn({ code: "issuer-unreachable", cause: causeCode(error) }, "nobody can log in to the approval page");
      return send(
        reply,
        messagePage("log in", "the identity provider can't be reached just now; try again in a minute"),
        503,
      );
    }
  });

  app.get("/approvals/callback", async (request, reply) => {
    const id = cookieIn(request, cookieName("login"));
    const started = id === undefined ? undefined : logins.get(id);
    if (id === undefined || started === undefined || started.endsAtMs <= clock.nowMs()) {
      return send(reply, messagePage("log in", "this login was not started here, or too long ago: start again"), 400);
    }
    logins.delete(id);
    const failed = (cause: string): FastifyReply => {
      log.warn({ code: "token-malformed", cause }, "a login to the approval page failed");
      return send(reply, messagePage("log in", "the identity provider's answer was not good: start again"), 400);
    };
    const tokens = await started.login.finish(new URL(request.url, origin)).catch((error: unknown) => causeCode(error));
    if (typeof tokens === "string") return failed(tokens);
    const verified = await deps.verify(tokens.idToken ?? "", request.ip);
    if (!verified.ok) return failed(verified.error.code);
    const { identity } = verified.value;
    if (identity.kind !== "human" || identity.on_behalf_of !== undefined) {
      return send(reply, messagePage("log in", "this page is for people"), 403);
    }
    tidy(sessions, limits.pageSessionsMax);
    const session = secret();
    const endsAtMs = clock.nowMs() + limits.pageSessionMs;
    sessions.set(session, { identity, name: isKnown(identity.sub) ? identity.sub : "", csrf: secret(), endsAtMs });
    return secured(reply)
      .header("set-cookie", [cookie("login", "", 0), cookie("session", session, limits.pageSessionMs / 1_000)])
      .redirect("/approvals", 303);
  });

  app.get("/approvals", async (request, reply) => {
    const session = sessionOf(request);
    if (session === undefined) return send(reply, welcomePage());
    const standIns = await approvals.standIns();
    const visible = (list: readonly Approval[]) => list.filter((a) => maySee(a, session.identity, standIns));
    const [pending, unreviewed] = [await approvals.list("pending"), await approvals.unreviewed()];
    return send(reply, listPage(viewerOf(session), visible(pending), visible(unreviewed)));
  });

  app.get<{ Params: { id: string } }>("/approvals/:id", async (request, reply) => {
    const session = sessionOf(request);
    if (session === undefined) return send(reply, welcomePage(), 401);
    const approval = await approvals.get(request.params.id);
    const standIns = await approvals.standIns();
    if (!approval || !maySee(approval, session.identity, standIns)) {
      return send(
        reply,
        messagePage("not found", "there is no such request, or it is not for you", viewerOf(session)),
        404,
      );
    }
    const right = eligibilityOf(approval, session.identity, standIns);
    const earlier = await approvals.lastApproved(approval);
    const { requester, brokenGlass, state } = approval;
    const isTheirs = requester.sub === session.name || requester.onBehalfOf.includes(session.name);
    const { groups } = session.identity;
    return send(
      reply,
      requestPage({
        viewer: viewerOf(session),
        approval,
        whyNot: right.kind === "no" ? right.why : undefined,
        mayTakeBack: ["pending", "granted", "used"].includes(state) && (isTheirs || right.kind === "yes"),
        mayReview:
          brokenGlass !== undefined &&
          brokenGlass.review === undefined &&
          right.kind === "yes" &&
          brokenGlass.by !== session.name,
        mayBreakGlass: isKnown(groups) && deps.glassGroups.some((group) => groups.has(group)),
        // Only what the viewer may see anyway, and never itself.
        earlier:
          earlier && earlier.id !== approval.id && maySee(earlier, session.identity, standIns) ? earlier : undefined,
      }),
    );
  });

  /** The token of the session, and the browser's own word that our page sent the form. */
  const formOf = (request: FastifyRequest): Session => {
    const session = sessionOf(request);
    if (session === undefined) throw new GatewayError("admin-unauthorized", "your session has ended: log in again");
    const { body } = request;
    const given: unknown = typeof body === "object" && body !== null && "csrf" in body ? body.csrf : undefined;
    const site = request.headers["sec-fetch-site"];
    const isOurs = request.headers.origin === origin && (site === undefined || site === "same-origin");
    if (typeof given !== "string" || !isSame(given, session.csrf) || !isOurs) {
      throw new GatewayError("admin-forbidden", "this form was not sent from the approval page: nothing was done");
    }
    return session;
  };

  app.post("/approvals/logout", async (request, reply) => {
    formOf(request);
    const id = cookieIn(request, cookieName("session"));
    if (id !== undefined) sessions.delete(id);
    return secured(reply)
      .header("set-cookie", cookie("session", "", 0))
      .redirect("/approvals", 303);
  });

  const actions: Readonly<Record<string, (id: string, person: IdentityFacts, body: unknown) => Promise<unknown>>> = {
    approve: (id, person, body) => approvals.vote(id, person, "approve", reasonIn(body)),
    deny: (id, person, body) => approvals.vote(id, person, "deny", reasonNeeded(body, "a refusal")),
    withdraw: (id, person, body) => approvals.revoke(id, person, reasonNeeded(body, "a withdrawal")),
    "break-glass": (id, person, body) => approvals.breakGlass(id, person, reasonNeeded(body, "breaking glass")),
    accept: (id, person, body) => approvals.review(id, person, "accepted", reasonIn(body) ?? ""),
    object: (id, person, body) => approvals.review(id, person, "objected", reasonNeeded(body, "an objection")),
  };
  for (const [name, act] of Object.entries(actions)) {
    app.post<{ Params: { id: string } }>(`/approvals/:id/${name}`, async (request, reply) => {
      try {
        const session = formOf(request);
        await act(request.params.id, session.identity, request.body);
        return secured(reply).redirect(`/approvals/${encodeURIComponent(request.params.id)}`, 303);
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        const status = error.code === "admin-unauthorized" ? 401 : error.code === "admin-forbidden" ? 403 : 409;
        return send(reply, messagePage("not done", error.message), status);
      }
    });
  }
}

function secured(reply: FastifyReply): FastifyReply {
  return reply.headers({
    "content-security-policy":
      "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
  });
}

function cookieIn(request: FastifyRequest, name: string): string | undefined {
  const found = (request.headers.cookie ?? "").split(/; */).filter((pair) => pair.startsWith(`${name}=`));
  // Two of one name: somebody planted one.
  return found.length === 1 ? found[0]?.slice(name.length + 1) : undefined;
}

const isSame = (a: string, b: string): boolean => {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
};
