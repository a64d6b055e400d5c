// W3C Trace Context: the client's trace goes on, with the gateway as its next span.
import { randomBytes } from "node:crypto";
import type { Field } from "../../engine/http/request.ts";

/** `parentId`: the client's span; undefined where it sent none. `spanId`: the gateway's, as the upstream is told. */
export type Trace = {
  readonly traceId: string;
  readonly traceparent: string;
  readonly parentId: string | undefined;
  readonly spanId: string;
  readonly isSampled: boolean;
};

/** https://www.w3.org/TR/trace-context/#traceparent-header. What isn't well formed starts a trace of its own. */
export function continueTrace(header: string | undefined): Trace {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header ?? "");
  const [, version = "ff", traceId = "", parentId = "", flags = "00", rest] = match ?? [];
  const isKnown =
    version !== "ff" && (version !== "00" || rest === undefined) && !/^0+$/.test(traceId) && !/^0+$/.test(parentId);
  const id = isKnown ? traceId : randomBytes(16).toString("hex");
  const spanId = randomBytes(8).toString("hex");
  return {
    traceId: id,
    traceparent: `00-${id}-${spanId}-${isKnown ? flags : "00"}`,
    parentId: isKnown ? parentId : undefined,
    spanId,
    isSampled: !isKnown || (Number.parseInt(flags, 16) & 1) === 1,
  };
}

/** `tracestate` belongs to the trace that it came with. */
export function withTrace(headers: readonly Field[], { traceparent }: Trace, isContinued: boolean): readonly Field[] {
  const others = headers.filter(([name]) => name !== "traceparent" && (isContinued || name !== "tracestate"));
  return [...others, ["traceparent", traceparent]];
}
