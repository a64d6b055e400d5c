// a recording + the catalogs of its connections -> a policy that allows what was allowed, with tests
import { compileBundle, policySetOf } from "../../dsl/bundle.ts";
import { formatPolicy } from "../../dsl/format.ts";
import { isRestricting } from "../../dsl/matching.ts";
import { runTests } from "../../dsl/testing/run.ts";
import { invariant } from "../../engine/lib/assert.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { timeFactsIn } from "../../proxy/gate/time-facts.ts";
import type { RecordedEvent } from "../../proxy/recording/read.ts";
import { RecordedRequests } from "../recorded-request.ts";
import { type Replay, replayPolicies } from "../replay-policies.ts";
import { rememberingAnalyzer, type SnapshotAnalyzer } from "../snapshot-analyzer.ts";
import type { Audience } from "./callers.ts";
import { type Case, casesOf, neighboursOf } from "./cases.ts";
import { callerOf, type ObserveOptions, observe, thingsOf } from "./observe.ts";
import { type Observed, thingKey } from "./observed.ts";
import { identityFor, type LearnedCatalog, type LearnedTest, renderPolicy } from "./render.ts";
import { type Grant, grantsOf, type LearnedRule, rulesOf } from "./rules.ts";

export type LearnOptions = {
  /** Read several times. */
  readonly events: () => AsyncIterable<RecordedEvent>;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly connections: ReadonlySet<string> | undefined;
  /** Of connections with tables. */
  readonly catalogs: ReadonlyMap<string, Catalog>;
  readonly documentedRoute: ObserveOptions["documentedRoute"];
  /** Texts that the policy names as its catalogs: path -> text. */
  readonly files: ReadonlyMap<string, string>;
  readonly catalogPaths: readonly LearnedCatalog[];
  /** Path and package of the policy. */
  readonly path: string;
  readonly package: string;
  /** The policies of now: their rules other than `allow` go on beside the learned ones. */
  readonly keep: ReadonlyMap<string, string>;
  readonly timeZone: string;
};

export type Learned = {
  readonly text: string;
  readonly rules: number;
  readonly tests: number;
  readonly observed: Observed;
  /** The learned rules beside those that are kept, over the same recording. */
  readonly replay: Replay;
};

/** How many times a group is given up because somebody in it was refused the same. */
const roundsMax = 4;

/** @throws GatewayError when the recording can't be read, or holds too much */
export async function learnPolicy(options: LearnOptions): Promise<Learned> {
  const analyze = rememberingAnalyzer(options.catalogs);
  const observed = await observe(options.events(), {
    ...options,
    requests: new RecordedRequests(analyze, timeFactsIn(options.timeZone)),
  });
  const blocked = new Map<string, Set<string>>();
  let rules = rulesOf(grantsOf(observed, blocked));
  for (let round = 1; round < roundsMax; round += 1) {
    const text = renderPolicy({ package: options.package, observed, catalogs: options.catalogPaths, rules, tests: [] });
    if (!(await blockRefused(options, analyze, compiled(options, text).joined, blocked))) break;
    rules = rulesOf(grantsOf(observed, blocked));
  }
  const parts = { package: options.package, observed, catalogs: options.catalogPaths, rules };
  const alone = compiled(options, renderPolicy({ ...parts, tests: [] })).alone;
  const tests = testsOf(rules, options.catalogs, (one, audience, connection) =>
    decided(alone, analyze, one, audience, connection),
  );
  const formatted = formatPolicy(options.path, renderPolicy({ ...parts, tests }));
  invariant(formatted.ok, "a learned policy can be formatted");
  const { joined } = compiled(options, formatted.value);
  return {
    text: formatted.value,
    rules: rules.length,
    tests: testOwn(options, formatted.value, analyze),
    observed,
    replay: await replayPolicies(ofConnections(options), {
      policies: joined,
      analyze,
      fromMs: options.fromMs,
      untilMs: options.untilMs,
    }),
  };
}

/** `alone`: the learned rules; `joined`: with every restricting rule of the policies that are kept. */
function compiled(options: LearnOptions, text: string): { readonly alone: PolicySet; readonly joined: PolicySet } {
  if (text.length > limits.policyFileBytesMax) throw tooLong();
  const bundle = { revision: "learned", timeZone: options.timeZone };
  const alone = compileBundle(new Map([...options.files, [options.path, text]]), bundle);
  const problem = alone.diagnostics.find(({ severity }) => severity === "error");
  invariant(alone.policySet !== undefined, `a learned policy compiles: ${problem?.code} ${problem?.message}`);
  if (options.keep.size === 0) return { alone: alone.policySet, joined: alone.policySet };
  const both = compileBundle(new Map([...options.keep, ...options.files, [options.path, text]]), bundle);
  // What doesn't go together with the policies of now (another catalog of the same connection) is held against itself.
  if (both.policySet === undefined) return { alone: alone.policySet, joined: alone.policySet };
  const { checked } = both;
  const rules = checked.rules.filter((rule) => isRestricting(rule) || rule.path === options.path);
  return { alone: alone.policySet, joined: policySetOf({ ...checked, rules }, "learned", bundle) };
}

const tooLong = (): GatewayError =>
  new GatewayError(
    "config-invalid",
    "the learned policy is longer than a policy may be",
    "learn from one connection or a shorter time: `--connection NAME`, `--from 1d`",
  );

/** Notes who was refused what the rules would allow. @returns whether there is somebody new */
async function blockRefused(
  { events, fromMs, untilMs, connections, documentedRoute, timeZone }: LearnOptions,
  analyze: SnapshotAnalyzer,
  policies: PolicySet,
  blocked: Map<string, Set<string>>,
): Promise<boolean> {
  const requests = new RecordedRequests(analyze, timeFactsIn(timeZone));
  let isNew = false;
  for await (const event of events()) {
    requests.see(event);
    if (event.type !== "statement" || event.effect !== "deny" || event.atMs < fromMs || event.atMs > untilMs) continue;
    const start = requests.startOf(event);
    if (start === undefined || connections?.has(start.connection) === false) continue;
    const request = requests.requestOf(event);
    if (request === undefined) continue;
    if (policies.decide({ ...request, counter: () => 0 }).effect === "deny") continue;
    for (const { what } of thingsOf(request, documentedRoute) ?? []) {
      const key = thingKey(start.connection, what);
      const callers = blocked.get(key) ?? new Set();
      blocked.set(key, callers);
      const caller = callerOf(start).key;
      isNew ||= !callers.has(caller);
      if (callers.size < limits.learnedThingsMax) callers.add(caller);
    }
  }
  return isNew;
}

async function* ofConnections({ events, connections }: LearnOptions): AsyncGenerator<RecordedEvent> {
  if (connections === undefined) return yield* events();
  const others = new Set<string>();
  for await (const event of events()) {
    if (event.type === "session-start" && !connections.has(event.connection)) others.add(event.session);
    if (!others.has(event.session)) yield event;
    else if (event.type === "session-end") others.delete(event.session);
  }
}

type Decide = (one: Case, audience: Audience | "stranger", connection: string) => "allow" | "deny" | undefined;

function testsOf(
  rules: readonly LearnedRule[],
  catalogs: ReadonlyMap<string, Catalog>,
  decide: Decide,
): readonly LearnedTest[] {
  const tests: LearnedTest[] = [];
  const place = ({ connection, audience }: LearnedRule): string => `${connection} ${audience.key}`;
  for (const own of Map.groupBy(rules, place).values()) {
    const grants = own.flatMap((rule) => rule.grants);
    for (const rule of own) {
      const { name, audience, connection } = rule;
      const cases = casesOf(rule, (grant) => readableOf(grant, grants)).filter(
        (one) => decide(one, audience, connection) === "allow",
      );
      if (cases.length > 0)
        tests.push({ title: `${name}: as it was seen`, audience, connection, cases, expect: `allow by ${name}` });
    }
    const [rule] = own;
    if (rule === undefined) continue;
    const { audience, connection, name } = rule;
    const around = neighboursOf(grants, catalogs.get(connection));
    const cases = around.filter((one) => decide(one, audience, connection) === "deny");
    if (cases.length > 0)
      tests.push({ title: `${name}: what is next to it stays closed`, audience, connection, cases, expect: "deny" });
  }
  for (const own of Map.groupBy(
    tests.filter(({ expect }) => expect !== "deny"),
    ({ connection }) => connection,
  ).values()) {
    const [first] = own;
    const cases = first?.cases.filter((one) => decide(one, "stranger", first.connection) === "deny") ?? [];
    if (first !== undefined && cases.length > 0) {
      const { connection } = first;
      tests.push({ title: `nobody else at ${connection}`, audience: "stranger", connection, cases, expect: "deny" });
    }
  }
  return tests;
}

function readableOf({ what }: Grant, grants: readonly Grant[]): readonly string[] {
  if (what.kind !== "table") return [];
  const isSame = (other: Grant["what"]): boolean =>
    other.kind === "table" && other.verb === "select" && other.schema === what.schema && other.table === what.table;
  return grants.find((grant) => isSame(grant.what))?.columns ?? [];
}

const notGiven = new Unknown("a test doesn't give it");

/** As a test of the language would decide it; undefined where the statement can't be understood. */
function decided(
  policies: PolicySet,
  analyze: SnapshotAnalyzer,
  one: Case,
  audience: Audience | "stranger",
  connection: string,
): "allow" | "deny" | undefined {
  const { sub, kind, groups, onBehalfOf } = identityFor(audience);
  const around = {
    identity: {
      ...{ sub, kind, groups: new Set(groups), on_behalf_of: onBehalfOf },
      ...{ email: notGiven, ip: notGiven, mfa: notGiven, claims: notGiven },
    },
    connection: { name: connection, env: notGiven, tags: notGiven },
    session: { id: "test", age: notGiven, purpose: notGiven },
    time: { now: notGiven, hour: notGiven, minute: notGiven, weekday: notGiven },
    approved: new Set<never>(),
    counter: () => 0,
  };
  const request = requestOf(one, connection, analyze);
  if (request === undefined) return undefined;
  return policies.decide({ ...around, ...request }).effect === "allow" ? "allow" : "deny";
}

type Action =
  | Pick<PolicyRequest & { protocol: "sql" }, "protocol" | "sql">
  | Pick<PolicyRequest & { protocol: "http" }, "protocol" | "http">
  | Pick<PolicyRequest & { protocol: "mcp" }, "protocol" | "mcp">
  | Pick<PolicyRequest & { protocol: "llm" }, "protocol" | "llm">;

function requestOf(one: Case, connection: string, analyze: SnapshotAnalyzer): Action | undefined {
  switch (one.protocol) {
    case "sql": {
      const facts = analyze(one.text, connection);
      const [sql, more] = "code" in facts ? [] : facts;
      return sql === undefined || more !== undefined ? undefined : { protocol: "sql", sql };
    }
    case "http": {
      const { method, path } = one;
      const rest = { host: notGiven, query: notGiven, headers: notGiven, body: notGiven, bodySize: notGiven };
      return { protocol: "http", http: { method, path, ...rest } };
    }
    case "mcp": {
      const named = (selector: string): string | undefined => (one.selector === selector ? one.name : undefined);
      const method = { tool: "tools/call", resource: "resources/read", prompt: "prompts/get" }[one.selector] ?? "";
      const names = { tool: named("tool"), resource: named("resource"), prompt: named("prompt") };
      return { protocol: "mcp", mcp: { server: connection, method, ...names, args: {} } };
    }
    case "llm": {
      const isTool = one.selector === "tool";
      const names = { model: isTool ? "" : one.name, toolUse: isTool ? one.name : undefined };
      const rest = { provider: notGiven, tools: notGiven, inputTokens: notGiven, maxTokens: notGiven };
      return { protocol: "llm", llm: { ...names, ...rest } };
    }
    default:
      return one satisfies never;
  }
}

/** The number of tests, all of which pass: what didn't hold was left out before. */
function testOwn({ files, path }: LearnOptions, text: string, analyzeSql: SnapshotAnalyzer): number {
  const { checked } = compileBundle(new Map([...files, [path, text]]), { revision: "learned", timeZone: "UTC" });
  const { results, failed } = runTests(checked, { analyzeSql, nowMs: () => 0 });
  const first = results.find(({ problems }) => problems.length > 0);
  invariant(failed === 0, `the tests of a learned policy pass: ${first?.title} ${first?.row ?? ""}`);
  return results.length;
}
