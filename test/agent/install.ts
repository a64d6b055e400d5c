// The agent SDK through npm, once per machine.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const version = "0.3.330";

/** @returns the folder whose node_modules has it. @throws when npm can't install it */
export function installAgentSdk(): string {
  const folder = process.env.GW_AGENT_SDK ?? join(homedir(), ".cache", "gatewright", `agent-sdk-${version}`);
  if (existsSync(join(folder, "node_modules", "@anthropic-ai", "claude-agent-sdk", "package.json"))) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "gw-agent-sdk", private: true }));
  execFileSync("npm", ["install", "--no-audit", "--no-fund", `@anthropic-ai/claude-agent-sdk@${version}`], {
    cwd: folder,
    stdio: "inherit",
  });
  return folder;
}
