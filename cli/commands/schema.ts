// gw schema input: what a policy in another language is given
import type { Command } from "commander";
import { inputSchema } from "../../engine/rego/input-schema.ts";
import type { CommandContext } from "../main.ts";

export function register(program: Command, { terminal }: CommandContext): void {
  const schema = program.command("schema").description("print the shapes that policies see");
  schema
    .command("input")
    .description("JSON Schema of the `input` of a Rego policy")
    .action(() => terminal.out(`${JSON.stringify(inputSchema(), undefined, 2)}\n`));
}
