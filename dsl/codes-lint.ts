// What is allowed and yet worth a second look.
import { type CodeTable, row } from "./code-row.ts";

/** Codes of the linter; what each rule is called stands first in its title. */
export const lintCodes = {
  L0106: row(
    "a pattern that matches nothing",
    "The catalog of the connection has no table or column that the pattern matches, so the rule has no effect there.",
    undefined,
    undefined,
  ),
  L0107: row(
    "two masks of one column",
    "The stricter mask wins; of two different ones of the same rank neither does, and the value is redacted. Give each column one mask if that is not what you mean.",
    ["mask a of public.customers.email using hash", "mask b of public.customers.email using redact"].join("\n"),
    "mask a of public.customers.email using hash",
  ),
  L0108: row(
    "a type, function or import that nothing uses",
    "Delete it, or use it.",
    "func f(n: int): bool = n > 1",
    ["func f(n: int): bool = n > 1", 'deny x on sql when f(sql.joins) because "no"'].join("\n"),
  ),
  L0201: row(
    "bare-deny: a test that passes by the default",
    "`expect deny` is met by the default although a `deny` rule exists for this request. Name the rule or the reason that you mean.",
    undefined,
    undefined,
  ),
  L0301: row(
    "deny-without-because: a denial without its reason",
    "The reason is what the caller sees. Without it an agent tries again, and a person asks.",
    "deny x on sql ddl",
    'deny x on sql ddl because "schema changes go through migrations"',
  ),
  L0302: row(
    "approval-without-allow: an approval for something that nothing allows",
    "An approval does not allow by itself: without an `allow` the request is denied and nobody is asked.",
    'require approval a from group "dba" on sql delete of public.orders',
    [
      "allow d on sql delete of public.orders",
      'require approval a from group "dba" on sql delete of public.orders',
    ].join("\n"),
  ),
  L0303: row(
    "nullable-in-filter: a filter that drops rows without a value",
    "A row is kept only if the condition is true for it; `row.x != 1` is unknown where x is NULL.",
    'filter f of public.orders where row.owner != "bot"',
    'filter f of public.orders where row.owner == "bot"',
  ),
  L0304: row(
    "dollar-placeholder: a `$` before a placeholder",
    "A placeholder is `{…}` alone; the dollar would be printed.",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the mistake that the lint is about
    'deny x on sql ddl because "${sql.verb} is closed"',
    'deny x on sql ddl because "{sql.verb} is closed"',
  ),
  L0305: row(
    "regex-where-like-works: a regular expression that is a plain pattern",
    "`like` with `*` is easier to read and to index.",
    'deny x on sql read when identity.sub matches "^bot-.*$" because "no"',
    'deny x on sql read when identity.sub like "bot-*" because "no"',
  ),
  L0306: row(
    "allow-unknown: an allow that lets through what nobody understood",
    "A statement that cannot be analysed has the verb `unknown`. Name the actions that are allowed.",
    "allow x on sql",
    "allow x on sql read",
  ),
  L0307: row(
    "constant-condition: a condition that never changes",
    "The clause has no effect, or the rule never applies.",
    'deny x on sql ddl when true because "no"',
    'deny x on sql ddl because "no"',
  ),
  L0308: row(
    "unused-let: a name that nothing reads",
    "Put `_` before the name to keep it.",
    "let a = identity.kind == agent",
    ["let a = identity.kind == agent", 'deny x on sql ddl when a because "no"'].join("\n"),
  ),
  L0309: row(
    "unreachable-rule: a rule that can never apply",
    "Its conditions contradict each other, or it allows what a deny always denies.",
    'deny x on sql ddl when identity.kind == agent and identity.kind == human because "no"',
    'deny x on sql ddl when identity.kind in [agent, human] because "no"',
  ),
  L0310: row(
    "shadowed-allow: an allow that another one makes needless",
    "It permits nothing that a wider rule without conditions does not permit already.",
    ["allow a on sql read", "allow b on sql read of public.orders"].join("\n"),
    "allow b on sql read of public.orders",
  ),
  L0311: row(
    "untested-rule: a rule that no test names",
    "It could be deleted and every test would pass.",
    [
      "allow a on sql read",
      'deny b on sql ddl because "no"',
      'test "t" {',
      '  given identity { sub: "a" }',
      '  given sql "select 1" at "prod-pg"',
      "  expect allow by a",
      "}",
    ].join("\n"),
    [
      "allow a on sql read",
      'test "t" {',
      '  given identity { sub: "a" }',
      '  given sql "select 1" at "prod-pg"',
      "  expect allow by a",
      "}",
    ].join("\n"),
  ),
  L0312: row(
    "test-without-by: a test that is content with any denial",
    "It passes for the wrong reason as well.",
    [
      "allow a on sql read",
      'test "t" {',
      '  given identity { sub: "a" }',
      '  given sql "drop table orders" at "prod-pg"',
      "  expect deny",
      "}",
    ].join("\n"),
    [
      "allow a on sql read",
      'test "t" {',
      '  given identity { sub: "a" }',
      '  given sql "drop table orders" at "prod-pg"',
      '  expect deny because "no rule"',
      "}",
    ].join("\n"),
  ),
  L0313: row(
    "mask-never-applies: a mask of what nobody may read",
    "No allow rule is about these tables.",
    ["allow a on sql read of public.orders", "mask m of public.customers.email using hash"].join("\n"),
    ["allow a on sql read of public.customers", "mask m of public.customers.email using hash"].join("\n"),
  ),
  L0314: row(
    "agent-write-without-approval: agents write and nobody is asked",
    "Add an approval for these tables, or bound the writes.",
    "allow a on sql update of public.orders when identity.kind == agent",
    "allow a on sql update of public.orders when identity.kind == human",
  ),
  L0315: row(
    "not-indexed: a rule that every request has to ask",
    "Among many rules about one thing, rules that ask for a value of `identity` at the top of their condition are found by it; the others are asked each time.",
    undefined,
    undefined,
  ),
} as const satisfies CodeTable;
