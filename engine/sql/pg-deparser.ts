// parse tree -> SQL text for definitions (DDL), whose many node kinds our own printer doesn't know. The one door to
// pgsql-deparser; its CommonJS build, because the other one can't be loaded by Node.
import { createRequire } from "node:module";
import type { Node } from "@pgsql/types";
import { refuse } from "./fault.ts";
import { parseSql } from "./pg-parser.ts";
import { sameTree } from "./tree.ts";

type Deparser = { readonly deparseSync: (node: Node) => string };
const deparser = createRequire(import.meta.url)("pgsql-deparser") as Deparser;

/** @throws FaultError `rewrite-mismatch` unless the text parses to the very same tree. */
export function deparseDefinition(node: Node): string {
  const text = deparse(node);
  const parsed = parseSql(text);
  if (!parsed.ok || parsed.value.length !== 1 || !sameTree(parsed.value[0]?.stmt, node))
    refuse("rewrite-mismatch", "the statement can't be written out without a change of meaning", {
      help: "write it in a simpler form",
    });
  return text;
}

function deparse(node: Node): string {
  try {
    return deparser.deparseSync(node);
  } catch {
    return refuse("rewrite-mismatch", "the statement can't be written out");
  }
}
