// A gateway of its own process for bench/http.bench.ts. `folder upstream-port`
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startGateway } from "../cli/compose.ts";
import { startTokenIssuer } from "../cli/demo/token-issuer.ts";
import { readConfig } from "../proxy/config.ts";

const [folder = "", upstreamPort = ""] = process.argv.slice(2);
const issuer = await startTokenIssuer({ audience: "gatewright" });
mkdirSync(join(folder, "policies"));
writeFileSync(
  join(folder, "policies", "bench.policy"),
  `
package bench
type Transfer = { amount: int, to: string }
allow everything on http GET, POST at "api"
deny admin on http "/admin/**" because "closed"
mask iban of json "$.iban", "$.items[*].iban" using partial(last: 4) on http "/masked/**"
deny large on http POST "/post/read"
  let t = http.body as Transfer
  when t is present and t.amount > 100
`,
);
writeFileSync(
  join(folder, "gw.yaml"),
  `
policies: { path: policies }
recording: { directory: recording }
identity:
  issuers:
    - { issuer: "${issuer.issuer}", audience: gatewright, jwks_url: "${issuer.jwksUrl}", algorithms: [EdDSA] }
connections:
  - { name: api, kind: http, listen: "127.0.0.1:0", tls: off, upstream: { url: "http://127.0.0.1:${upstreamPort}" } }
`,
);
const gateway = await startGateway(await readConfig(join(folder, "gw.yaml"), {}));
const token = await issuer.issue({ sub: "bot", kind: "agent", groups: [] });
console.log(JSON.stringify({ port: gateway.connections[0]?.port, token }));
