// npm run test:agent: the real Claude Agent SDK drives PostgreSQL, an HTTP API, an MCP server and the model through one
// gateway, against a scripted model on loopback. The SDK is large, so it lies in a cache folder, not in package.json.
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { installAgentSdk } from "./install.ts";

const folder = installAgentSdk();
process.env.GW_AGENT_SDK = folder;
let failed = 0;
let passed = 0;
const stream = run({ files: ["test/agent/agent.check.ts"], concurrency: 1, timeout: 300_000 });
stream.on("test:fail", () => {
  failed += 1;
});
stream.on("test:pass", () => {
  passed += 1;
});
stream.compose(spec).pipe(process.stdout);
stream.once("end", () => {
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
});
