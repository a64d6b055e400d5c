// The gallery of docs/language.md section 11: these mistakes give exactly these words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { renderDiagnostic, Sources } from "../../dsl/render-diagnostic.ts";

const catalog = JSON.stringify({
  gatewright: "catalog/1",
  database: "shop",
  schemas: {
    public: {
      relations: {
        orders: {
          columns: [
            { name: "id", type: "integer" },
            { name: "owner", type: "text" },
            { name: "tenant", type: "text" },
          ],
        },
        customers: {
          columns: [
            { name: "id", type: "integer" },
            { name: "email", type: "text" },
          ],
        },
      },
    },
  },
});

const withCatalog = 'package a catalog "prod-pg" from "./prod-pg.json"\n\n';

/** Name, path, text, what `gw policy check` prints. */
const gallery: readonly (readonly [name: string, path: string, text: string, printed: string])[] = [
  [
    "a field that does not exist",
    "a.policy",
    `package a

deny d on sql write
  when not sql.has_were
  because "no"
`,
    `error[E0102]: \`sql\` has no field \`has_were\`
 --> a.policy:4:16
  |
4 |   when not sql.has_were
  |                ^^^^^^^^ did you mean \`has_where\`?
  = note: \`sql.has_where\` is \`bool\``,
  ],
  [
    "a header that may be absent",
    "a.policy",
    `package a

allow a on http
  when http.headers["x-env"] != "prod"
`,
    `error[E0204]: \`http.headers["x-env"]\` may be absent
 --> a.policy:4:8
  |
4 |   when http.headers["x-env"] != "prod"
  |        ^^^^^^^^^^^^^^^^^^^^^ \`string?\`: decide what absent means here
  = help: \`http.headers["x-env"] is present and http.headers["x-env"] …\`  to require it
  = help: \`http.headers["x-env"] ?? "…"\`  to give it a value`,
  ],
  [
    "a claim that may be absent",
    "a.policy",
    `package a

deny d on sql
  when identity.email endswith "@evil.test"
  because "no"
`,
    `error[E0204]: \`identity.email\` may be absent
 --> a.policy:4:17
  |
4 |   when identity.email endswith "@evil.test"
  |                 ^^^^^ \`string?\`: decide what absent means here
  = help: \`identity.email is present and identity.email …\`  to require it
  = help: \`identity.email ?? "…"\`  to give it a value`,
  ],
  [
    "a header that may be absent in a deny rule",
    "api.policy",
    `package a






deny wrong_env on http at "api"
  when http.headers["x-env"] != "prod"
  because "no"
`,
    `error[E0204]: \`http.headers["x-env"]\` may be absent
 --> api.policy:9:8
  |
9 |   when http.headers["x-env"] != "prod"
  |        ^^^^^^^^^^^^^^^^^^^^^ \`string?\`: a request without this header reaches this line
  = note: in a \`deny\` rule, treating "absent" as "different" would deny every request without the header;
          treating it as "nothing to compare" would let them all through. Say which one you mean:
  = help: deny when absent:    \`(http.headers["x-env"] ?? "none") != "prod"\`
  = help: ignore when absent:  \`http.headers["x-env"] is present and http.headers["x-env"] != "prod"\``,
  ],
  [
    "a root that the rule's requests do not have",
    "a.policy",
    `package a

allow a on http
  when sql.has_where
`,
    `error[E0202]: \`sql\` is not available in this rule
 --> a.policy:4:8
  |
4 |   when sql.has_where
  |        ^^^ not available here
  = note: this rule matches \`http\` requests, where there is no sql data
  = help: add \`on sql\` to the rule, or move this condition to a rule that has it`,
  ],
  [
    "an action that does not exist",
    "a.policy",
    `package a

allow x on sql wirte of public.orders
`,
    `error[E0106]: \`wirte\` is not a SQL action
 --> a.policy:3:16
  |
3 | allow x on sql wirte of public.orders
  |                ^^^^^ did you mean \`write\`?
  = note: this rule would never match, so it is an error and not a warning
  = help: actions are read, write, ddl, dcl, tcl, session, procedural, or a single verb such as select`,
  ],
  [
    "a column that does not exist",
    "a.policy",
    `${withCatalog}mask m of public.customers.emial using hash
`,
    `error[E0402]: table \`public.customers\` has no column \`emial\`
 --> a.policy:3:11
  |
3 | mask m of public.customers.emial using hash
  |           ^^^^^^^^^^^^^^^^^^^^^^ did you mean \`public.customers.email\`?
  = note: a mask for a column that does not exist would protect nothing`,
  ],
  [
    "a table that does not exist",
    "a.policy",
    `${withCatalog}allow r on sql read of public.order
`,
    `error[E0401]: no table \`public.order\` in the catalog of connection "prod-pg"
 --> a.policy:3:24
  |
3 | allow r on sql read of public.order
  |                        ^^^^^^^^^^^^ did you mean \`public.orders\`?
  = note: a rule about a table that does not exist can never match
  = help: run \`gw catalog pull\` if the table is new, or mark the rule @allow_missing`,
  ],
  [
    "a mask that does not exist",
    "a.policy",
    `package a

mask m of public.customers.email using hsah
`,
    `error[E0301]: there is no mask called \`hsah\`
 --> a.policy:3:40
  |
3 | mask m of public.customers.email using hsah
  |                                        ^^^^ did you mean \`hash\`?
  = help: masks are partial, bucket, round, card, phone, fields, hash, tokenize, redact, nullify, remove`,
  ],
  [
    "a set compared with an element",
    "a.policy",
    `package a

allow a on sql read
  when identity.groups == "admins"
`,
    `error[E0217]: these two can never be equal
 --> a.policy:4:8
  |
4 |   when identity.groups == "admins"
  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^ \`set<string>\` compared with \`string\`
  = help: to test membership write \`identity.groups contains "admins"\``,
  ],
  [
    "a verb that does not exist",
    "a.policy",
    `package a

allow a on sql
  when sql.verb == updte
`,
    `error[E0225]: \`updte\` is not a verb
 --> a.policy:4:20
  |
4 |   when sql.verb == updte
  |                    ^^^^^ did you mean \`update\`?`,
  ],
  [
    "a duration without a unit",
    "a.policy",
    `package a

allow a on sql
  when session.age > 30
`,
    `error[E0217]: \`duration\` and \`int\` cannot be compared
 --> a.policy:4:8
  |
4 |   when session.age > 30
  |        ^^^^^^^^^^^^^^^^
  = help: give the number a unit: 30m, 30h`,
  ],
  [
    "a pattern that could take exponential time",
    "a.policy",
    `package a

allow a on sql
  when sql.text matches "(a+)+$"
`,
    `error[E0222]: this pattern could take exponential time
 --> a.policy:4:25
  |
4 |   when sql.text matches "(a+)+$"
  |                         ^^^^^^^^ nested repetition, back-reference or look-around
  = help: patterns are limited to the linear-time subset, so that no request can stall the gateway`,
  ],
  [
    "a condition that is no yes or no",
    "a.policy",
    `package a

allow a on sql
  when identity.groups
`,
    `error[E0201]: \`when\` needs a yes/no condition, but this is \`set<string>\`
 --> a.policy:4:17
  |
4 |   when identity.groups
  |                 ^^^^^^ this is \`set<string>\`
  = help: to test that it is not empty write \`count(…) > 0\``,
  ],
  [
    "default allow",
    "a.policy",
    `package a

default allow
`,
    `error[E0107]: \`default allow\` does not exist
 --> a.policy:3:1
  |
3 | default allow
  | ^^^^^^^ the default is always deny
  = help: write the rule you mean, for example \`allow everything on any at "dev-*"\``,
  ],
  [
    "the decision in a rule that helps to make it",
    "a.policy",
    `package a

allow a on sql
  when decision.effect == allow
`,
    `error[E0202]: \`decision\` is not available in this rule
 --> a.policy:4:8
  |
4 |   when decision.effect == allow
  |        ^^^^^^^^ not available here
  = note: \`decision\` exists only in \`alert\` rules, which run after the decision is made`,
  ],
  [
    "a function that calls itself",
    "a.policy",
    `package a

func f(n: int): bool = f(n)
`,
    `error[E0108]: \`f\` calls itself
 --> a.policy:3:24
  |
3 | func f(n: int): bool = f(n)
  |                        ^ recursion is not allowed: every policy must terminate`,
  ],
  [
    "a text without quotes",
    "a.policy",
    `package a

allow a on sql
  when identity.sub == bob
`,
    `error[E0101]: unknown name \`bob\`
 --> a.policy:4:24
  |
4 |   when identity.sub == bob
  |                        ^^^ not defined
  = help: a text value needs quotes: "bob"`,
  ],
  [
    "two rules of one name, one after the other",
    "a.policy",
    `package a

deny d on sql ddl because "no"
allow d on sql read
`,
    `error[E0105]: rule \`d\` is defined twice
 --> a.policy:4:7
  |
4 | allow d on sql read
  |       ^ second definition here
  = note: rule names identify rules in decision logs, \`explain\` and tests, so they must be unique in a package`,
  ],
  [
    "two rules of one name, far apart",
    "pg.policy",
    `package a
${"\n".repeat(10)}deny no_ddl on sql ddl at "prod-*" because "no"
${"\n".repeat(18)}deny no_ddl on sql drop because "no"
`,
    `error[E0105]: rule \`no_ddl\` is defined twice
  --> pg.policy:31:6
   |
12 | deny no_ddl on sql ddl at "prod-*" because "no"
   |      ------ first defined here
   |
31 | deny no_ddl on sql drop because "no"
   |      ^^^^^^ second definition
   = help: rules are combined anyway (any deny wins); give the second one its own name, e.g. \`no_drop\``,
  ],
  [
    "a filter that has no SQL form",
    "pg.policy",
    `package a





filter f of public.orders where lower(row.owner) == identity.sub
`,
    `error[E0501]: this row filter cannot run inside the database
 --> pg.policy:7:33
  |
7 | filter f of public.orders where lower(row.owner) == identity.sub
  |                                 ^^^^^^^^^^^^^^^^ a function of \`row\` has no SQL form here
  = note: with \`row.column\` you may use  == != < <= > >= in  \`is present\`  and or not
  = help: compare with both spellings: \`row.owner in [identity.sub, upper(identity.sub)]\``,
  ],
  [
    "a condition that costs too much",
    "x.policy",
    `package a


deny slow on sql
  when any a in sql.columns_read: any b in sql.columns_returned: a.name == b.name
  because "no"
`,
    `error[E0602]: rule \`slow\` may cost 100,671,489 steps; the budget is 100,000
 --> x.policy:5:8
  |
5 |   when any a in sql.columns_read: any b in sql.columns_returned: a.name == b.name
  |        ^^^ up to 4,096 × up to 4,096 comparisons
  = help: build a set once: \`let names = [b.name for b in sql.columns_returned]\` and test \`a.name in names\``,
  ],
];

for (const [name, path, text, printed] of gallery) {
  test(`explains ${name}`, () => {
    const files = new Map([
      [path, text],
      ["prod-pg.json", catalog],
    ]);
    const { diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
    const errors = diagnostics.filter((d) => d.severity === "error");
    assert.equal(errors.map((d) => renderDiagnostic(d, new Sources(files))).join("\n\n"), printed);
  });
}
