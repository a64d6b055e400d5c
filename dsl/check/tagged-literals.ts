import type { Expr } from "../ast.ts";
import type { Core } from "../checked.ts";
import { parseCidr } from "../ip.ts";
import { canonicalIp, isDate, parseTime } from "../values.ts";
import { type Env, report, wrong } from "./context.ts";

export function checkTagged(env: Env, expr: Expr & { kind: "tagged" }): Core {
  const { span, value } = expr;
  const bad = (what: string): Core => {
    report(env, "E0211", span, `\`${value}\` is not ${what}`, {
      label: `not ${what}`,
      help: [exampleOf(expr.tag.text)],
    });
    return wrong(span);
  };
  switch (expr.tag.text) {
    case "cidr": {
      const cidr = parseCidr(value);
      return cidr
        ? { op: "const", value: cidr, span, type: { kind: "cidr" } }
        : bad("an address block such as 10.0.0.0/8");
    }
    case "ip": {
      const ip = canonicalIp(value);
      return ip === undefined ? bad("an IP address") : { op: "const", value: ip, span, type: { kind: "ip" } };
    }
    case "ts": {
      const ms = parseTime(value);
      return ms === undefined
        ? bad("a moment such as 2026-01-01T00:00:00Z")
        : { op: "const", value: ms, span, type: { kind: "time" } };
    }
    case "date":
      return isDate(value) ? { op: "const", value, span, type: { kind: "date" } } : bad("a date such as 2026-01-01");
    case "table":
    case "col":
      return checkTableLiteral(env, expr);
    default:
      report(env, "E0211", expr.tag.span, `\`${expr.tag.text}\` is not a kind of literal`, {
        label: "kinds are cidr, ip, ts, date, table, col",
      });
      return wrong(span);
  }
}

const exampleOf = (tag: string): string =>
  ({
    cidr: '`cidr"10.0.0.0/8"`, `cidr"2001:db8::/32"`',
    ip: '`ip"10.1.2.3"`',
    ts: '`ts"2026-01-31T08:00:00Z"`',
    date: '`date"2026-01-31"`',
  })[tag] ?? '`table"public.orders"`, `col"public.customers.email"`';

function checkTableLiteral(env: Env, expr: Expr & { kind: "tagged" }): Core {
  const [schema, name, column, more] = expr.value.split(".");
  const isColumn = expr.tag.text === "col";
  const isWhole = schema && name && more === undefined && (isColumn ? column : column === undefined);
  if (!isWhole) {
    report(env, "E0211", expr.span, `\`${expr.value}\` is not a ${isColumn ? "column" : "table"}`, {
      label: isColumn ? "write `schema.table.column`" : "write `schema.table`",
    });
    return wrong(expr.span);
  }
  const catalogs = [...env.context.catalogs.values()];
  const found = catalogs
    .flatMap((c) => [...c.relations.values()])
    .filter((r) => r.schema === schema && r.name === name);
  if (catalogs.length > 0 && found.length === 0) {
    report(env, "E0401", expr.span, `no table \`${schema}.${name}\` in any catalog of the bundle`, {
      label: "unknown table",
    });
  } else if (isColumn && found.length > 0 && !found.some((r) => r.columns.some((c) => c.name === column))) {
    report(env, "E0402", expr.span, `table \`${schema}.${name}\` has no column \`${column}\``, {
      label: "unknown column",
    });
  }
  const relation = { schema, name };
  return isColumn
    ? { op: "const", value: { relation, column }, span: expr.span, type: { kind: "column" } }
    : { op: "const", value: relation, span: expr.span, type: { kind: "table" } };
}
