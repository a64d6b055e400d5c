// gw policy init: a bundle to start from, with a passing test
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { GatewayError } from "../../proxy/errors.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";

type Flags = { readonly package: string; readonly connection: string };

export function addInit(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("init")
    .description("write a small bundle with a passing test")
    .argument("[folder]", "where; must be empty or new", "policies")
    .option("--package <name>", "name of its package", "acme.access")
    .option("--connection <name>", "the connection of gw.yaml that it is about", "prod-pg")
    .action((folder: string, flags: Flags) => {
      const files = scaffold(flags);
      writeAll(folder, files);
      for (const path of files.keys()) terminal.err(`wrote ${join(folder, path)}\n`);
      terminal.out(`
gw policy test ${folder}      run its test
gw policy check ${folder}     see every mistake with a way out
gw catalog pull postgres://USER@HOST/DATABASE --out ${join(folder, "catalog.json")}      put your own tables in place of the example's
`);
      exit(exitCodes.ok);
    });
}

function writeAll(folder: string, files: ReadonlyMap<string, string>): void {
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new GatewayError("config-invalid", `\`${folder}\` is not empty`, "name a new folder: nothing is overwritten");
  }
  for (const [path, text] of files) {
    const full = join(folder, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  }
}

/** Path in the bundle -> text. */
export function scaffold({ package: name, connection }: Flags): ReadonlyMap<string, string> {
  const at = JSON.stringify(connection);
  return new Map([
    [
      "main.policy",
      `## Who may do what on ${connection}.
package ${name}

# The tables that rules are checked against. \`gw catalog pull\` writes this file from your database.
catalog ${at} from "./catalog.json"

default deny because "No rule of ${name} allows this"

## Support reads customers and orders.
allow support_reads on sql read of public.customers, public.orders at ${at}
  when identity.groups contains "support"

## An agent sees that there is an address, not whose. Holds underneath: in WHERE, ORDER BY, views and joins, too.
mask agent_email of public.customers.email using partial(first: 1, keep_domain: true) at ${at}
  when identity.kind == agent

deny unbounded_write on sql update, delete
  when not sql.has_where or sql.where_always_true
  because "{sql.verb} on {table} has no WHERE clause that limits it"
`,
    ],
    [
      "main.test.policy",
      `package ${name}

fixture sam: identity = { sub: "sam", kind: human, groups: ["support"] }
fixture bot: identity = { sub: "bot", kind: agent, groups: ["support"] }

test "support reads customers; an agent sees masked addresses" {
  given identity bot
  given sql "select id, email from public.customers where id = 7" at ${at}
  expect allow by support_reads
  expect mask public.customers.email using partial
}

test "people see addresses" {
  given identity sam
  given sql "select email from public.customers" at ${at}
  expect allow by support_reads
  expect not mask public.customers.email
}

test "nobody empties a table by mistake" {
  cases
    | q                                                  | want |
    | "delete from public.orders"                        | deny |
    | "update public.orders set paid = true where 1 = 1" | deny |
  given identity sam
  given sql q at ${at}
  expect want by unbounded_write
}
`,
    ],
    ["catalog.json", exampleCatalog],
  ]);
}

const exampleCatalog = `{
  "gatewright": "catalog/1",
  "database": "example",
  "schemas": {
    "public": {
      "relations": {
        "customers": {
          "kind": "table",
          "columns": [
            { "name": "id", "type": "integer", "notNull": true },
            { "name": "name", "type": "text", "notNull": true },
            { "name": "email", "type": "text", "tags": ["pii"] }
          ]
        },
        "orders": {
          "kind": "table",
          "columns": [
            { "name": "id", "type": "integer", "notNull": true },
            { "name": "customer_id", "type": "integer", "notNull": true },
            { "name": "paid", "type": "boolean", "notNull": true }
          ]
        }
      }
    }
  }
}
`;
