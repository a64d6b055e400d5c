// DDL and everything else that has no rewriting of its own.
import type { Node } from "@pgsql/types";
import type { Binder } from "./bind-context.ts";
import type { BoundParts } from "./bind-statement.ts";
import { refuse } from "./fault.ts";
import { kindOf } from "./node-kinds.ts";

/** @throws FaultError `unsupported-statement` */
export function bindDefinition(_b: Binder, node: Node): BoundParts {
  return refuse("unsupported-statement", `statements of kind \`${kindOf(node)}\` are not supported`);
}
