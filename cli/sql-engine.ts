// engine/sql with a connection's mask key in it -> what a gate is handed
import { err } from "../engine/lib/result.ts";
import type { Obligations } from "../engine/model/decision.ts";
import { analyzeSql } from "../engine/sql/analyze.ts";
import { rewriteSql } from "../engine/sql/rewrite.ts";
import { formOf, templateOf } from "../engine/sql/template.ts";
import type { SqlFault } from "../engine/sql/types.ts";
import type { SqlEngine } from "../proxy/gate/deps.ts";

/** `maskKey`: empty where the connection has none; then what a keyed mask must hide is refused, never hashed without a key. */
export function createSqlEngine(maskKey: Uint8Array): SqlEngine {
  const options = { maskKey: Buffer.from(maskKey).toString("utf8") };
  return {
    analyze: analyzeSql,
    rewrite: (statement, obligations, context) =>
      options.maskKey === "" && needsKey(obligations)
        ? err(keyMissing)
        : rewriteSql(statement, obligations, context, options),
    templates: {
      templateOf,
      formOf: (template, obligations, context) =>
        options.maskKey === "" && needsKey(obligations) ? undefined : formOf(template, obligations, context, options),
    },
  };
}

const needsKey = ({ masks }: Obligations): boolean =>
  [...masks.values()].some((columns) =>
    [...columns.values()].some(({ mask }) => mask.kind === "hash" || mask.kind === "tokenize"),
  );

const keyMissing: SqlFault = {
  code: "mask-key-missing",
  sqlstate: "42501",
  message: "a column of this statement is masked with a key, and this connection has none",
  help: "the operator sets `mask_key` of the connection in the gateway's configuration",
  position: undefined,
};
