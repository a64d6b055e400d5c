// a person -> tokens of their identity provider, kept for this gateway
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { limits } from "../../engine/limits.ts";
import { causeCode, GatewayError } from "../../proxy/errors.ts";
import { type OpenId, openOpenId, type Tokens } from "../../proxy/identity/openid.ts";
import { type CachedLogin, loginFolder, readLogin, withLock, writeLogin } from "./token-cache.ts";

export type LoginSettings = { readonly client: CachedLogin["client"]; readonly use: CachedLogin["use"] };

/** How long a person may take. */
const personMs = 600_000;
/** A token with less left is refreshed: it must last for a login. */
const freshMs = 60_000;

const openAt = (client: CachedLogin["client"]): Promise<OpenId> => {
  const { resource, ...rest } = client;
  return openOpenId({ ...rest, ...(resource === undefined ? {} : { resource }) }, limits.openIdTimeoutS).catch(
    (error: unknown) => {
      throw new GatewayError(
        "issuer-unreachable",
        `the identity provider \`${client.issuer}\` doesn't answer as one: ${causeCode(error)}`,
        "check the address, and try again in a minute",
      );
    },
  );
};

/** Shows a code and an address to open on any device. `tell` is for the person. */
export async function loginByDevice(settings: LoginSettings, tell: (text: string) => void): Promise<Tokens> {
  const openId = await openAt(settings.client);
  const started = await openId.startDevice().catch(refused);
  tell(`open ${started.completeUrl ?? started.url} and confirm the code ${started.code}\n`);
  return started.wait(AbortSignal.timeout(personMs)).catch(refused);
}

/** Through a browser on this machine, with PKCE: the answer comes to a port on loopback that lives for this login only. */
export async function loginByBrowser(
  settings: LoginSettings,
  tell: (text: string) => void,
  open: (url: string) => void,
): Promise<Tokens> {
  const openId = await openAt(settings.client);
  let answered: (url: URL) => void = () => undefined;
  const callback = new Promise<URL>((resolve) => {
    answered = resolve;
  });
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const isCallback = request.method === "GET" && url.pathname === "/callback";
    response.writeHead(isCallback ? 200 : 404, {
      "content-type": "text/plain; charset=utf-8",
      "referrer-policy": "no-referrer",
      connection: "close",
    });
    response.end(isCallback ? "You can close this window and go back to the terminal.\n" : "not found\n");
    if (isCallback) answered(url);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const timer = setTimeout(() => answered(new URL("http://127.0.0.1/callback?error=timeout")), personMs);
  try {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const redirectUri = `http://127.0.0.1:${port}/callback`;
    const started = await openId.startCode(redirectUri);
    tell(`if no browser opens, open this address on this machine:\n  ${started.url}\n`);
    open(started.url);
    const { search } = await callback;
    return await started.finish(new URL(redirectUri + search)).catch(refused);
  } finally {
    clearTimeout(timer);
    server.close();
    server.closeAllConnections();
  }
}

/** Without a shell: the address can't be read as anything else. Failing is fine, the address was printed. */
export function openBrowser(url: string): void {
  const [command, ...args] =
    process.platform === "darwin" ? ["open"] : process.platform === "win32" ? ["explorer"] : ["xdg-open"];
  const child = spawn(command ?? "xdg-open", [...args, url], { stdio: "ignore", detached: true });
  child.on("error", () => undefined);
  child.unref();
}

export function keep(
  admin: string,
  settings: LoginSettings,
  tokens: Tokens,
  environment: NodeJS.ProcessEnv,
): CachedLogin {
  const login = loginOf(admin, settings, tokens);
  writeLogin(loginFolder(environment), login);
  return login;
}

function loginOf(admin: string, { client, use }: LoginSettings, tokens: Tokens, refreshToken?: string): CachedLogin {
  const token = use === "id" ? tokens.idToken : tokens.accessToken;
  if (token === undefined || token.split(".").length !== 3) {
    throw new GatewayError(
      "token-malformed",
      `the identity provider's ${use} token is not a JWT, so the gateway can't take it`,
      use === "id" ? "ask for the scope `openid`" : "name the API with `resource`, or use the ID token (`use: id`)",
    );
  }
  const next = tokens.refreshToken ?? refreshToken;
  return {
    admin: new URL(admin).href,
    token,
    expiresAtMs: expiryOf(token) ?? Date.now() + (tokens.expiresInS ?? 300) * 1_000,
    ...(next === undefined ? {} : { refreshToken: next }),
    use,
    client,
  };
}

/** The token's own word, for when to refresh it: nothing is believed for its sake. */
function expiryOf(token: string): number | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    const exp: unknown = typeof claims === "object" && claims !== null && "exp" in claims ? claims.exp : undefined;
    return typeof exp === "number" ? exp * 1_000 : undefined;
  } catch {
    return undefined;
  }
}

/** The kept token, refreshed when little of its life is left. Undefined: nobody logged in. @throws GatewayError `token-expired` */
export async function keptToken(admin: string, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const folder = loginFolder(environment);
  const known = readLogin(folder, admin);
  if (known === undefined) return undefined;
  if (known.expiresAtMs - Date.now() > freshMs) return known.token;
  return withLock(folder, admin, async () => {
    const login = readLogin(folder, admin) ?? known;
    if (login.expiresAtMs - Date.now() > freshMs) return login.token;
    if (login.refreshToken === undefined) return stillGood(login);
    const openId = await openAt(login.client).catch(() => undefined);
    const tokens = await openId?.refresh(login.refreshToken).catch(() => undefined);
    if (tokens === undefined) return stillGood(login);
    const renewed = loginOf(admin, login, tokens, login.refreshToken);
    writeLogin(folder, renewed);
    return renewed.token;
  });
}

function stillGood(login: CachedLogin): string {
  if (login.expiresAtMs > Date.now()) return login.token;
  throw new GatewayError("token-expired", "your login has ended and can't be refreshed", "run `gw login`");
}

function refused(error: unknown): never {
  const code: unknown = typeof error === "object" && error !== null && "error" in error ? error.error : undefined;
  throw new GatewayError(
    "token-malformed",
    `the login didn't end well: ${typeof code === "string" ? code : causeCode(error)}`,
    "start it again; if it stays, the identity provider's operator can look up the code",
  );
}
