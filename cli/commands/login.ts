// gw login | gw login --device | gw login --out
import type { Command } from "commander";
import { GatewayError } from "../../proxy/errors.ts";
import { adminUrlOf, loginSettingsAt } from "../admin-client.ts";
import { keep, type LoginSettings, loginByBrowser, loginByDevice, openBrowser } from "../login/log-in.ts";
import { loginFolder, removeLogin } from "../login/token-cache.ts";
import type { CommandContext } from "../main.ts";

type Options = {
  readonly admin?: string;
  readonly device?: boolean;
  readonly out?: boolean;
  readonly browser: boolean;
  readonly issuer?: string;
  readonly clientId?: string;
  readonly scope?: string;
  readonly resource?: string;
  readonly idToken?: boolean;
};

export function register(program: Command, { terminal }: CommandContext): void {
  program
    .command("login")
    .description("get a token from your identity provider, and keep it for the other commands")
    .option("--admin <url>", "the gateway's admin interface (or GW_ADMIN)")
    .option("--device", "with a code that you confirm on any device: for machines without a browser")
    .option("--no-browser", "print the address, open nothing")
    .option("--out", "forget the token")
    .option("--issuer <url>", "your identity provider; default: what the gateway says")
    .option("--client-id <id>", "gw's registration there; default: what the gateway says")
    .option("--scope <scopes>", "what to ask for; default: what the gateway says")
    .option("--resource <uri>", "what the token is for (RFC 8707); default: what the gateway says")
    .option("--id-token", "use the ID token instead of the access token")
    .action(async (options: Options) => {
      const admin = adminUrlOf(options);
      if (options.out) {
        const was = removeLogin(loginFolder(process.env), admin);
        return terminal.out(was ? "logged out\n" : "you were not logged in\n");
      }
      const settings = await settingsOf(options, admin);
      const tokens = options.device
        ? await loginByDevice(settings, terminal.err)
        : await loginByBrowser(settings, terminal.err, options.browser ? openBrowser : () => undefined);
      const login = keep(admin, settings, tokens, process.env);
      terminal.out(
        `logged in until ${new Date(login.expiresAtMs).toISOString()}${login.refreshToken === undefined ? "" : ", and refreshed after that"}\n`,
      );
    });
}

/** Flags win over what the gateway says. @throws GatewayError when neither knows where to go */
async function settingsOf(options: Options, admin: string): Promise<LoginSettings> {
  const known =
    options.issuer !== undefined && options.clientId !== undefined ? undefined : await loginSettingsAt(admin);
  const issuer = options.issuer ?? known?.issuer;
  const clientId = options.clientId ?? known?.clientId;
  if (issuer === undefined || clientId === undefined) {
    throw new GatewayError(
      "config-invalid",
      "this gateway doesn't say where to log in",
      "pass `--issuer` and `--client-id`, or have `identity.login` added to its configuration",
    );
  }
  const resource = options.resource ?? known?.resource;
  const scope = options.scope ?? known?.scope ?? "openid offline_access";
  const use = options.idToken === true ? "id" : (known?.use ?? "access");
  return { client: { issuer, clientId, scope, ...(resource === undefined ? {} : { resource }) }, use };
}
