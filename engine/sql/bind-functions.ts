// Functions whose arguments are names in disguise: allowed where they are constants that the allowlists know.
import type { FuncCall, Node, SelectStmt } from "@pgsql/types";
import { addUse, type Binder } from "./bind-context.ts";
import { addFamily } from "./bind-from.ts";
import { refuse } from "./fault.ts";
import { type ConstantTest, Hole } from "./holes.ts";
import { parseSql } from "./pg-parser.ts";
import { typeName } from "./print.ts";
import { resolveRelation, resolveType } from "./resolve-names.ts";
import { isChangeableToAny, isReadableSetting, isSettingAllowed, readableSettings, settingName } from "./settings.ts";
import { allOf, call, cast, nullConst, operator, stringConst, stringNode } from "./tree.ts";

/** The string that a constant, or a cast of one, holds; undefined for anything else. */
export function constantText(node: Node | undefined): string | undefined {
  if (!node) return undefined;
  if ("TypeCast" in node) return constantText(node.TypeCast.arg);
  if (!("A_Const" in node)) return undefined;
  const c = node.A_Const;
  if (c.sval) return c.sval.sval ?? "";
  if (c.ival) return String(c.ival.ival ?? 0);
  if (c.fval) return c.fval.fval ?? "0";
  return c.boolval ? (c.boolval.boolval ? "true" : "false") : undefined;
}

/** Whether there is such a string, without a look at it. */
export function isConstant(node: Node | undefined): boolean {
  if (!node) return false;
  if ("TypeCast" in node) return isConstant(node.TypeCast.arg);
  return (
    "A_Const" in node &&
    (node.A_Const.sval ?? node.A_Const.ival ?? node.A_Const.fval ?? node.A_Const.boolval) !== undefined
  );
}

/** What `test` says of that string; false where there is none. Nothing but the answer becomes known of a literal. */
export function testConstant(node: Node | undefined, test: ConstantTest): boolean {
  if (!node) return false;
  if ("TypeCast" in node) return testConstant(node.TypeCast.arg, test);
  if (!("A_Const" in node)) return false;
  const body: unknown = node.A_Const.sval ?? node.A_Const.ival ?? node.A_Const.fval;
  if (body instanceof Hole) return body.watch.ask(body.slot, test);
  const text = constantText(node);
  return text !== undefined && test(text);
}

export function constantFlag(node: Node | undefined): boolean | undefined {
  const text = constantText(node)?.toLowerCase();
  if (text === undefined) return undefined;
  if (["true", "t", "on", "1", "yes", "y"].includes(text)) return true;
  return ["false", "f", "off", "0", "no", "n"].includes(text) ? false : undefined;
}

/**
 * Checks a constant setting. A setting named by a column (psql's `\\dconfig`, pg_dump) is guarded: the node that is to
 * stand in place of the call is returned; `undefined` leaves it as it is.
 * @throws FaultError `setting-not-allowed`.
 */
export function bindSettingFunction(b: Binder, f: FuncCall, name: "set_config" | "current_setting"): Node | undefined {
  const args = f.args ?? [];
  const guarded = guardedByColumn(f, name);
  if (guarded) return guarded;
  const setting = constantText(args[0]);
  if (setting === undefined || args.some((a) => "NamedArgExpr" in a))
    refuse("setting-not-allowed", `\`${name}\` needs the name of the setting as a constant`, { position: f.location });
  if (name === "current_setting") {
    if (!isReadableSetting(setting))
      refuse("setting-not-allowed", `setting \`${setting}\` may not be read`, { position: f.location });
    return undefined;
  }
  const value = constantText(args[1]);
  // asyncpg puts `jit` back by a parameter. It is the client's own value: where any is allowed, this one is.
  const isOwnValue = args[1] !== undefined && "ParamRef" in args[1] && isChangeableToAny(setting);
  if ((value === undefined && !isOwnValue) || constantFlag(args[2]) === undefined)
    refuse("setting-not-allowed", "`set_config` needs constants as its arguments", { position: f.location });
  if (!isSettingAllowed(setting, value))
    refuse("setting-not-allowed", `setting \`${setting}\` may not be changed`, { position: f.location });
  if (settingName(setting) === "search_path") b.bindings.pathChanges++;
  return undefined;
}

/** What pg_dump sets where the server knows it: only tightens. */
const guardedSetting = "restrict_nonsystem_relation_kind";

/** A plain column is the same at every evaluation. The call stands in ELSE: the result keeps the call's name. */
function guardedByColumn(f: FuncCall, name: "set_config" | "current_setting"): Node | undefined {
  const [first, ...rest] = f.args ?? [];
  if (!first || !("ColumnRef" in first) || rest.some((a) => constantText(a) === undefined)) return undefined;
  const isOther = (condition: Node, value: Node): Node => ({
    CaseExpr: { args: [{ CaseWhen: { expr: condition, result: nullConst } }], defresult: value },
  });
  if (name === "current_setting") {
    const isHidden = readableSettings.map((s) => operator("<>", call("lower", cast(first, "text")), stringConst(s)));
    return isOther(allOf(isHidden), { FuncCall: f });
  }
  if (!isSettingAllowed(guardedSetting, constantText(rest[0])) || constantFlag(rest[1]) === undefined) return undefined;
  const isAnother: Node = {
    A_Expr: { kind: "AEXPR_DISTINCT", name: [stringNode("=")], lexpr: first, rexpr: stringConst(guardedSetting) },
  };
  return isOther(isAnother, { FuncCall: { ...f, args: [stringConst(guardedSetting), ...rest] } });
}

/** `nextval('app.seq')`, `setval('app.seq', 9)` write the sequence: it must be a constant, and is an access of its own. */
export function bindNextval(b: Binder, f: FuncCall, call: "nextval" | "setval"): void {
  const text = constantText(f.args?.[0]);
  if (text === undefined)
    refuse("function-not-allowed", `\`${call}\` needs the name of the sequence as a constant`, {
      position: f.location,
    });
  const parsed = parseSql(`SELECT FROM ${text}`);
  const statement = parsed.ok && parsed.value.length === 1 ? parsed.value[0]?.stmt : undefined;
  const from = statement && "SelectStmt" in statement ? statement.SelectStmt.fromClause : undefined;
  const name = from?.length === 1 && from[0] && "RangeVar" in from[0] ? from[0].RangeVar : undefined;
  if (!name) refuse("function-not-allowed", "the name of the sequence is not understood", { position: f.location });
  const sequence = resolveRelation(b.sql, name);
  if (sequence.kind !== "sequence")
    refuse("function-not-allowed", `\`${sequence.name}\` is not a sequence`, { position: f.location });
  addUse(b, sequence, "update", { where: undefined });
  addFamily(b, sequence, false, { where: undefined });
  const quoted = [sequence.schema, sequence.name].map((p) => `"${p.replaceAll('"', '""')}"`).join(".");
  f.args = [cast(stringConst(quoted), "regclass"), ...(f.args ?? []).slice(1)];
}

/** `pg_input_is_valid('7', 'int4')` reads a type's name, whose domain's checks it would run: a constant that may be cast to. */
export function bindInputCheck(b: Binder, f: FuncCall): void {
  const text = constantText(f.args?.[1]);
  const parsed = text === undefined ? undefined : parseSql(`SELECT NULL::${text}`);
  const statement = parsed?.ok && parsed.value.length === 1 ? parsed.value[0]?.stmt : undefined;
  const query =
    statement && "SelectStmt" in statement && isBare(statement.SelectStmt) ? statement.SelectStmt : undefined;
  const [target, another] = query?.targetList ?? [];
  const val = target && !another && "ResTarget" in target ? target.ResTarget.val : undefined;
  const type = val && "TypeCast" in val && f.args?.length === 2 ? val.TypeCast.typeName : undefined;
  if (!type || !f.args?.[0])
    refuse("function-not-allowed", "the name of the type must be a constant", { position: f.location });
  resolveType(b, type);
  f.args = [f.args[0], stringConst(typeName(type))];
}

const isBare = (s: SelectStmt): boolean => !s.fromClause && !s.whereClause && !s.withClause && !s.sortClause && !s.larg;
