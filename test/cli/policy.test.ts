// The texts that people read, as they stand on stdout and stderr, and the exit codes that scripts read.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, test } from "node:test";
import { main } from "../../cli/main.ts";
import { captured } from "../support/terminal.ts";

const root = mkdtempSync(join(tmpdir(), "gw-cli-"));
after(() => rmSync(root, { recursive: true, force: true }));

type Ran = { readonly code: number; readonly out: string; readonly err: string };

/** Runs `gw …` in this process. Paths of the temporary folder are shown as `~`, timings as `…`. */
async function gw(args: readonly string[], options: { readonly hasColor?: boolean } = {}): Promise<Ran> {
  const terminal = captured(options);
  const code = await main(args, terminal);
  const clean = (text: string) =>
    text
      .replaceAll(relative(".", root), "~")
      .replaceAll(root, "~")
      .replaceAll(/\d+(\.\d+)? (ms|s)\b/g, "…");
  return { code, out: clean(terminal.stdout()), err: clean(terminal.stderr()) };
}

let folders = 0;
/** A bundle from `gw policy init`, changed. */
async function bundle(
  change: (files: { main: string; tests: string }) => { main?: string; tests?: string } = () => ({}),
): Promise<string> {
  folders += 1;
  const folder = join(root, `b${folders}`);
  assert.equal((await gw(["policy", "init", folder])).code, 0);
  const [mainPath, testPath] = [join(folder, "main.policy"), join(folder, "main.test.policy")];
  const changed = change({ main: readFileSync(mainPath, "utf8"), tests: readFileSync(testPath, "utf8") });
  if (changed.main !== undefined) writeFileSync(mainPath, changed.main);
  if (changed.tests !== undefined) writeFileSync(testPath, changed.tests);
  return folder;
}

test("gw policy init writes a bundle that checks, is formatted, has nothing to remark, and whose test passes", async () => {
  const folder = await bundle();
  assert.deepEqual(await gw(["policy", "check", folder]), {
    code: 0,
    out: "3 rules and 3 tests in 1 package: no mistakes\n",
    err: "",
  });
  assert.deepEqual(await gw(["policy", "fmt", "--check", folder]), {
    code: 0,
    out: "",
    err: "0 files would change, 2 as they should be\n",
  });
  assert.deepEqual(await gw(["policy", "lint", folder]), { code: 0, out: "nothing to remark\n", err: "" });
  assert.deepEqual(await gw(["policy", "test", folder]), {
    code: 0,
    out: `~/b1/main.test.policy
  ✓ support reads customers; an agent sees masked addresses  …
  ✓ people see addresses  …
  ✓ nobody empties a table by mistake (2 rows)  …

4 passed, 0 failed, …
`,
    err: "",
  });
});

test("gw policy init overwrites nothing", async () => {
  const folder = await bundle();
  assert.deepEqual(await gw(["policy", "init", folder]), {
    code: 2,
    out: "",
    err: "error[config-invalid]: `~/b2` is not empty\n  = help: name a new folder: nothing is overwritten\n",
  });
});

test("a mistake comes with its place and a way out, and ends with 1", async () => {
  const folder = await bundle(({ main: text }) => ({ main: text.replace("public.orders at", "public.order at") }));
  const ran = await gw(["policy", "check", folder]);
  assert.deepEqual(ran, {
    code: 1,
    out: `error[E0401]: no table \`public.order\` in the catalog of connection "prod-pg"
  --> ~/b3/main.policy:10:54
   |
10 | allow support_reads on sql read of public.customers, public.order at "prod-pg"
   |                                                      ^^^^^^^^^^^^ did you mean \`public.orders\`?
   = note: a rule about a table that does not exist can never match
   = help: run \`gw catalog pull\` if the table is new, or mark the rule @allow_missing

1 error
`,
    err: "",
  });
  const github = await gw(["policy", "check", folder, "--format", "github"]);
  assert.match(
    github.out,
    /^::error file=~\/b3\/main\.policy,line=10,endLine=10,col=54,endColumn=66,title=E0401::no table/,
  );
  const json: readonly { readonly code: string }[] = JSON.parse(
    (await gw(["policy", "check", folder, "--format", "json"])).out,
  );
  assert.deepEqual(
    json.map((d) => d.code),
    ["E0401"],
  );
  const sarif: { readonly version: string } = JSON.parse(
    (await gw(["policy", "check", folder, "--format", "sarif"])).out,
  );
  assert.equal(sarif.version, "2.1.0");
});

test("tests of a bundle that doesn't compile don't run, and say so on stderr", async () => {
  const folder = await bundle(({ main: text }) => ({ main: text.replace("sql.has_where", "sql.has_were") }));
  const ran = await gw(["policy", "test", folder]);
  assert.equal(ran.code, 1);
  assert.equal(ran.out, "");
  assert.match(
    ran.err,
    /error\[E0102\]: `sql` has no field `has_were`[\s\S]*no test ran: the policies don't compile\n$/,
  );
});

test("a failed expectation shows both sides and the line", async () => {
  const folder = await bundle(({ tests }) => ({
    tests: tests.replace("expect allow by support_reads\n  expect not", "expect deny\n  expect not"),
  }));
  const ran = await gw(["policy", "test", folder, "--filter", "people see"]);
  assert.equal(ran.code, 1);
  assert.equal(ran.err, "");
  assert.match(
    ran.out,
    / {2}✗ people see addresses {2}…\n\nFAIL {2}people see addresses\n {2}- expected {2}deny\n {2}\+ got {7}allow by acme\.access\.support_reads\nerror\[T0101\]: expected deny\n/,
  );
  assert.match(ran.out, /0 passed, 1 failed, …\n$/);
});

test("a filter that no test meets is a mistake, not a success", async () => {
  const folder = await bundle();
  const ran = await gw(["policy", "test", folder, "--filter", "nothing like it"]);
  assert.deepEqual([ran.code, ran.err], [1, "no test's name holds `nothing like it`\n"]);
});

test("coverage names the rule and the condition, and --min-rules can demand it", async () => {
  const folder = await bundle(({ tests }) => ({ tests: tests.slice(0, tests.indexOf('test "nobody empties')) }));
  const ran = await gw(["policy", "test", folder, "--coverage", "--min-rules", "100"]);
  assert.deepEqual([ran.code, ran.err], [1, "tests fired 66 % of the rules, less than 100 %\n"]);
  assert.match(ran.out, /rules {8}66 % {2}2 of 3 fired\n/);
  assert.match(ran.out, / {2}acme\.access\.unbounded_write {2}no test reaches it {2}~\/b\d+\/main\.policy:17\n/);
  const lcov = await gw(["policy", "test", folder, "--coverage", "lcov"]);
  assert.match(lcov.out, /^TN:\nSF:~\/b\d+\/main\.policy\nFN:\d+,acme\.access\./);
});

test("mutants name what no test notices", async () => {
  const folder = await bundle(({ tests }) => ({ tests: tests.slice(0, tests.indexOf('test "people see')) }));
  const ran = await gw(["policy", "test", folder, "--mutate"]);
  assert.equal(ran.code, 1);
  assert.match(ran.out, /acme\.access\.agent_email {2}without `when identity\.kind == agent`/);
});

test("the JUnit and JSON reports agree with the run", async () => {
  const folder = await bundle();
  const file = join(root, "junit.xml");
  const ran = await gw(["policy", "test", folder, "--json", "--junit", file]);
  const report: { readonly passed: number; readonly failed: number; readonly results: readonly object[] } = JSON.parse(
    ran.out,
  );
  assert.deepEqual([ran.code, report.passed, report.failed, report.results.length], [0, 4, 0, 4]);
  const junit = readFileSync(file, "utf8");
  assert.match(junit, /<testsuite name="[^"]*main\.test\.policy" tests="4" failures="0"/);
  assert.equal(junit.match(/<testcase /g)?.length, 4);
});

test("fmt --diff shows the change as a diff and writes nothing; fmt writes it", async () => {
  const folder = await bundle(({ main: text }) => ({
    main: text.replace("deny unbounded_write on sql update, delete", "deny   unbounded_write on sql update,delete"),
  }));
  const diff = await gw(["policy", "fmt", "--diff", folder]);
  assert.equal(diff.code, 1);
  assert.match(diff.out, /^--- ~\/b\d+\/main\.policy\n\+\+\+ ~\/b\d+\/main\.policy\n@@ -14,\d,?\d* \+14,\d[^\n]*\n/m);
  assert.match(
    diff.out,
    /\n-deny {3}unbounded_write on sql update,delete\n\+deny unbounded_write on sql update, delete\n/,
  );
  assert.equal((await gw(["policy", "fmt", folder])).code, 0);
  assert.equal((await gw(["policy", "fmt", "--check", folder])).code, 0);
});

test("eval decides a request; a fixture's name says who asks", async () => {
  const folder = await bundle();
  assert.deepEqual(await gw(["policy", "eval", folder, "--as", "bot", "--sql", "select id, email from customers"]), {
    code: 0,
    out: `ALLOW
  by acme.access.support_reads
  mask public.customers.email using partial  (acme.access.agent_email)
`,
    err: "",
  });
  const json = await gw([
    "policy",
    "eval",
    folder,
    "--json",
    "--as",
    '{ sub: "eve", kind: human, groups: [] }',
    "--sql",
    "select id from orders",
  ]);
  assert.deepEqual(JSON.parse(json.out), {
    effect: "deny",
    rules: [],
    alerts: [],
    causes: [{ kind: "uncovered", access: "select public.orders", message: "No rule of acme.access allows this" }],
  });
});

test("explain says which condition failed, and what would change the decision", async () => {
  const folder = await bundle();
  const ran = await gw([
    "policy",
    "explain",
    folder,
    "--as",
    '{ sub: "eve", kind: human, groups: [] }',
    "--sql",
    "select id from orders",
  ]);
  assert.equal(ran.code, 0);
  assert.match(
    ran.out,
    /^DENY\n {2}No rule of acme\.access allows this\n\nselect public\.orders\n {2}allowed by {2}– nothing –\n/,
  );
  assert.match(
    ran.out,
    /allow acme\.access\.support_reads {2}does not apply {2}~\/b\d+\/main\.policy:10\n {6}✗ when identity\.groups contains "support"/,
  );
});

test("explain of a code is its page", async () => {
  const ran = await gw(["policy", "explain", "E0204"]);
  assert.equal(ran.code, 0);
  assert.match(ran.out, /^# E0204: /);
  assert.equal((await gw(["policy", "explain", "E9999"])).code, 2);
});

test("a question that can't be read is shown like a policy", async () => {
  const folder = await bundle();
  const ran = await gw(["policy", "eval", folder, "--as", "{ knd: agent }", "--sql", "select 1"]);
  assert.deepEqual([ran.code, ran.out], [1, ""]);
  assert.match(ran.err, /`identity` has no field `knd`/);
});

test("diff ends with 3 when the new version permits more, and with 0 the other way round", async () => {
  const before = await bundle();
  const after = await bundle(({ main: text }) => ({
    main: text.replace('  when identity.groups contains "support"\n', ""),
  }));
  const wider = await gw(["policy", "diff", before, after, "--cases", "500"]);
  assert.equal(wider.code, 3, wider.out);
  assert.match(wider.out, /^WIDENED/);
  assert.match(wider.out, /given sql "/);
  const narrower = await gw(["policy", "diff", after, before, "--cases", "500"]);
  assert.deepEqual([narrower.code, /^NOT WIDENED/.test(narrower.out)], [0, true]);
});

test("lint goes by the manifest, and for one run by --rule", async () => {
  const loose = ({ main }: { main: string }) => ({ main: `${main}\ndeny no_reason on sql ddl\n` });
  const withManifest = async (text: string) => {
    const folder = await bundle(loose);
    writeFileSync(join(folder, "manifest.yaml"), text);
    return folder;
  };
  const strict = await withManifest("lint: { deny-without-because: error, untested-rule: off }\n");
  const ran = await gw(["policy", "lint", strict]);
  assert.deepEqual(
    [ran.code, [...ran.out.matchAll(/^(\w+)\[(L\d+)\]/gm)].map(([, severity, code]) => `${severity} ${code}`)],
    [1, ["error L0301"]],
  );
  const softer = await gw(["policy", "lint", strict, "--rule", "deny-without-because=warning"]);
  assert.deepEqual([softer.code, /^warning\[L0301\]/.test(softer.out)], [0, true]);
  const wrong = await gw(["policy", "lint", await withManifest("lint:\n  untested-rul: off\n  allow-unknown: loud\n")]);
  assert.match(
    wrong.err,
    /manifest\.yaml:2:3: there is no lint rule `untested-rul`, did you mean `untested-rule`\?\n.*manifest\.yaml:3:18: `allow-unknown` is error, warning or off\n/,
  );
});

test("check holds obligations against the connections of a gw.yaml", async () => {
  const folder = await bundle(({ main }) => ({
    main: `${main}\nmask secrets of text "jwt" using redact on any\nfilter own of json "$.items" where (item.owner as string) == identity.sub on mcp\n`,
  }));
  const config = join(folder, "gw.yaml");
  writeFileSync(join(folder, "key"), "0123456789abcdef0123456789abcdef\n", { mode: 0o600 });
  writeFileSync(
    config,
    [
      `policies: { path: ${folder} }`,
      `recording: { directory: ${folder} }`,
      'admin: { listen: "127.0.0.1:7070" }',
      "identity: { issuers: [{ issuer: https://id.example.com/, audience: gatewright, discovery: true }] }",
      "connections:",
      "  - name: prod-pg",
      "    kind: postgres",
      '    listen: "127.0.0.1:5432"',
      "    env: prod",
      "    mask_key: { file: key }",
      "    upstream: { host: db.internal, database: shop, user: gateway, password: { file: key } }",
      "",
    ].join("\n"),
  );
  assert.equal((await gw(["policy", "check", folder])).code, 0);
  const ran = await gw(["policy", "check", folder, "--config", config]);
  assert.equal(ran.code, 1, ran.err);
  assert.match(ran.out, /error\[E0601\]: connection "prod-pg" cannot apply `mask … of text … using redact`\n/);
  assert.match(ran.out, /\n1 error/);
});

test("matrix shows who may do what", async () => {
  const folder = await bundle();
  const ran = await gw(["policy", "matrix", folder]);
  assert.equal(ran.code, 0);
  assert.match(ran.out, /^prod-pg +sam +bot\n─+ +─+ +─+\npublic\.customers +\+ {3}- {3}- {3}- +\+m {2}- {3}- {3}-\n/);
});

const webRules = `
type Order = { amount: int }
allow own_page on http GET "/v1/people/{who}" at "api" when who == identity.sub
allow order on http POST "/v1/orders" at "api"
  let o = http.body as Order
  when o is present and o.amount <= 100
mask tokens of json "$.token" using redact on http at "api" when identity.kind == agent
allow read_tools on mcp tool "crm.get_*"
filter own of json "$.items" where (item.owner as string) == identity.sub on mcp tool "crm.*"
require approval calls from group "leads" on llm model "big-*"
allow models on llm
`;

test("matrix shows routes, tools and models, too", async () => {
  const folder = await bundle(({ main }) => ({ main: main + webRules }));
  const { out } = await gw(["policy", "matrix", folder, "--at", "api"]);
  assert.match(
    out,
    /^api +sam +bot\n─+ +─+ +─+\nGET \/\*\* +- +-\nPOST \/\*\* +- +-\nPOST \/v1\/orders +\+\? +\+m\?\nGET \/v1\/people\/\{who\} +\+\? +\+m\?\n/,
  );
  const any = await gw(["policy", "matrix", folder, "--at", "any"]);
  assert.match(any.out, /\nmodel big-\* +a +a\n[\s\S]*\ntool crm\.get_\* +\+f +\+f\n/);
});

test("diff tells requests of HTTP, MCP and models that a version widens", async () => {
  const before = await bundle(({ main }) => ({ main: main + webRules }));
  const after = await bundle(({ main }) => ({
    main:
      main +
      webRules
        .replace("<= 100", "<= 1_000")
        .replace('"crm.get_*"', '"crm.*"')
        .replace("using redact on http", "using hash on http")
        .replace('"big-*"', '"huge-*"'),
  }));
  const { code, out } = await gw(["policy", "diff", before, after, "--cases", "3000"]);
  assert.equal(code, 3);
  assert.match(
    out,
    /widened {2}deny → allow {4}POST \/v1\/orders\n[\s\S]*?given http POST "\/v1\/orders" at "api" \{ body: \{ "amount": \d+ \} \}/,
  );
  assert.match(out, /widened {2}deny → allow {4}tools\/call crm\.x7\n/);
  assert.match(out, /widened {2}no longer mask json \$\.token using redact/);
  assert.match(out, /widened {2}approval → allow {4}model big-x7\n/);
});

test("repl decides requests of HTTP, MCP and models", async () => {
  const folder = await bundle(({ main }) => ({ main: main + webRules }));
  const input = [
    ":at api",
    'http GET /v1/people/bot { headers: { "x-a": "b" } }',
    "http POST /v1/orders { body: { amount: 101 } }",
    "mcp tool crm.get_customer { id: 7 }",
    "llm model small",
    ":quit",
  ].join("\n");
  const ran = spawnSync(process.execPath, ["cli/gw.js", "policy", "repl", folder, "--as", "bot"], {
    input,
    encoding: "utf8",
  });
  assert.equal(ran.status, 0, ran.stderr);
  assert.equal(
    ran.stdout.replaceAll(/ {2}it would be .*\n/g, ""),
    `ALLOW
  by acme.access.own_page
  mask json "$.token" using redact  (acme.access.tokens)
DENY
  No rule of acme.access allows this
ALLOW
  by acme.access.read_tools
  filter json "$.items" where (item -> 'owner')::string = 'bot'  (acme.access.own)
ALLOW
  by acme.access.models
`,
  );
});

test("doc is a page in the author's words", async () => {
  const ran = await gw(["policy", "doc", await bundle()]);
  assert.equal(ran.code, 0);
  assert.match(
    ran.out,
    /## acme\.access\n\n### Allowed\n\n- \*\*support_reads\*\* `sql read of public\.customers, public\.orders; at "prod-pg"`\n {2}Support reads customers and orders\./,
  );
});

test("doc tells what is on trial from what is enforced, and says what each role and table is given", async () => {
  const trial = '\n@mode(shadow) @owner("data team")\ndeny no_names on sql read of public.customers because "no"\n';
  const { out } = await gw(["policy", "doc", await bundle(({ main }) => ({ main: `${main}${trial}` }))]);
  assert.match(
    out,
    /### On trial: reported, not enforced\n\n- deny \*\*no_names\*\* .*\n {2}- because "no"\n {2}- owner "data team"\n/,
  );
  assert.equal(
    out.slice(out.indexOf("## Who")),
    `## Who

| who | is allowed | and held back by |
|---|---|---|
| everybody | – | unbounded_write (deny) |
| group support | support_reads (sql select · public.customers, public.orders) | – |
| kind agent | – | agent_email (mask) |

## Tables of prod-pg

| table | allowed by | denied by | masked or filtered by | approved under |
|---|---|---|---|---|
| public.customers | support_reads | unbounded_write | agent_email | – |
| public.orders | support_reads | unbounded_write | – | – |
`,
  );
});

test("colours are there on a terminal and nowhere else", async () => {
  const folder = await bundle();
  assert.doesNotMatch((await gw(["policy", "test", folder])).out, /\u001b/);
  assert.match((await gw(["policy", "test", folder], { hasColor: true })).out, /\u001b\[32m✓/);
});

test("what isn't there is a mistake of the caller: exit code 2, a way out, nothing on stdout", async () => {
  assert.deepEqual(await gw(["policy", "check", join(root, "nowhere")]), {
    code: 2,
    out: "",
    err: "error[config-unreadable]: there is no `~/nowhere`\n  = help: name a folder of policies, or a file in it\n",
  });
  assert.equal((await gw(["policy", "tset"])).code, 2);
  assert.equal((await gw(["policy", "test", "--min-rules", "many"])).code, 2);
});

test("a manifest's mistakes are shown with their places", async () => {
  const folder = await bundle();
  writeFileSync(join(folder, "manifest.yaml"), "packages: acme.access\nrevison: 7\ntime_zone: Mars/North\n");
  const ran = await gw(["policy", "check", folder]);
  assert.equal(ran.code, 2);
  assert.equal(
    ran.err,
    `error[config-invalid]: ~/b${folders}/manifest.yaml:2:1: \`revison\` is not a key of a manifest: it has revision, time_zone, packages, tests_with, lint
~/b${folders}/manifest.yaml:3:12: \`Mars/North\` isn't a time zone: write one like \`Europe/Berlin\`
~/b${folders}/manifest.yaml:1:11: \`packages\` is a list of package names
  = help: docs/guide.md has an example of a manifest
`,
  );
});

test("index says by which key each rule is found", async () => {
  const ran = await gw(["policy", "index", await bundle()]);
  assert.equal(ran.code, 0);
  assert.match(
    ran.out,
    /acme\.access\.agent_email +mask +prod-pg +sql every verb · public\.customers\.email +identity\.kind = agent +3\n/,
  );
  assert.match(
    ran.out,
    /acme\.access\.unbounded_write +deny +every +sql update, delete · every table +scanned: condition is an alternative +4\n/,
  );
});

test("repl decides statement after statement, as whoever is named", async () => {
  const folder = await bundle();
  const input = "select email from customers\n:as sam\nselect email from customers;\nselect 1 from nowhere\n:quit\n";
  const ran = spawnSync(process.execPath, ["cli/gw.js", "policy", "repl", folder, "--as", "bot"], {
    input,
    encoding: "utf8",
  });
  assert.equal(ran.status, 0, ran.stderr);
  assert.equal(
    ran.stdout.replaceAll(/ {2}it would be .*\n/g, ""),
    `ALLOW
  by acme.access.support_reads
  mask public.customers.email using partial  (acme.access.agent_email)
ALLOW
  by acme.access.support_reads
refused by the gateway itself: relation \`nowhere\` does not exist or is not known to the gateway
`,
  );
});
