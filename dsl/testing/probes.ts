// Requests of HTTP, MCP and models worth trying: at the places that rules name, with bodies and headers that they ask for.
import type { Json } from "../../engine/lib/json.ts";
import type { Fact } from "../../engine/lib/truth.ts";
import type { HttpFacts, LlmFacts, McpFacts } from "../../engine/model/request.ts";
import { childrenOf } from "../check/cost.ts";
import type { Checked, CheckedRule, Core, Value } from "../checked.ts";
import type { Glob } from "../glob.ts";
import type { Route } from "../route.ts";
import type { Type } from "../types.ts";
import { elementsOf } from "../values.ts";
import type { Dice } from "./generate.ts";

/** Somewhere that a rule is about: `GET /v1/orders/7` at a connection. */
export type Place = {
  readonly protocol: "http" | "mcp" | "llm";
  readonly connection: string;
  /** A method, or the kind of thing that is named. */
  readonly word: string;
  /** What is asked for. */
  readonly name: string;
  /** The route or pattern that it stands for. */
  readonly pattern: string;
};

export type ProbeFacts =
  | { readonly protocol: "http"; readonly http: HttpFacts }
  | { readonly protocol: "mcp"; readonly mcp: McpFacts }
  | { readonly protocol: "llm"; readonly llm: LlmFacts };

/** A request at a place. `given` is how a test says it. */
export type Probe = { readonly place: Place; readonly given: string; readonly facts: ProbeFacts };

/** In place of a `*` or a placeholder: a word that no rule means. */
const anyWord = "x7";
const concrete = (glob: string): string => glob.replaceAll("*", anyWord);

/** Every place that a rule names, each once, and one of each protocol that none names. */
export function placesOf(rules: readonly CheckedRule[]): readonly Place[] {
  const places = new Map<string, Place>();
  for (const place of rules.flatMap(placesOfRule)) {
    places.set([place.protocol, place.connection, place.word, place.name].join(" "), place);
  }
  return [...places.values()];
}

function placesOfRule(rule: CheckedRule): readonly Place[] {
  const connections = (rule.at ?? [{ text: "*" } as Glob]).map((g) => (g.text === "*" ? "any" : concrete(g.text)));
  return connections.flatMap((connection) => namesOf(rule).map((name) => ({ connection, ...name })));
}

function namesOf({ scope }: CheckedRule): readonly Omit<Place, "connection">[] {
  if (scope.protocol === "http") {
    const methods = [...(scope.methods ?? ["GET", "POST"])];
    const routes = scope.routes ?? [undefined];
    return methods.flatMap((word) =>
      routes.map((route) => ({
        protocol: "http" as const,
        word,
        name: route ? pathOf(route) : `/${anyWord}`,
        pattern: route?.text ?? "/**",
      })),
    );
  }
  if (scope.protocol !== "mcp" && scope.protocol !== "llm") return [];
  const { protocol } = scope;
  const word = protocol === "mcp" ? "tool" : "model";
  if (scope.selectors.length === 0) return [{ protocol, word, name: `${anyWord}.${anyWord}`, pattern: "*" }];
  return scope.selectors.flatMap((s) =>
    s.patterns.map((p) => ({
      protocol,
      word: s.name,
      name: p.text === "*" ? `${anyWord}.${anyWord}` : concrete(p.text),
      pattern: p.text,
    })),
  );
}

const pathOf = (route: Route): string =>
  `/${route.segments
    .map((s) => (s.kind === "text" ? s.text : s.kind === "rest" ? anyWord : s.isInt ? "7" : anyWord))
    .join("/")}`;

/** What a rule asks of the contents of a request. */
type Wants = {
  readonly bodies: Type[];
  readonly headers: Map<string, Set<string>>;
  readonly query: Map<string, Set<string>>;
  readonly texts: Set<string>;
  readonly numbers: Set<number>;
};

export function wantsOf(rules: readonly CheckedRule[], data: Checked["data"]): Wants {
  const wants: Wants = { bodies: [], headers: new Map(), query: new Map(), texts: new Set(), numbers: new Set() };
  const add = (value: Value): void => {
    if (typeof value === "string") wants.texts.add(value);
    if (typeof value === "number") for (const n of [value - 1, value, value + 1]) wants.numbers.add(n);
  };
  const visit = (core: Core): void => {
    if (core.op === "cast" && isBody(core.operand)) wants.bodies.push(core.type);
    if (core.op === "compare") {
      for (const [side, other] of [
        [core.left, core.right],
        [core.right, core.left],
      ] as const)
        wantKey(wants, side, other);
    }
    if (core.op === "lookup") wantKey(wants, core, undefined);
    if (core.op === "const") {
      for (const value of core.value instanceof Set ? core.value : [core.value]) add(value);
    }
    if (core.op === "data") for (const value of elementsOf(data.get(core.name)?.value).slice(0, 5)) add(value);
    for (const child of childrenOf(core)) visit(child);
  };
  for (const rule of rules) {
    for (const clause of rule.clauses) visit(clause.kind === "let" ? clause.value : clause.condition);
  }
  return wants;
}

const isBody = (core: Core): boolean =>
  core.op === "fact" &&
  ((core.root === "http" && core.field === "body") || (core.root === "mcp" && core.field === "args"));

function wantKey(wants: Wants, side: Core, other: Core | undefined): void {
  const core = side.op === "coalesce" ? side.left : side;
  if (core.op !== "lookup" || core.object.op !== "fact" || core.object.root !== "http") return;
  const map = core.object.field === "headers" ? wants.headers : core.object.field === "query" ? wants.query : undefined;
  if (!map || core.key.op !== "const" || typeof core.key.value !== "string") return;
  const known = map.get(core.key.value) ?? new Set<string>(["1"]);
  if (other?.op === "const" && typeof other.value === "string") known.add(other.value);
  map.set(core.key.value, known);
}

/**
 * One request at the place, with contents drawn from what the rules ask for; now and then with none. `words` may stand for
 * placeholders and `*`: who asks is often a part of what is asked for.
 */
export function drawProbe(dice: Dice, pattern: Place, wants: Wants, words: readonly Fact<string | undefined>[]): Probe {
  const word = dice.chance(0.5) ? dice.pick(words) : undefined;
  const place = typeof word === "string" ? { ...pattern, name: pattern.name.replaceAll(anyWord, word) } : pattern;
  const body = dice.chance(0.8) ? dice.pick(wants.bodies) : undefined;
  const content = body && drawJson(dice, body, wants);
  const at = `at ${quote(place.connection)}`;
  switch (place.protocol) {
    case "http": {
      const headers = drawMap(dice, wants.headers);
      const query = drawMap(dice, wants.query);
      const record = writeRecord([
        ["headers", Object.keys(headers).length > 0 ? headers : undefined],
        ["query", Object.keys(query).length > 0 ? query : undefined],
        ["body", content],
      ]);
      const http: HttpFacts = {
        method: place.word,
        host: "localhost",
        path: place.name,
        query,
        headers,
        body: content,
        bodySize: content === undefined ? 0 : JSON.stringify(content).length,
      };
      return {
        place,
        facts: { protocol: "http", http },
        given: `http ${place.word} ${quote(place.name)} ${at}${record}`,
      };
    }
    case "mcp": {
      const only = (word: string): string | undefined => (place.word === word ? place.name : undefined);
      const method =
        { tool: "tools/call", resource: "resources/read", prompt: "prompts/get" }[place.word] ?? place.word;
      const args = content ?? {};
      const mcp: McpFacts = {
        server: place.connection,
        method,
        tool: only("tool"),
        resource: only("resource"),
        prompt: only("prompt"),
        args,
      };
      const record = content === undefined ? "" : ` ${writeJson(content)}`;
      return { place, facts: { protocol: "mcp", mcp }, given: `mcp ${place.word} ${quote(place.name)} ${at}${record}` };
    }
    case "llm": {
      const isTool = place.word === "tool";
      const inputTokens = dice.pick([...wants.numbers].filter((n) => n >= 0)) ?? 100;
      const llm: LlmFacts = {
        provider: place.connection,
        model: isTool ? "" : place.name,
        tools: new Set(),
        toolUse: isTool ? place.name : undefined,
        inputTokens,
        maxTokens: undefined,
      };
      const given = `llm ${place.word} ${quote(place.name)} ${at} { input_tokens: ${inputTokens}, tools: [] }`;
      return { place, facts: { protocol: "llm", llm }, given };
    }
    default:
      return place.protocol satisfies never;
  }
}

function drawMap(dice: Dice, wanted: ReadonlyMap<string, ReadonlySet<string>>): Readonly<Record<string, string>> {
  const entries = [...wanted].flatMap(([key, values]): [string, string][] => {
    const value = dice.chance(0.8) ? dice.pick([...values]) : undefined;
    return value === undefined ? [] : [[key, value]];
  });
  return Object.fromEntries(entries);
}

/** undefined: left out. */
function drawJson(dice: Dice, type: Type, wants: Wants): Json | undefined {
  switch (type.kind) {
    case "option":
      return dice.chance(0.3) ? undefined : drawJson(dice, type.of, wants);
    case "record": {
      const fields = [...type.fields].flatMap(([name, t]): [string, Json][] => {
        const value = drawJson(dice, t, wants);
        return value === undefined ? [] : [[name, value]];
      });
      return Object.fromEntries(fields);
    }
    case "set":
    case "list": {
      const item = drawJson(dice, type.of, wants);
      return item === undefined ? [] : [item];
    }
    case "enum":
      return dice.pick(type.values) ?? "";
    case "bool":
      return dice.chance(0.5);
    case "int":
      return dice.pick([...wants.numbers].filter(Number.isSafeInteger)) ?? 1;
    case "float":
      return dice.pick([...wants.numbers]) ?? 1;
    case "string":
      return dice.pick([...wants.texts, anyWord]) ?? anyWord;
    default:
      return {};
  }
}

const quote = (text: string): string => JSON.stringify(text).replaceAll("{", "\\{");

const writeRecord = (entries: readonly (readonly [string, Json | undefined])[]): string => {
  const present = entries.flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${writeJson(value)}`]));
  return present.length === 0 ? "" : ` { ${present.join(", ")} }`;
};

/** As a value of the language. */
function writeJson(value: Json): string {
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return `[${value.map(writeJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, each]) => `${quote(key)}: ${writeJson(each)}`);
    return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
  }
  return String(value);
}
