// issuer + gateway with the connections that a test writes down, as `gw serve` would run them
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { type Gateway, startGateway } from "../../cli/compose.ts";
import { startTokenIssuer, type TokenIssuer } from "../../cli/demo/token-issuer.ts";
import { readConfig } from "../../proxy/config.ts";
import { type RecordedEvent, readEvents } from "../../proxy/recording/read.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export type TrafficGateway = {
  readonly gateway: Gateway;
  readonly issuer: TokenIssuer;
  readonly folder: string;
  readonly recording: string;
  readonly configPath: string;
  readonly adminUrl: string;
  /** `http://127.0.0.1:port` of a connection. */
  readonly urlOf: (connection: string) => string;
  readonly portOf: (connection: string) => number;
  readonly token: (claims?: Readonly<Record<string, unknown>>) => Promise<string>;
  readonly writePolicy: (text: string) => void;
  readonly events: () => Promise<readonly RecordedEvent[]>;
};

export type TrafficOptions = {
  readonly policy: string;
  /** Entries of `connections:`, indented by two. */
  readonly connections: string;
  /** Keys at the top of gw.yaml. */
  readonly config?: string;
  /** Keys of `recording` besides its directory. */
  readonly recordingKeys?: string;
  readonly files?: Readonly<Record<string, string>>;
};

/** The caller is `bot`, an agent, unless a test says otherwise. */
export async function startTrafficGateway(options: TrafficOptions): Promise<TrafficGateway> {
  const folder = temporaryFolder();
  const issuer = await startTokenIssuer({ audience: "gatewright" });
  after(() => issuer.stop());
  mkdirSync(join(folder, "policies"));
  const writePolicy = (text: string): void => writeFileSync(join(folder, "policies", "test.policy"), text);
  writePolicy(options.policy);
  const files = {
    "mask.key": "0123456789abcdef0123456789abcdef",
    "upstream.key": "the-gateways-own-key",
    ...options.files,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const configPath = join(folder, "gw.yaml");
  writeFileSync(
    configPath,
    `
policies: { path: policies }
recording: { directory: recording${options.recordingKeys === undefined ? "" : `, ${options.recordingKeys}`} }
admin: { listen: 127.0.0.1:0 }
${options.config ?? ""}
identity:
  issuers:
    - { issuer: "${issuer.issuer}", audience: gatewright, jwks_url: "${issuer.jwksUrl}", algorithms: [EdDSA] }
connections:
${options.connections}
`,
  );
  const config = await readConfig(configPath, {});
  const gateway = await startGateway(config);
  after(() => gateway.stop(0));
  const portOf = (connection: string): number => gateway.connections.find((c) => c.name === connection)?.port ?? 0;
  const recording = join(folder, "recording");
  return {
    gateway,
    issuer,
    folder,
    recording,
    configPath,
    adminUrl: `http://127.0.0.1:${gateway.admin?.port}`,
    urlOf: (connection) => `http://127.0.0.1:${portOf(connection)}`,
    portOf,
    token: (claims = {}) => issuer.issue({ sub: "bot", kind: "agent", groups: [], ...claims }),
    writePolicy,
    events: async () => {
      const events: RecordedEvent[] = [];
      for await (const event of readEvents(recording)) events.push(event);
      return events;
    },
  };
}
