// The approval page: in a real browser, with a real OpenID provider, over a real gateway; and with hostile requests.
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { test } from "node:test";
import { skipWithoutBrowser, startBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { type Claims, refusalOf, startTestGateway } from "../support/gateway.ts";
import { startOpenId } from "../support/openid.ts";

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer();
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const openid = await startOpenId({
  audience: "gatewright",
  clients: [{ clientId: "gw-page", redirectUris: [`${origin}/approvals/callback`] }],
  claimsOf: (name) =>
    name === "robot"
      ? { kind: "agent", groups: ["leads"] }
      : { kind: "human", groups: name === "olga" ? ["ops"] : ["leads"] },
});
const gw = await startTestGateway({
  schema:
    "create table accounts (id int primary key, n int not null default 0); insert into accounts select generate_series(1, 9)",
  policy: `package acme.test
allow staff on sql at "test-pg"
require approval bumps from group "leads" within 10m on sql update of public.accounts at "test-pg"
  because "a change of <b>accounts</b> needs a lead"
`,
  config: "approvals: { hold: 20s }",
  issuers: `    - { issuer: "${openid.issuer}", audience: gatewright, discovery: true, algorithms: [ES256] }`,
  admin: `listen: 127.0.0.1:${port}
  page: { origin: "${origin}", issuer: "${openid.issuer}", client_id: gw-page, scope: openid }`,
});
const bot: Claims = { sub: "bot-7", kind: "agent", groups: [], on_behalf_of: "nina", on_behalf_of_groups: [] };

/** What a browser keeps for the page after a login as `name`. */
async function login(
  name: string,
): Promise<{ readonly status: number; readonly cookie: string; readonly text: string }> {
  const start = await fetch(`${origin}/approvals/login`, { redirect: "manual" });
  const first = start.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  const callback = await openid.consent(start.headers.get("location") ?? "", name);
  const done = await fetch(callback, { redirect: "manual", headers: { cookie: first } });
  const session = done.headers.getSetCookie().find((line) => line.startsWith("gw_session=")) ?? "";
  return { status: done.status, cookie: session.split(";")[0] ?? "", text: await done.text() };
}
const pending = (text: string) =>
  eventually(async () => {
    const token = await gw.issuer.issue({ sub: "lena", kind: "human", groups: ["leads"] });
    const answer = await fetch(`${origin}/v1/approvals?state=pending`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const { approvals } = (await answer.json()) as { approvals: { id: string; statement: string }[] };
    return approvals.find((a) => a.statement.includes(text));
  });

test("a lead logs in, sees every character of a hostile statement and who is behind it, and approves", {
  skip: skipWithoutBrowser,
}, async () => {
  const browser = await startBrowser();
  const context = await browser.newContext();
  await context.route(
    (url) => url.hostname !== "127.0.0.1",
    (route) => route.abort(),
  );
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("console", (message) => {
    const { url } = message.location();
    // The provider's own pages are not ours; nobody serves an icon.
    const isOurs = url.startsWith(origin) && !url.endsWith("favicon.ico");
    if (message.type() === "error" && isOurs) problems.push(message.text());
  });
  page.on("dialog", () => problems.push("a dialog opened"));
  const agent = await gw.connect(bot);
  const hostile = `update accounts set n = n + 1 where id = 1 /* <script>alert(1)</script> \u202e\u2066 1 = di \u2069\u200b */`;
  const running = agent.query(hostile);
  const { id } = await pending("<script>");
  await page.goto(`${origin}/approvals`);
  await page.click("text=log in");
  await page.fill('input[name="login"]', "lena");
  await page.fill('input[name="password"]', "x");
  await page.click('button[type="submit"]');
  await page.click('button[type="submit"]');
  await page.waitForURL(`${origin}/approvals`);
  await page.click(`text=${id}`);
  const shown = await page.textContent("#statement");
  assert.equal(
    shown,
    "update accounts set n = n + 1 where id = 1 /* <script>alert(1)</script> ⟨U+202E⟩⟨U+2066⟩ 1 = di ⟨U+2069⟩⟨U+200B⟩ */",
  );
  const whole = (await page.textContent("main")) ?? "";
  for (const part of [
    "bot-7 (agent), for nina",
    "update public.accounts",
    "acme.test.bumps",
    "a change of <b>accounts</b> needs a lead",
    "Nothing of this shape was approved here before.",
    `${[...hostile].length} characters`,
  ]) {
    assert.ok(whole.includes(part), `${part}\n${whole}`);
  }
  assert.equal(await page.locator("#statement mark").count(), 4);
  assert.equal(await page.locator("script").count(), 0);
  await page.fill('form[action$="/approve"] textarea', "looked at it");
  await page.click('form[action$="/approve"] button');
  await page.waitForSelector(".state");
  assert.equal((await running).rowCount, 1);
  await eventually(async () => {
    await page.reload();
    return (await page.textContent(".state")) === "used" ? true : undefined;
  });
  const again = refusalOf(agent, "update accounts set n = n + 1 where id = 2");
  const second = await pending("id = 2");
  await page.goto(`${origin}/approvals/${second.id}`);
  assert.ok(((await page.textContent("main")) ?? "").includes(`Compared with ${id}`));
  assert.ok((await page.locator("#difference ins").allTextContents()).join("|").includes("2"));
  await page.fill('form[action$="/deny"] textarea', "not row two");
  await page.click('form[action$="/deny"] button');
  assert.match((await again).message, /not row two/);
  assert.deepEqual(problems, []);
  const cookies = (await context.cookies()).filter((one) => one.name === "gw_session");
  assert.deepEqual(
    cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite]),
    [[true, "Lax"]],
  );
  await agent.end();
});

test("every page forbids scripts and frames, and is not kept", async () => {
  for (const path of [
    "/approvals",
    "/approvals/apr_1",
    "/approvals/style.css",
    "/approvals/login",
    "/approvals/callback",
  ]) {
    const { headers } = await fetch(origin + path, { redirect: "manual" });
    assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'.*frame-ancestors 'none'/, path);
    assert.deepEqual(
      [headers.get("x-content-type-options"), headers.get("cache-control"), headers.get("referrer-policy")],
      ["nosniff", "no-store", "same-origin"],
      path,
    );
  }
});

test("without a session nothing is shown and nothing is decided", async () => {
  const agent = await gw.connect(bot);
  const running = agent.query("update accounts set n = 0 where id = 3").catch((error: Error) => error.message);
  const { id } = await pending("id = 3");
  const page = await fetch(`${origin}/approvals/${id}`);
  assert.deepEqual([page.status, (await page.text()).includes("id = 3")], [401, false]);
  for (const cookie of ["", "gw_session=x", "gw_session=; gw_session="]) {
    const vote = await fetch(`${origin}/approvals/${id}/approve`, {
      method: "POST",
      headers: { cookie, origin },
      body: new URLSearchParams({ csrf: "", reason: "" }),
    });
    assert.equal(vote.status, 401);
  }
  await agent.end();
  await running;
});

test("a form counts with the session's own token and from our own page only", async () => {
  const agent = await gw.connect(bot);
  const running = agent.query("update accounts set n = 0 where id = 4").catch((error: Error) => error.message);
  const { id } = await pending("id = 4");
  const lena = await login("lena");
  const other = await login("lars");
  const csrfOf = async (cookie: string) =>
    /name="csrf" value="([^"]+)"/.exec(
      await (await fetch(`${origin}/approvals/${id}`, { headers: { cookie } })).text(),
    )?.[1] ?? "";
  const [mine, theirs] = [await csrfOf(lena.cookie), await csrfOf(other.cookie)];
  const vote = async (csrf: string, headers: Readonly<Record<string, string>>) =>
    (
      await fetch(`${origin}/approvals/${id}/approve`, {
        method: "POST",
        redirect: "manual",
        headers: { cookie: lena.cookie, ...headers },
        body: new URLSearchParams({ csrf }),
      })
    ).status;
  assert.equal(await vote("", { origin }), 403);
  assert.equal(await vote(theirs, { origin }), 403);
  assert.equal(await vote(mine, {}), 403);
  assert.equal(await vote(mine, { origin: "https://evil.example" }), 403);
  assert.equal(await vote(mine, { origin: "null" }), 403);
  assert.equal(await vote(mine, { origin, "sec-fetch-site": "cross-site" }), 403);
  assert.equal((await pending("id = 4")).id, id, "nothing was decided");
  assert.equal(await vote(mine, { origin, "sec-fetch-site": "same-origin" }), 303);
  await running;
  await agent.end();
});

test("people see what they may decide; agents don't log in; a login is the browser's that began it", async () => {
  const agent = await gw.connect(bot);
  const running = agent.query("update accounts set n = 0 where id = 5").catch((error: Error) => error.message);
  const { id } = await pending("id = 5");
  const olga = await login("olga");
  assert.equal((await fetch(`${origin}/approvals/${id}`, { headers: { cookie: olga.cookie } })).status, 404);
  const nina = await login("nina");
  const seen = await (await fetch(`${origin}/approvals/${id}`, { headers: { cookie: nina.cookie } })).text();
  assert.ok(seen.includes("the one an agent acts for can&#39;t approve its requests"));
  assert.ok(!seen.includes(`/approvals/${id}/approve`));
  const robot = await login("robot");
  assert.deepEqual([robot.status, robot.cookie], [403, ""]);
  const start = await fetch(`${origin}/approvals/login`, { redirect: "manual" });
  const callback = await openid.consent(start.headers.get("location") ?? "", "lena");
  assert.equal((await fetch(callback, { redirect: "manual" })).status, 400, "without the cookie of the login");
  const cookie = start.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  assert.equal((await fetch(`${callback}x`, { redirect: "manual", headers: { cookie } })).status, 400);
  assert.equal(
    (await fetch(callback, { redirect: "manual", headers: { cookie } })).status,
    400,
    "a login is tried once",
  );
  await agent.end();
  await running;
});

test("who logs out, or is revoked, is out", async () => {
  const lena = await login("lena");
  const page = await (await fetch(`${origin}/approvals`, { headers: { cookie: lena.cookie } })).text();
  const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
  assert.ok(page.includes("Waiting"));
  await fetch(`${origin}/approvals/logout`, {
    method: "POST",
    redirect: "manual",
    headers: { cookie: lena.cookie, origin },
    body: new URLSearchParams({ csrf }),
  });
  const after = await (await fetch(`${origin}/approvals`, { headers: { cookie: lena.cookie } })).text();
  assert.ok(!after.includes("Waiting"));
});

test("the API describes itself", async () => {
  const described = (await (await fetch(`${origin}/v1/openapi.json`)).json()) as {
    readonly openapi: string;
    readonly paths: Readonly<Record<string, object>>;
  };
  assert.equal(described.openapi, "3.1.0");
  for (const path of [
    "/v1/approvals",
    "/v1/approvals/{id}",
    "/v1/approvals/{id}/approve",
    "/v1/approvals/{id}/break-glass",
    "/v1/stand-ins/mine",
  ]) {
    assert.ok(path in described.paths, path);
  }
  assert.ok(!("/approvals" in described.paths));
});
