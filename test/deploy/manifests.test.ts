// Manifests against the schemas of what reads them, and the promises that they make.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { StatefulSet } from "kubernetes-models/apps/v1";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { Namespace, Service } from "kubernetes-models/v1";
import { parse, parseAllDocuments } from "yaml";
import { main } from "../../cli/main.ts";
import { parseConfig } from "../../proxy/config.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { captured } from "../support/terminal.ts";

const models = { StatefulSet, NetworkPolicy, PodDisruptionBudget, Namespace, Service };
type Resource = {
  readonly kind: keyof typeof models;
  readonly metadata: { readonly name: string; readonly namespace?: string };
} & Readonly<Record<string, unknown>>;

const folder = "deploy/kubernetes";
const kustomization = parse(readFileSync(join(folder, "kustomization.yaml"), "utf8"));
const resources: readonly Resource[] = kustomization.resources.flatMap((file: string) =>
  parseAllDocuments(readFileSync(join(folder, file), "utf8")).map((document): unknown => document.toJS()),
);
const named = (kind: Resource["kind"], name: string): Resource => {
  const found = resources.find((resource) => resource.kind === kind && resource.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
};

test("each Kubernetes resource is what its API's schema says", () => {
  for (const resource of resources) {
    const Model = models[resource.kind];
    assert.ok(Model, resource.kind);
    // SAFETY: `validate` is what checks the shape.
    new Model(resource as never).validate();
  }
  assert.deepEqual(
    resources.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    [
      "Namespace gatewright",
      "StatefulSet gatewright",
      "Service gatewright",
      "Service gatewright-pods",
      "PodDisruptionBudget gatewright",
      "NetworkPolicy gatewright",
      "NetworkPolicy agents-only-through-gatewright",
      "NetworkPolicy databases-only-from-gatewright",
    ],
  );
});

test("a pod has no root, nothing to write to but its volume, probes, and secrets by reference", () => {
  const { spec } = named("StatefulSet", "gatewright") as never as { spec: { template: { spec: PodSpec } } };
  const { securityContext, containers, volumes } = spec.template.spec;
  assert.deepEqual([securityContext.runAsNonRoot, securityContext.seccompProfile.type], [true, "RuntimeDefault"]);
  const [container] = containers;
  assert.deepEqual(container?.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  assert.ok(
    container?.startupProbe && container.readinessProbe && container.livenessProbe && container.resources.limits.memory,
  );
  assert.equal(container.env, undefined);
  assert.deepEqual(
    volumes.filter((v) => v.secret).map((v) => v.secret?.secretName),
    ["gatewright", "gatewright-tls"],
  );
  for (const name of kustomization.configMapGenerator.flatMap((map: { files: string[] }) => map.files)) {
    assert.ok(existsSync(join(folder, name)), name);
  }
});

type PodSpec = {
  readonly securityContext: { readonly runAsNonRoot: boolean; readonly seccompProfile: { readonly type: string } };
  readonly containers: readonly {
    readonly securityContext: unknown;
    readonly startupProbe: unknown;
    readonly readinessProbe: unknown;
    readonly livenessProbe: unknown;
    readonly resources: { readonly limits: { readonly memory: string } };
    readonly env?: unknown;
  }[];
  readonly volumes: readonly { readonly secret?: { readonly secretName: string } }[];
};

test("agents reach the gateway and names only; databases are reached from the gateway only", () => {
  const out = named("NetworkPolicy", "agents-only-through-gatewright");
  const into = named("NetworkPolicy", "databases-only-from-gatewright");
  type Spec = { podSelector: object; policyTypes: string[]; egress?: Rule[]; ingress?: Rule[] };
  type Rule = { to?: Peer[]; from?: Peer[]; ports: { port: number }[] };
  type Peer = { namespaceSelector: { matchLabels: Record<string, string> } };
  const spaces = (peers: Peer[] = []): (string | undefined)[] =>
    peers.map((peer) => peer.namespaceSelector.matchLabels["kubernetes.io/metadata.name"]);
  const agent = out.spec as Spec;
  assert.deepEqual([out.metadata.namespace, agent.podSelector, agent.policyTypes], ["agents", {}, ["Egress"]]);
  assert.deepEqual(
    agent.egress?.map((rule) => [spaces(rule.to), rule.ports.map(({ port }) => port)]),
    [
      [["gatewright"], [6432]],
      [["kube-system"], [53, 53]],
    ],
  );
  const database = into.spec as Spec;
  assert.deepEqual(
    [into.metadata.namespace, database.podSelector, database.policyTypes],
    ["databases", {}, ["Ingress"]],
  );
  assert.deepEqual(
    database.ingress?.map((rule) => [spaces(rule.from), rule.ports.map(({ port }) => port)]),
    [[["gatewright"], [5432]]],
  );
});

test("the configurations are ones that gw reads, but for files that are made at deployment", () => {
  for (const path of ["deploy/compose/gw.yaml", "deploy/kubernetes/gw.yaml"]) {
    const complaints = complaintsAbout(path);
    assert.deepEqual(
      complaints.filter((line) => !/can't be read: ENOENT$|a mask key needs at least 16 bytes/.test(line)),
      [],
      path,
    );
  }
});

function complaintsAbout(path: string): readonly string[] {
  try {
    parseConfig(readFileSync(path, "utf8"), path, {});
    return [];
  } catch (error) {
    assert.ok(error instanceof GatewayError);
    return error.message.split("\n");
  }
}

test("their policies compile", async () => {
  for (const path of ["deploy/compose/policies", "deploy/kubernetes/policies"]) {
    const terminal = captured();
    assert.equal(await main(["policy", "check", path], terminal), 0, terminal.text());
  }
});

test("in compose the agent's network holds the gateway only, and every file and secret is there or made", () => {
  const { services, networks, secrets } = parse(readFileSync("deploy/compose/compose.yaml", "utf8"));
  const onNetwork = (name: string): string[] =>
    Object.keys(services).filter((service) => services[service].networks.includes(name));
  assert.deepEqual(onNetwork("agents"), ["gateway", "agent"]);
  assert.deepEqual(onNetwork("databases"), ["gateway", "database"]);
  assert.deepEqual([networks.agents.internal, networks.databases.internal], [true, true]);
  assert.deepEqual(services.gateway.read_only && services.gateway.cap_drop, ["ALL"]);
  for (const { volumes = [] } of Object.values<{ volumes?: string[] }>(services)) {
    for (const volume of volumes.filter((v) => v.startsWith("./"))) {
      assert.ok(existsSync(join("deploy/compose", volume.split(":")[0] ?? "")), volume);
    }
  }
  const readme = readFileSync("deploy/compose/README.md", "utf8");
  for (const name of Object.keys(secrets)) assert.ok(readme.includes(name), name);
});

const analyze = existsSync("/usr/bin/systemd-analyze");
const skip = analyze ? false : "systemd-analyze isn't installed";
if (!analyze) console.log("SKIPPED: the systemd unit isn't checked, since systemd-analyze isn't installed");

test("the systemd unit is valid, and what it may do is little", { skip }, () => {
  const unit = "deploy/systemd/gatewright.service";
  assert.equal(execFileSync("systemd-analyze", ["verify", unit], { encoding: "utf8" }), "");
  const exposure = execFileSync("systemd-analyze", ["security", "--offline=true", "--no-pager", unit], {
    encoding: "utf8",
  });
  assert.ok(Number(/exposure level for \S+: ([\d.]+)/.exec(exposure)?.[1]) < 2.5, exposure.slice(-200));
});
