// `decision_logs` of gw.yaml
import type { ConfigReader } from "../config-reader.ts";
import { keysIn, secretOf, secretSchema } from "../config-schema.ts";
import { z } from "../schema.ts";
import type { DecisionLogConfig } from "./decision-log.ts";

export const decisionLogsSchema = z.strictObject({
  file: z.string().min(1).optional(),
  url: z.url({ protocol: /^https?$/ }).optional(),
  token: secretSchema.optional(),
  labels: z.record(z.string().min(1), z.string()).default({}),
  mask: z
    .array(z.string().regex(/^\/(?:input|result)\/.+/, "write a JSON pointer below `/input` or `/result`"))
    .default([]),
});
export const decisionLogsKeys: readonly string[] = keysIn(decisionLogsSchema);

export function buildDecisionLogs(
  parsed: z.infer<typeof decisionLogsSchema>,
  at: ConfigReader,
): DecisionLogConfig | undefined {
  const { file, url, token, labels, mask } = parsed;
  const path = ["decision_logs"];
  if ((file === undefined) === (url === undefined)) {
    at.complain(path, "decision logs go either to a `file` or to a `url`");
    return undefined;
  }
  if (token !== undefined && url === undefined) at.complain([...path, "token"], "a file needs no `token`");
  if (file !== undefined) return { to: { kind: "file", path: at.path(file) }, labels, mask };
  const to = {
    kind: "http" as const,
    url: (url ?? "").replace(/\/$/, ""),
    token: secretOf(token, [...path, "token"], at),
  };
  return { to, labels, mask };
}
