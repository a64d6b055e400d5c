// gw mcp run -- command | gw mcp pins list, accept
import type { Command } from "commander";
import type { CommandContext } from "../main.ts";
import { registerPins } from "./mcp-pins.ts";
import { registerRun } from "./mcp-run.ts";

export function register(program: Command, context: CommandContext): void {
  const mcp = program
    .command("mcp")
    .description("MCP servers: run one under policies, see and accept what its tools look like");
  registerRun(mcp, context);
  registerPins(mcp, context);
}
