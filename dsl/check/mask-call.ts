// `using partial(keep_domain: true)` -> Mask; and which mask fits which column.
import type { Column } from "../../engine/model/catalog.ts";
import type { DateUnit, Mask, MaskKind } from "../../engine/model/mask.ts";
import { parseFieldPath, searchableTypes } from "../../engine/model/mask.ts";
import { misfit } from "../../engine/model/mask-fit.ts";
import type { Arg, Expr, MaskCall, RuleHead } from "../ast.ts";
import { suggest } from "../suggest.ts";
import { type Env, report } from "./context.ts";

export const maskNames = [
  "partial",
  "bucket",
  "round",
  "card",
  "phone",
  "fields",
  "hash",
  "tokenize",
  "redact",
  "nullify",
  "remove",
] as const;
const dateUnits: readonly DateUnit[] = ["year", "quarter", "month", "week", "day", "hour"];

const parameters: Readonly<
  Record<(typeof maskNames)[number], Readonly<Record<string, "int" | "text" | "bool" | "texts">>>
> = {
  partial: { first: "int", last: "int", keep_domain: "bool", fill: "text" },
  bucket: { size: "int", unit: "text" },
  round: { to: "int" },
  card: {},
  phone: { last: "int" },
  fields: { hide: "texts" },
  hash: { salt: "text" },
  tokenize: { salt: "text" },
  redact: {},
  nullify: {},
  remove: {},
};

export function checkMaskCall(env: Env, call: MaskCall): Mask | undefined {
  const name = maskNames.find((m) => m === call.name.text);
  if (!name) {
    const near = suggest(call.name.text, maskNames);
    report(env, "E0301", call.name.span, `there is no mask called \`${call.name.text}\``, {
      label: near === undefined ? "not a mask" : `did you mean \`${near}\`?`,
      help: [`masks are ${maskNames.join(", ")}`],
    });
    return undefined;
  }
  const values = new Map<string, ArgValue>();
  for (const arg of call.args) {
    const value = checkArg(env, name, arg);
    if (value === undefined) return undefined;
    values.set(arg.name?.text ?? "", value);
  }
  return buildMask(env, call, name, values);
}

type ArgValue = string | number | boolean | readonly string[];

function checkArg(env: Env, mask: (typeof maskNames)[number], arg: Arg): ArgValue | undefined {
  const known = parameters[mask];
  const name = arg.name?.text;
  const wanted = name !== undefined && Object.hasOwn(known, name) ? known[name] : undefined;
  if (name === undefined || wanted === undefined) {
    const near = name === undefined ? undefined : suggest(name, Object.keys(known));
    const names = Object.keys(known).map((k) => `\`${k}\``);
    report(
      env,
      "E0302",
      arg.name?.span ?? arg.span,
      name === undefined ? `arguments of \`${mask}\` are named` : `\`${mask}\` has no argument \`${name}\``,
      {
        label:
          near !== undefined
            ? `did you mean \`${near}\`?`
            : names.length === 0
              ? "takes no arguments"
              : `arguments are ${names.join(", ")}`,
      },
    );
    return undefined;
  }
  const { value } = arg;
  if (wanted === "int" && value.kind === "int" && value.value >= 0) return value.value;
  if (wanted === "bool" && value.kind === "bool") return value.value;
  if (wanted === "text" && isPlain(value)) return value.text.raw;
  if (wanted === "texts" && value.kind === "list") {
    const texts = value.items.filter(isPlain).map((item) => item.text.raw);
    if (texts.length === value.items.length) return texts;
  }
  const what = {
    int: "a whole number",
    bool: "`true` or `false`",
    text: "a text without placeholders",
    texts: "a list of texts without placeholders",
  }[wanted];
  report(env, "E0302", value.span, `\`${name}\` of \`${mask}\` is ${what}`, { label: "something else here" });
  return undefined;
}

const isPlain = (value: Expr): value is Extract<Expr, { kind: "string" }> =>
  value.kind === "string" && value.text.parts.every((p) => p.kind === "text");

function buildMask(
  env: Env,
  call: MaskCall,
  name: (typeof maskNames)[number],
  values: ReadonlyMap<string, ArgValue>,
): Mask | undefined {
  switch (name) {
    case "partial": {
      const mask: Mask = {
        kind: "partial",
        first: Number(values.get("first") ?? 0),
        last: Number(values.get("last") ?? 0),
        keepDomain: values.get("keep_domain") === true,
        fill: String(values.get("fill") ?? "*"),
      };
      return mask;
    }
    case "bucket": {
      const size = values.get("size");
      const unit = dateUnits.find((u) => u === values.get("unit"));
      if ((size === undefined) === (unit === undefined) || size === 0) {
        report(env, "E0302", call.span, "`bucket` needs a `size` for numbers or a `unit` for dates", {
          label:
            values.has("unit") && !unit
              ? `units are ${dateUnits.join(", ")}`
              : 'write `bucket(size: 10)` or `bucket(unit: "month")`',
        });
        return undefined;
      }
      return { kind: "bucket", size: size === undefined ? undefined : Number(size), unit };
    }
    case "round": {
      const to = Number(values.get("to") ?? 0);
      if (to > 0) return { kind: name, to };
      report(env, "E0302", call.span, "`round` needs what to round to", { label: "write `round(to: 100)`" });
      return undefined;
    }
    case "phone": {
      const last = Number(values.get("last") ?? 2);
      if (last <= 4) return { kind: name, last };
      report(env, "E0302", call.span, "`phone` shows 4 digits at most", { label: "write `phone(last: 2)`" });
      return undefined;
    }
    case "fields": {
      const hide = values.get("hide");
      const paths = Array.isArray(hide) ? hide.map(String) : [];
      const wrong = paths.find((path) => parseFieldPath(path) === undefined);
      if (paths.length > 0 && wrong === undefined) return { kind: name, hide: paths };
      report(env, "E0302", call.span, "`fields` needs the paths that it hides", {
        label: wrong === undefined ? 'write `fields(hide: ["owner.iban"])`' : `\`${wrong}\` is not a path`,
        help: ["a path is keys with dots between them; `*` is every key, `[*]` every element: `cards[*].number`"],
      });
      return undefined;
    }
    case "hash":
    case "tokenize":
      return { kind: name, salt: String(values.get("salt") ?? "") };
    case "card":
    case "redact":
    case "nullify":
    case "remove":
      return { kind: name };
    default:
      return name satisfies never;
  }
}

/** A field can be taken out of an answer; a column of its row, a word of its text and an answer as a whole can't. */
export function checkRemovable(env: Env, { of, using }: Extract<RuleHead, { effect: "mask" }>): boolean {
  if (using.name.text !== "remove") return true;
  if (of.kind === "tables" || of.kind === "text") {
    const what = of.kind === "tables" ? "columns" : "kinds of text";
    report(env, "E0303", using.span, `\`remove\` does not fit ${what}`, {
      label: "takes fields out of JSON answers",
      notes: [
        of.kind === "tables"
          ? "a row has every column that the statement names"
          : "a text of which something is missing is another text",
      ],
      help: [
        of.kind === "tables"
          ? "`nullify` shows NULL in place of every value"
          : "`redact` shows `***` in its place; a field of an answer is `of json`",
      ],
    });
    return false;
  }
  const whole = of.kind === "json" ? of.patterns.find((p) => p.raw === "$") : undefined;
  if (!whole) return true;
  report(env, "E0303", whole.span, "`remove` does not fit `$`, the answer as a whole", {
    label: "takes fields out of JSON answers",
    notes: ["an answer without a document is none"],
    help: ["`redact` and `nullify` empty it; a `deny` refuses the request"],
  });
  return false;
}

/** What a search would mean depends on more than the column's type: that is `unsearchable`. */
export function checkSearchable(env: Env, head: Extract<RuleHead, { effect: "mask" }>): void {
  const { of, using } = head;
  if (of.kind !== "tables")
    report(env, "E0304", using.span, `a mask of ${of.kind} can't be \`searchable\``, {
      label: "leave `searchable` out",
      notes: ["only columns of tables are searched"],
    });
  else if (using.name.text === "nullify")
    report(env, "E0304", using.span, "`nullify` can't be `searchable`", {
      label: "leave `searchable` out",
      notes: ["`nullify` hides even whether there is a value, and a search would tell"],
      help: ["`redact` shows a fixed value and can be searchable"],
    });
}

/** Why the column can't be searched; undefined when it can. */
export function unsearchable(column: Column): string | undefined {
  if (column.type.schema === "pg_catalog" && searchableTypes.has(column.type.name)) return undefined;
  return column.type.name === "bool"
    ? "it has two values: a search would show them all"
    : "its `=` may tell of the values that it is compared with";
}

const candidates: readonly Mask[] = [
  { kind: "partial", first: 0, last: 0, keepDomain: false, fill: "*" },
  { kind: "bucket", size: 10, unit: undefined },
  { kind: "bucket", size: undefined, unit: "month" },
  { kind: "round", to: 10 },
  { kind: "card" },
  { kind: "phone", last: 2 },
  { kind: "fields", hide: ["key"] },
  { kind: "hash", salt: "" },
  { kind: "tokenize", salt: "" },
  { kind: "redact" },
  { kind: "nullify" },
];

export const fittingMasks = (column: Column): readonly MaskKind[] =>
  candidates.filter((mask) => misfit(mask, column) === undefined).map((mask) => mask.kind);
