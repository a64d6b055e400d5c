// gw policy …: one file per subcommand
import type { Command } from "commander";
import type { CommandContext } from "../main.ts";
import { addCheck } from "./policy-check.ts";
import { addFmt } from "./policy-fmt.ts";
import { addInit } from "./policy-init.ts";
import { addTest } from "./policy-test.ts";

export function register(program: Command, context: CommandContext): void {
  const policy = program.command("policy").description("check, test and understand policies");
  for (const add of [addCheck, addTest, addFmt, addInit]) add(policy, context);
}
