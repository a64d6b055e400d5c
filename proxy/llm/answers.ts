// refusal -> the model API's own form of an error, which clients show once and don't repeat
import { refusalText } from "../../engine/mcp/deny.ts";
import type { Refusal } from "../gate/traffic.ts";
import type { HttpAnswer } from "../http/exchange.ts";

/** 403 with `x-should-retry: false`: one try. Other statuses are tried up to eleven times, or lose the text. */
export const refusedAnswer = (refusal: Refusal): HttpAnswer => errorAnswer(refusalText(refusal));

export const errorAnswer = (message: string): HttpAnswer => ({
  status: 403,
  headers: [
    ["content-type", "application/json"],
    ["cache-control", "no-store"],
    ["x-should-retry", "false"],
  ],
  body: JSON.stringify({ type: "error", error: { type: "permission_error", message } }),
});
