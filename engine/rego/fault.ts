// What can go wrong between a request and a Rego policy's answer. Each is a deny with this code.
import type { Cause } from "../model/decision.ts";

/** Code → what it means to the owner of the policy. */
export const regoFaultCodes = {
  "rego-failed": "the policy aborted: a conflict, a trap, a failing built-in function",
  "rego-undefined": "the entrypoint has no value for this input",
  "rego-answer-invalid": "the answer isn't a boolean and isn't a decision as docs/rego.md has it",
  "rego-input-too-large": "the facts of the request exceed `regoInputBytesMax`",
  "rego-input-invalid": "the facts of the request have no JSON form, or are nested deeper than `regoJsonDepthMax`",
  "rego-fact-unknown": "a fact could not be determined, and the policy doesn't say that it tolerates this",
  "rego-deadline": "the policy ran past its deadline and was stopped",
  "rego-unavailable": "no worker thread for the policy could be started in time",
} as const satisfies Readonly<Record<string, string>>;

export type RegoFaultCode = keyof typeof regoFaultCodes;

/** `message` is one lower-case sentence without content of the request. */
export type RegoFault = { readonly code: RegoFaultCode; readonly message: string; readonly help?: string };

export function causeOfFault(fault: RegoFault): Cause {
  return { kind: "unsupported", code: fault.code, message: fault.message, help: fault.help };
}

/**
 * The SDK throws strings (a policy's abort), plain objects (a missing built-in) and errors. A SyntaxError quotes the
 * text that it could not parse, which may be content: only its kind is told.
 */
export function describeThrown(thrown: unknown): string {
  if (typeof thrown === "string") return firstChars(thrown);
  if (thrown instanceof SyntaxError) return "its answer is not JSON";
  if (thrown instanceof Error) return firstChars(`${thrown.name}: ${thrown.message}`);
  if (typeof thrown === "object" && thrown !== null && "message" in thrown && typeof thrown.message === "string") {
    return firstChars(thrown.message);
  }
  return "an unnamed error";
}

const firstChars = (text: string): string =>
  text
    .replaceAll(/[\u0000-\u001f\u007f]/g, " ")
    .slice(0, 300)
    .toWellFormed();
