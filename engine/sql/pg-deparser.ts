// parse tree -> SQL text for definitions (DDL), whose many node kinds our own printer doesn't know. The one door to
// pgsql-deparser; its CommonJS build, because the other one can't be loaded by Node.
import { createRequire } from "node:module";
import type { Node } from "@pgsql/types";
import { refuse } from "./fault.ts";
import { parseSql } from "./pg-parser.ts";
import { respelled } from "./respell.ts";
import { sameTree } from "./tree.ts";

type Deparser = { readonly deparseSync: (node: Node) => string };
const deparser = createRequire(import.meta.url)("pgsql-deparser") as Deparser;

/**
 * By the deparser where it knows the statement whole, else by the client's own words. @throws FaultError `rewrite-mismatch`
 * unless the text parses to the very same tree.
 */
export function deparseDefinition(node: Node, clientText: string): string {
  for (const write of [() => deparse(node), () => respelled(clientText)]) {
    const text = write();
    const parsed = text === undefined ? undefined : parseSql(text);
    if (text !== undefined && parsed?.ok && parsed.value.length === 1 && sameTree(parsed.value[0]?.stmt, node))
      return text;
  }
  return refuse("rewrite-mismatch", "the statement can't be written out without a change of meaning", {
    help: "write it in a simpler form: plain strings, no escapes",
  });
}

function deparse(node: Node): string | undefined {
  try {
    return deparser.deparseSync(node);
  } catch {
    return undefined;
  }
}
