// gw init: an existing database -> a gateway in front of it
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { causeCode, GatewayError } from "../../proxy/errors.ts";
import { askPerson } from "../ask-person.ts";
import { withoutSystemSchemas } from "../catalog-tags.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { proposeMasks, starterFiles } from "../starter.ts";
import type { Terminal } from "../terminal.ts";
import { readDatabase, targetOfUrl } from "./catalog.ts";

type Flags = {
  readonly database?: string;
  readonly passwordFile?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly group?: string;
  readonly connection?: string;
  readonly listen?: string;
  readonly yes?: boolean;
};

export function register(program: Command, { terminal, exit }: CommandContext): void {
  program
    .command("init")
    .description("write a working configuration for an existing database; asks what the flags don't say")
    .argument("[folder]", "where; must be empty or new", "gatewright")
    .option("--database <url>", "postgres://USER@HOST:PORT/DATABASE, as the gateway's own role")
    .option("--password-file <file>", "the role's password; default: PGPASSWORD")
    .option("--issuer <url>", "OpenID issuer of the people and agents")
    .option("--audience <text>", "`aud` of tokens for this gateway")
    .option("--group <name>", "group whose members may read")
    .option("--connection <name>", "what policies call this database")
    .option("--listen <address>", "where clients connect")
    .option("-y, --yes", "take what is proposed")
    .action(async (folder: string, flags: Flags) => exit(await init(folder, flags, terminal)));
}

async function init(folder: string, flags: Flags, terminal: Terminal) {
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new GatewayError("config-invalid", `\`${folder}\` is not empty`, "name a new folder: nothing is overwritten");
  }
  const person = askPerson();
  const answer = async (given: string | undefined, question: string, proposed: string): Promise<string> =>
    given ?? (flags.yes === true ? proposed : await person.ask(question, proposed));
  try {
    const text = await answer(flags.database, "database, as postgres://USER@HOST:PORT/DATABASE", "");
    const url = databaseUrl(text);
    const target = targetOfUrl(url, isLocal(url) ? "prefer" : "verify-full");
    const password = passwordOf(url, flags.passwordFile);
    const catalog = withoutSystemSchemas(await readDatabase({ ...target, password: async () => password }));
    terminal.err(`${catalog.relations.size} relations found in ${target.database}\n`);
    const answers = {
      connection: await answer(flags.connection, "name of this connection in policies", `${plain(target.database)}-db`),
      target,
      listen: await answer(flags.listen, "address for clients", "127.0.0.1:6432"),
      issuer: await answer(flags.issuer, "OpenID issuer of people and agents", "https://id.example.com"),
      audience: await answer(flags.audience, "audience of their tokens", "gatewright"),
      group: await answer(flags.group, "group that may read", "readers"),
    };
    const files = starterFiles(catalog, answers);
    const secrets = new Map([
      ["secrets/upstream-password", password],
      ["secrets/mask-key", randomBytes(32).toString("hex")],
      ["secrets/.gitignore", "*\n"],
    ]);
    for (const [path, content] of files) writeFile(folder, path, content, 0o644);
    for (const [path, content] of secrets) writeFile(folder, path, content, 0o600);
    for (const path of [...files.keys(), ...secrets.keys()]) terminal.err(`wrote ${join(folder, path)}\n`);
    const masks = proposeMasks(catalog);
    terminal.out(`
${masks.length} columns are masked because of their names: read ${join(folder, "policies/access.policy")}
gw policy test ${join(folder, "policies")}      run its tests
gw serve --config ${join(folder, "gw.yaml")}      start the gateway
gw connect ${answers.connection}      psql through it, with a token in GW_TOKEN
`);
    return exitCodes.ok;
  } finally {
    person.close();
  }
}

function databaseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "postgres:" || url?.protocol === "postgresql:") return url;
  throw new GatewayError(
    "config-invalid",
    "which database?",
    "name it like --database postgres://USER@HOST:5432/DATABASE",
  );
}

const isLocal = ({ hostname }: URL): boolean => /^(?:localhost|127\.|\[::1\]$)/.test(hostname);

/** Of a file, of the address, of PGPASSWORD; "" where the server asks for none. */
function passwordOf(url: URL, file: string | undefined): string {
  if (file === undefined)
    return url.password === "" ? (process.env.PGPASSWORD ?? "") : decodeURIComponent(url.password);
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    throw new GatewayError("config-unreadable", `\`${file}\` can't be read: ${causeCode(error)}`);
  }
}

const plain = (name: string): string => name.replaceAll(/[^A-Za-z0-9._-]/g, "-").slice(0, 40) || "my";

function writeFile(folder: string, path: string, content: string, mode: number): void {
  const full = join(folder, path);
  mkdirSync(dirname(full), { recursive: true, mode: 0o700 });
  writeFileSync(full, content, { mode });
}
