// `gw login` and what lives on it, against a real OpenID provider.
import assert from "node:assert/strict";
import { chmodSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { keep, keptToken, type LoginSettings, loginByBrowser, loginByDevice } from "../../cli/login/log-in.ts";
import { readLogin, writeLogin } from "../../cli/login/token-cache.ts";
import { main } from "../../cli/main.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { startTestGateway } from "../support/gateway.ts";
import { startOpenId } from "../support/openid.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";

const openid = await startOpenId({
  audience: "gatewright",
  clients: [{ clientId: "gw-cli", redirectUris: ["http://127.0.0.1/callback"], isNative: true }],
  claimsOf: (name) => ({ kind: "human", groups: name === "olga" ? ["ops"] : [] }),
  accessTtlS: 90,
});
const gw = await startTestGateway({
  schema: "create table notes (id int); insert into notes values (1)",
  policy: `package acme.test\nallow ops on sql read at "test-pg" when identity.groups contains "ops"\n`,
  issuers: `    - { issuer: "${openid.issuer}", audience: gatewright, discovery: true, algorithms: [ES256] }
  login: { issuer: "${openid.issuer}", client_id: gw-cli }`,
});
const settings: LoginSettings = {
  client: { issuer: openid.issuer, clientId: "gw-cli", scope: "openid offline_access" },
  use: "access",
};
const quiet = (): void => undefined;
const environmentIn = (folder: string): NodeJS.ProcessEnv => ({ GW_HOME: folder });
const gwCommand = async (folder: string, ...args: readonly string[]) => {
  const terminal = captured();
  const before = { ...process.env };
  Object.assign(process.env, { GW_HOME: folder, GW_ADMIN: gw.adminUrl });
  try {
    const code = await main(args, terminal);
    return { code, text: terminal.text() };
  } finally {
    for (const name of ["GW_HOME", "GW_ADMIN"]) {
      const was = before[name];
      if (was === undefined) delete process.env[name];
      else process.env[name] = was;
    }
  }
};

test("a browser login with PKCE gives a token that the gateway takes, kept in a file that only its owner reads", async () => {
  const folder = temporaryFolder();
  const tokens = await loginByBrowser(settings, quiet, (url) => {
    void openid.consent(url, "olga").then((callback) => fetch(callback));
  });
  const login = keep(gw.adminUrl, settings, tokens, environmentIn(folder));
  const [file = ""] = readdirSync(join(folder, "logins"));
  const path = join(folder, "logins", file);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(folder, "logins")).mode & 0o777, 0o700);
  assert.ok(login.refreshToken);
  const me = await gwCommand(folder, "whoami", "--json");
  assert.equal(me.code, 0, me.text);
  assert.deepEqual([JSON.parse(me.text).sub, JSON.parse(me.text).groups], ["olga", ["ops"]]);
  assert.equal((await gwCommand(folder, "token")).text, `${login.token}\n`);
  assert.deepEqual(JSON.parse((await gwCommand(folder, "token", "--format", "mcp-header")).text), {
    Authorization: `Bearer ${login.token}`,
  });
  assert.match((await gwCommand(folder, "token", "--format", "pgpass")).text, /^127\.0\.0\.1:\d+:t_[0-9a-f]+:olga:/);
  const agent = JSON.parse(
    (await gwCommand(folder, "agent", "env", "--format", "json", "--session", "run-7")).text.replace(
      /^warning[\s\S]*?\n(?=\{)/,
      "",
    ),
  );
  assert.deepEqual(
    [agent.env.PGUSER, agent.env.PGAPPNAME, agent.env.PGSSLMODE, agent.env.GW_TOKEN],
    ["olga", "agent/run-7", "require", login.token],
  );
  assert.equal((await gwCommand(folder, "login", "--out")).text, "logged out\n");
  assert.match((await gwCommand(folder, "whoami")).text, /you are not logged in/);
});

test("a device login gives one too, once the code is confirmed on another device", async () => {
  let told = "";
  const tokens = loginByDevice(settings, (text) => {
    told += text;
    const url = /open (\S+)/.exec(told)?.[1];
    if (url !== undefined) void openid.confirmDevice(url, "olga");
  });
  const { accessToken } = await tokens;
  assert.equal(accessToken.split(".").length, 3);
  assert.match(told, /confirm the code \S+/);
});

test("a token that ends is refreshed once for all who ask, and the new refresh token is kept", async () => {
  const folder = temporaryFolder();
  const environment = environmentIn(folder);
  const tokens = await loginByBrowser(settings, quiet, (url) => {
    void openid.consent(url, "olga").then((callback) => fetch(callback));
  });
  const first = keep(gw.adminUrl, settings, tokens, environment);
  writeLogin(join(folder, "logins"), { ...first, expiresAtMs: Date.now() + 1_000 });
  const all = await Promise.all(Array.from({ length: 8 }, () => keptToken(gw.adminUrl, environment)));
  assert.equal(new Set(all).size, 1);
  assert.notEqual(all[0], first.token);
  const now = readLogin(join(folder, "logins"), gw.adminUrl);
  assert.notEqual(now?.refreshToken, first.refreshToken);
  assert.equal(now?.token, all[0]);
  const text = readFileSync(join(folder, "logins", readdirSync(join(folder, "logins"))[0] ?? ""), "utf8");
  assert.equal(text.includes(first.token), false);
});

test("a login that others can read is not used", async () => {
  const folder = temporaryFolder();
  const logins = join(folder, "logins");
  writeLogin(logins, {
    admin: new URL(gw.adminUrl).href,
    token: "a.b.c",
    expiresAtMs: Date.now() + 600_000,
    use: "access",
    client: settings.client,
  });
  const path = join(logins, readdirSync(logins)[0] ?? "");
  assert.equal(await keptToken(gw.adminUrl, environmentIn(folder)), "a.b.c");
  assert.equal(
    await keptToken("http://127.0.0.1:1", environmentIn(folder)),
    undefined,
    "another gateway's is another login",
  );
  chmodSync(path, 0o644);
  await assert.rejects(
    keptToken(gw.adminUrl, environmentIn(folder)),
    (error: unknown) => error instanceof GatewayError && error.code === "config-invalid",
  );
});

test("a login that ended says so, also while the issuer is down; one that is good serves on", async () => {
  const gone = await startOpenId({ audience: "x", clients: [], claimsOf: () => ({}) });
  await gone.stop();
  const folder = temporaryFolder();
  const client = { ...settings.client, issuer: gone.issuer };
  const login = { admin: new URL(gw.adminUrl).href, token: "a.b.c", refreshToken: "r", use: "access", client } as const;
  writeLogin(join(folder, "logins"), { ...login, expiresAtMs: Date.now() + 20_000 });
  assert.equal(await keptToken(gw.adminUrl, environmentIn(folder)), "a.b.c");
  writeLogin(join(folder, "logins"), { ...login, expiresAtMs: Date.now() - 1 });
  await assert.rejects(
    keptToken(gw.adminUrl, environmentIn(folder)),
    (error: unknown) => error instanceof GatewayError && error.code === "token-expired",
  );
});

test("the gateway says where to log in, and nothing secret", async () => {
  const answer = await fetch(`${gw.adminUrl}/v1/login`);
  assert.deepEqual(await answer.json(), {
    issuer: openid.issuer,
    clientId: "gw-cli",
    scope: "openid offline_access",
    use: "access",
  });
});
