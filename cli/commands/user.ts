// gw user verifier NAME
import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { GatewayError } from "../../proxy/errors.ts";
import { makeVerifier } from "../../proxy/identity/scram-verifier.ts";
import type { CommandContext } from "../main.ts";

/** A password from a pipe, bytes: beyond it somebody has piped a file by mistake. */
const passwordBytesMax = 1_024;

export function register(program: Command, { terminal }: CommandContext): void {
  program
    .command("user")
    .description("users of the gateway itself, for tools that can't bring a token")
    .command("verifier")
    .description("the lines for `users` in gw.yaml, with a verifier in place of the password")
    .argument("<name>", "the user name that the tool logs in with")
    .option("--stdin", "take the password from standard input; otherwise a random one is made and shown once")
    .action(async (name: string, options: { readonly stdin?: boolean }) => {
      const password = options.stdin ? await pipedPassword() : randomBytes(24).toString("base64url");
      terminal.out(`users:\n  - name: ${JSON.stringify(name)}\n    verifier: ${await makeVerifier(password)}\n`);
      terminal.out("    kind: service\n    groups: []\n");
      if (!options.stdin) terminal.err(`password, shown this once: ${password}\n`);
    });
}

async function pipedPassword(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    text += String(chunk);
    if (text.length > passwordBytesMax) break;
  }
  const password = text.replace(/\r?\n$/, "");
  if (password.length < 12 || text.length > passwordBytesMax || /[\r\n\0]/.test(password)) {
    throw new GatewayError(
      "config-invalid",
      "the password must be one line of 12 to 1,024 characters",
      "leave `--stdin` out to have a good one made",
    );
  }
  return password;
}
