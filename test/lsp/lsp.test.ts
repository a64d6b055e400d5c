import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type {
  CodeAction,
  CodeLens,
  CompletionItem,
  Hover,
  Location,
  TextEdit,
  WorkspaceEdit,
} from "vscode-languageserver-protocol";
import { shopCatalog } from "../dsl/shop-catalog.ts";
import { cursorIn, LspClient } from "./client.ts";

const agents = "package shared\n\n## The caller is a program.\nexport let is_agent = identity.kind == agent\n";
const rules = `package shop

import shared.{is_agent}

catalog "prod" from "./prod.json"

allow read_orders on sql read of public.orders
  when is_agent

deny no_ddl on sql ddl
  because "{identity.sub} never changes the schema"

test "agents read orders" {
  given identity { sub: "bot", kind: agent }
  given sql "select id from orders" at "prod"
  expect allow by read_orders
}
`;

const client = new LspClient({
  "manifest.yaml": "revision: test\n",
  "agents.policy": agents,
  "rules.policy": rules,
  "prod.json": shopCatalog,
});
before(async () => {
  await client.initialize();
  await client.open("agents.policy", agents);
  await client.open("rules.policy", rules);
});
after(() => client.stop());

/** Opens `text` with a cursor as another file of the bundle and asks for what completes it. */
let count = 0;
const completions = async (marked: string): Promise<readonly string[]> => {
  const { text, position } = cursorIn(marked);
  count += 1;
  const name = `draft${count}.policy`;
  await client.open(name, text);
  const items = await client.request<CompletionItem[]>("completion", name, { position });
  await client.connection.sendNotification("textDocument/didClose", { textDocument: { uri: client.uri(name) } });
  return items.map((item) => item.label);
};

/** Where the first `word` of a text stands. */
const placeOf = (text: string, word: string) => {
  const index = text.indexOf(word);
  const lines = text.slice(0, index).split("\n");
  return { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 };
};

test("says what it can do", async () => {
  const other = new LspClient({});
  const { capabilities } = await other.initialize();
  assert.equal(capabilities.hoverProvider, true);
  assert.deepEqual(capabilities.executeCommandProvider?.commands, ["gatewright.runTest"]);
  await other.stop();
});

test("shows a mistake while it is typed, and takes it back when it is mended", async () => {
  const broken = rules.replace("sql read of public.orders", "sql wirte of public.orders");
  await client.change("rules.policy", 2, broken);
  const [wrong] = await client.diagnostics("rules.policy", (d) => d.some((one) => one.code === "E0106"));
  assert.equal(wrong?.severity, 1);
  assert.deepEqual(wrong?.range, { start: { line: 6, character: 25 }, end: { line: 6, character: 30 } });
  assert.match(String(wrong?.message), /`wirte` is not a SQL action\ndid you mean `write`\?/);
  await client.change("rules.policy", 3, rules);
  await client.diagnostics("rules.policy", (d) => d.every((one) => one.code !== "E0106"));
});

test("lints a bundle that has no error", async () => {
  const warnings = await client.diagnostics("rules.policy", (d) => d.some((one) => one.code === "L0311"));
  assert.deepEqual(
    warnings.map((d) => [d.code, d.severity]),
    [["L0311", 2]],
  );
});

test("completes facts with their types", async () => {
  const names = await completions("package x\ndeny d on sql\n  when sql.¦");
  assert.ok(names.includes("has_where") && names.includes("estimated_rows"), names.join());
});

test("completes tables and columns from the catalog", async () => {
  assert.ok((await completions("package x\nallow a on sql read of ¦")).includes("public.customers"));
  assert.deepEqual(await completions("package x\nmask m of json ¦"), ["tagged"]);
  assert.deepEqual(await completions("package x\nallow a on sql read of public.¦"), ["customers", "orders"]);
  assert.deepEqual(await completions("package x\nmask m of public.customers.¦"), ["id", "email", "active", "meta"]);
  assert.deepEqual(await completions("package x\nfilter f of public.customers where row.¦"), [
    "id",
    "email",
    "active",
    "meta",
  ]);
});

test("completes what may follow a word", async () => {
  assert.deepEqual(await completions("package x\nallow a on ¦"), ["any", "sql", "http", "mcp", "llm"]);
  assert.ok((await completions("package x\nmask m of public.customers.email using ¦")).includes("tokenize"));
  assert.ok((await completions("package x\n¦")).includes("require approval"));
  assert.ok((await completions('package shop\ntest "t" {\n  expect allow by ¦')).includes("read_orders"));
  const values = await completions("package x\nlet mine = 1\ndeny d on sql\n  when ¦");
  for (const name of ["identity", "count", "mine", "agent", "not"]) assert.ok(values.includes(name), name);
});

test("hovers facts, names and tables", async () => {
  const hover = async (name: string, text: string, word: string) => {
    const found = await client.request<Hover | null>("hover", name, { position: placeOf(text, word) });
    return JSON.stringify(found?.contents);
  };
  assert.match(await hover("agents.policy", agents, "kind"), /identity\.kind: principal_kind/);
  const imported = await hover("rules.policy", rules, "is_agent\n\ndeny");
  assert.match(imported, /export let is_agent = identity\.kind == agent.*The caller is a program\./);
  assert.match(await hover("rules.policy", rules, "orders\n  when"), /\*\*public\.orders\*\*.*`tenant`/);
});

test("goes to a definition in another file", async () => {
  const position = placeOf(rules, "is_agent\n\ndeny");
  const found = await client.request<Location>("definition", "rules.policy", { position });
  assert.deepEqual(found, {
    uri: client.uri("agents.policy"),
    range: { start: { line: 3, character: 11 }, end: { line: 3, character: 19 } },
  });
});

test("finds every use of a rule", async () => {
  const position = placeOf(rules, "read_orders on");
  const found = await client.request<Location[]>("references", "rules.policy", {
    position,
    context: { includeDeclaration: true },
  });
  assert.deepEqual(
    found.map((place) => place.range.start.line),
    [6, 15],
  );
});

test("renames a name in every file", async () => {
  const position = placeOf(agents, "is_agent");
  const edit = await client.request<WorkspaceEdit>("rename", "agents.policy", { position, newName: "is_program" });
  const lines = Object.entries(edit.changes ?? {}).map(([uri, edits]) => [uri, edits.map((e) => e.range.start.line)]);
  assert.deepEqual(Object.fromEntries(lines), {
    [client.uri("agents.policy")]: [3],
    [client.uri("rules.policy")]: [2, 7],
  });
  await assert.rejects(
    client.request("rename", "agents.policy", { position, newName: "where" }),
    /`where` cannot be a name/,
  );
});

test("formats a document", async () => {
  const untidy = "package x\nallow   a on sql read\n   when identity.mfa\n";
  await client.open("untidy.policy", untidy);
  const edits = await client.request<TextEdit[]>("formatting", "untidy.policy", {
    options: { tabSize: 2, insertSpaces: true },
  });
  assert.deepEqual(
    edits.map((e) => e.newText),
    ["package x\n\nallow a on sql read\n  when identity.mfa\n"],
  );
  await client.connection.sendNotification("textDocument/didClose", {
    textDocument: { uri: client.uri("untidy.policy") },
  });
});

test("offers the mend of a mistake", async () => {
  const text = "package y\ndeny d on sql\n  when identity.kind = agent\n";
  await client.open("mend.policy", text);
  await client.diagnostics("mend.policy", (d) => d.length > 0);
  const position = placeOf(text, "= agent");
  const range = { start: position, end: position };
  const [action] = await client.request<CodeAction[]>("codeAction", "mend.policy", {
    range,
    context: { diagnostics: [] },
  });
  assert.equal(action?.title, "write `==`");
  assert.deepEqual(action?.edit?.changes?.[client.uri("mend.policy")]?.[0]?.newText, "==");
  await client.connection.sendNotification("textDocument/didClose", {
    textDocument: { uri: client.uri("mend.policy") },
  });
});

test("runs a test from its code lens", async () => {
  const [lens] = await client.request<CodeLens[]>("codeLens", "rules.policy");
  assert.equal(lens?.command?.title, "run test");
  const outcome = await client.connection.sendRequest("workspace/executeCommand", {
    command: lens?.command?.command,
    arguments: lens?.command?.arguments,
  });
  assert.deepEqual(outcome, { passed: true, message: '"agents read orders" passed' });
});
