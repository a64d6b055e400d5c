// E0305: a place of an answer that no mask and no filter would ever find.

import { parseJsonPath } from "../../engine/lib/json-path.ts";
import { schemaTagsKey } from "../../engine/lib/schema-tags.ts";
import type { ContentFormat } from "../../engine/model/decision.ts";
import { textKinds } from "../../engine/model/text-kinds.ts";
import type { Text } from "../ast.ts";
import type { Glob } from "../glob.ts";
import { suggest } from "../suggest.ts";
import { knownTags } from "./api-catalog.ts";
import { type Env, report } from "./context.ts";

/** `at`: of the rule; undefined for every connection. False when it was reported. */
export function checkContentPattern(
  env: Env,
  format: ContentFormat,
  text: Text,
  at: readonly Glob[] | undefined,
): boolean {
  if (format === "tagged") return checkTag(env, text, at);
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
    fixes: fixOf(text, near),
  });
  return false;
}

/** Where no document of the connections is known, none can be asked: the gateway asks the connection's own. */
function checkTag(env: Env, text: Text, at: readonly Glob[] | undefined): boolean {
  const tags = knownTags(env.context.apis, at);
  if (tags?.has(text.raw) ?? true) return true;
  const known = [...(tags ?? [])].sort();
  const near = suggest(text.raw, known);
  report(env, "E0305", text.span, `no schema of the API's document has the tag \`${text.raw}\``, {
    label: near === undefined ? "would never be found" : `did you mean \`${near}\`?`,
    notes: ["a tag that nothing has would protect nothing"],
    help: [
      known.length === 0
        ? `a schema gets one by \`${schemaTagsKey}: [${text.raw}]\``
        : `tags of the document are ${known.join(", ")}`,
    ],
    fixes: fixOf(text, near),
  });
  return false;
}

const fixOf = (text: Text, near: string | undefined) =>
  near === undefined ? [] : [{ title: `change to \`${near}\``, span: text.span, replacement: JSON.stringify(near) }];
