// node bench/mcp.bench.ts: what the gateway adds to a tool call and to the first word of a model's answer.
// Figures depend on the machine; direct and through the gateway are interleaved in one process.
import { test } from "node:test";
import { startModel } from "../test/llm/model.ts";
import { legacyClient } from "../test/mcp/clients.ts";
import { startLegacyServer } from "../test/mcp/servers.ts";
import { startTrafficGateway } from "../test/support/traffic-gateway.ts";

const rounds = Number(process.env.ROUNDS ?? 300);
const server = await startLegacyServer("json");
const model = await startModel(() => ({ blocks: [{ type: "text", text: "x".repeat(2_000) }] }), 4_096);
const policy = (masks: string): string => `package bench
allow tools on mcp tool "*"
allow models on llm model "*"
${masks}`;
const masks =
  'mask mails of text "email", "phone", "iban" using redact on mcp\nmask llm_mails of text "email" using redact on llm';
const connections = `
  - { name: crm, kind: mcp, listen: 127.0.0.1:0, tls: off, upstream: { url: ${server.url} } }
  - { name: claude, kind: llm, listen: 127.0.0.1:0, tls: off, upstream: { url: ${model.url} } }
`;
const plain = await startTrafficGateway({ policy: policy(""), connections });
const masked = await startTrafficGateway({ policy: policy(masks), connections });

const percentile = (times: readonly number[], share: number): string =>
  `${(times.toSorted((a, b) => a - b)[Math.floor(times.length * share)] ?? 0).toFixed(2)} ms`;
const show = (what: string, times: readonly number[]): void =>
  console.log(`${what.padEnd(36)} p50 ${percentile(times, 0.5)}  p95 ${percentile(times, 0.95)}`);

async function interleaved(runs: Readonly<Record<string, () => Promise<void>>>): Promise<void> {
  const times = new Map(Object.keys(runs).map((name) => [name, [] as number[]]));
  for (let i = 0; i < rounds + 20; i += 1) {
    for (const [name, run] of Object.entries(runs)) {
      const start = performance.now();
      await run();
      if (i >= 20) times.get(name)?.push(performance.now() - start);
    }
  }
  for (const [name, each] of times) show(name, each);
}

test("a tool call", async () => {
  const clients = {
    "tool call, direct": await legacyClient(server.url, "none"),
    "tool call, through the gateway": await legacyClient(plain.urlOf("crm"), await plain.token()),
    "tool call, masked": await legacyClient(masked.urlOf("crm"), await masked.token()),
  };
  await interleaved(
    Object.fromEntries(
      Object.entries(clients).map(([name, { client }]) => [
        name,
        async () => void (await client.callTool({ name: "get_customer", arguments: { id: 7 } })),
      ]),
    ),
  );
});

test("the first word of an answer", async () => {
  const body = JSON.stringify({
    model: "claude-1",
    max_tokens: 10,
    stream: true,
    messages: [{ role: "user", content: "word ".repeat(8_000) }],
  });
  const first = (url: string, token: string) => async () => {
    const answer = await fetch(`${url}/v1/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body,
    });
    const reader = answer.body?.getReader();
    await reader?.read();
    await reader?.cancel();
  };
  await interleaved({
    "first bytes (40 KB asked), direct": first(model.url, "none"),
    "first bytes, through the gateway": first(plain.urlOf("claude"), await plain.token()),
    "first bytes, masked": first(masked.urlOf("claude"), await masked.token()),
  });
});
