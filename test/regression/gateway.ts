// `gw serve` before the second cluster, with a policy that allows everything
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGateway } from "../../cli/compose.ts";
import { startTokenIssuer } from "../../cli/demo/token-issuer.ts";
import type { Json } from "../../engine/lib/json.ts";
import { readConfig } from "../../proxy/config.ts";
import { readEvents } from "../../proxy/recording/read.ts";
import type { PsqlTarget } from "./psql.ts";

export type Refusal = { readonly statement: string; readonly causes: readonly Json[] };

export type RegressionGateway = {
  readonly target: PsqlTarget;
  /** Stops it, and gives what it refused, in order. */
  readonly stop: () => Promise<readonly Refusal[]>;
};

const policy = `package regression

allow everything on sql at "regression"
`;

/** The gateway's user upstream, and the name that the client gives, are those of a direct session. */
export async function startRegressionGateway(upstream: PsqlTarget): Promise<RegressionGateway> {
  const folder = mkdtempSync(join(tmpdir(), "gw-regression-"));
  const issuer = await startTokenIssuer({ audience: "gatewright" });
  mkdirSync(join(folder, "policies"));
  writeFileSync(join(folder, "policies", "all.policy"), policy);
  writeFileSync(join(folder, "password"), upstream.password);
  writeFileSync(
    join(folder, "gw.yaml"),
    `
policies: { path: policies }
recording: { directory: recording }
log: { level: error }
identity:
  issuers:
    - { issuer: "${issuer.issuer}", audience: gatewright, jwks_url: "${issuer.jwksUrl}", algorithms: [EdDSA] }
connections:
  - name: regression
    kind: postgres
    listen: 127.0.0.1:0
    tls: { required: false }
    upstream:
      { host: ${upstream.host}, port: ${upstream.port}, database: ${upstream.database}, user: ${upstream.user}, password: { file: password }, sslmode: disable }
`,
  );
  const gateway = await startGateway(await readConfig(join(folder, "gw.yaml"), {}));
  const password = await issuer.issue({ sub: upstream.user, kind: "human", groups: [] });
  return {
    target: { ...upstream, port: gateway.connections[0]?.port ?? 0, password },
    stop: async () => {
      await gateway.stop(0);
      await issuer.stop();
      const refused: Refusal[] = [];
      for await (const event of readEvents(join(folder, "recording"))) {
        if (event.type === "statement" && event.effect === "deny")
          refused.push({ statement: event.statement, causes: event.causes });
      }
      rmSync(folder, { recursive: true, force: true });
      return refused;
    },
  };
}
