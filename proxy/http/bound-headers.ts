// headers of a request -> those that an approval is bound to, and what people are shown of them

import { detectors } from "../../engine/content/detect.ts";
import type { Field } from "../../engine/http/request.ts";

/** Headers that differ from one sending of a request to the next, or say nothing about what is asked. */
const unbound: ReadonlySet<string> = new Set([
  "traceparent",
  "tracestate",
  "user-agent",
  "date",
  "x-request-id",
  "x-correlation-id",
  "accept-encoding",
]);

/** `Prefer` says how an upstream carries a request out: it is bound as it would be forwarded. */
export const isForwarded = ([name, value]: Field): boolean => name !== "prefer" || !/respond-async/i.test(value);

export const boundHeaders = (headers: readonly Field[]): readonly Field[] =>
  headers.filter((field) => !unbound.has(field[0]) && isForwarded(field));

const secretName = /auth|cookie|token|secret|passw|credential|session|signature|(?:^|-)(?:api-?)?keys?(?:$|-)/;

/** One text for approvers; undefined where nothing is bound. Values that are or may be secrets are named only. */
export function showHeaders(bound: readonly Field[]): string | undefined {
  if (bound.length === 0) return undefined;
  const lines = bound.map(([name, value]) => {
    const isSecret =
      secretName.test(name) ||
      (["jwt", "api_key", "private_key"] as const).some((kind) => detectors[kind](value).length > 0);
    return `${name}: ${isSecret ? "(bound to the approval, not shown)" : value}`;
  });
  return `headers that the approval is bound to:\n${lines.join("\n")}`;
}
