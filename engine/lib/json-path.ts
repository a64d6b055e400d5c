// `$.items[*].iban` -> steps, and the places of a document that they name. The part of RFC 9535 that needs no expressions.
import { err, ok, type Result } from "./result.ts";

export type JsonStep =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "element"; readonly index: number }
  /** `*`: every field of an object, every element of an array. */
  | { readonly kind: "any" }
  /** `..name`: the field at every depth. */
  | { readonly kind: "anywhere"; readonly name: string };

/** [] is `$`, the document itself. */
export type JsonPath = readonly JsonStep[];

const step =
  /^(?:\.\.(?<anywhere>[A-Za-z_][\w-]*)|\.(?<name>[A-Za-z_][\w-]*)|(?<any>\.\*|\[\*\])|\[(?<index>0|[1-9]\d{0,8})\]|\[(?<quoted>"(?:[^"\\]|\\["\\])*"|'(?:[^'\\]|\\['\\])*')\])/;

/** The error is one sentence for the label of a diagnostic. */
export function parseJsonPath(text: string): Result<JsonPath, string> {
  if (!text.startsWith("$")) return err("a path starts with `$`, as in `$.items`");
  const steps: JsonStep[] = [];
  let rest = text.slice(1);
  while (rest !== "") {
    const match = step.exec(rest);
    if (!match?.groups) return err(`\`${rest}\` is no step of a path: write .name, ["name"], [0], [*] or ..name`);
    const { anywhere, name, any, index, quoted } = match.groups;
    if (anywhere !== undefined) steps.push({ kind: "anywhere", name: anywhere });
    else if (name !== undefined) steps.push({ kind: "field", name });
    else if (any !== undefined) steps.push({ kind: "any" });
    else if (index !== undefined) steps.push({ kind: "element", index: Number(index) });
    else if (quoted !== undefined) steps.push({ kind: "field", name: quoted.slice(1, -1).replaceAll(/\\(.)/g, "$1") });
    rest = rest.slice(match[0].length);
  }
  return ok(steps);
}
