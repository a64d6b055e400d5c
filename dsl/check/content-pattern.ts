// E0305: a place of an answer that no mask and no filter would ever find.

import { parseJsonPath } from "../../engine/lib/json-path.ts";
import { textKinds } from "../../engine/model/text-kinds.ts";
import type { Text } from "../ast.ts";
import { suggest } from "../suggest.ts";
import { type Env, report } from "./context.ts";

/** False when it was reported. */
export function checkContentPattern(env: Env, format: "json" | "text", text: Text): boolean {
  if (format === "json") {
    const path = parseJsonPath(text.raw);
    if (path.ok) return true;
    report(env, "E0305", text.span, `\`${text.raw}\` is no path into JSON`, {
      label: path.error,
      notes: ["a path that nothing can have would protect nothing"],
      help: ['paths are like `"$.items"`, `"$.owner.iban"`, `"$.items[*].iban"` and `"$..iban"`'],
    });
    return false;
  }
  if (Object.hasOwn(textKinds, text.raw)) return true;
  const kinds = Object.keys(textKinds);
  const near = suggest(text.raw, kinds);
  report(env, "E0305", text.span, `there is no kind of text called \`${text.raw}\``, {
    label: near === undefined ? "would never be found" : `did you mean \`${near}\`?`,
    help: [`kinds of text are ${kinds.join(", ")}`],
    fixes:
      near === undefined
        ? []
        : [{ title: `change to \`${near}\``, span: text.span, replacement: JSON.stringify(near) }],
  });
  return false;
}
