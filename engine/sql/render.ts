// tree -> text -> tree again: what is sent means what was meant (section 3.3).
import type { Node } from "@pgsql/types";
import { refuse } from "./fault.ts";
import type { HoleWatch } from "./holes.ts";
import { type Image, withImages, withPlaceholders } from "./image-cache.ts";
import { parseSql } from "./pg-parser.ts";
import { printStatement } from "./print-statement.ts";
import { sameTree } from "./tree.ts";

/** `images`: those whose placeholders are in the tree. @throws FaultError `rewrite-mismatch` when the parser reads the printed text in another way. */
export function renderStatement(node: Node, images: readonly Image[] = [], holes?: HoleWatch): string {
  const printed = printStatement(node);
  const parsed = parseSql(withPlaceholders(holes ? holes.filled(printed) : printed));
  const isSame = (): boolean => parsed.ok && parsed.value.length === 1 && sameTree(parsed.value[0]?.stmt, node);
  if (!(holes ? holes.quietly(isSame) : isSame()))
    refuse("rewrite-mismatch", "the statement can't be written out without a change of meaning", {
      help: "please report the form of the statement: this is a shortcoming of the gateway",
    });
  return withImages(printed, images);
}
