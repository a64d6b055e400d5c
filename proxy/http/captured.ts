// an exchange -> the same, with what its client gets kept for the recording
import type { Field } from "../../engine/http/request.ts";
import type { RecordedResult } from "../../engine/model/session-event.ts";
import { BodyCapture } from "../recording/results.ts";
import type { HttpExchange } from "./exchange.ts";

export type Captured = {
  readonly exchange: HttpExchange;
  /** So far; undefined where nothing is kept, or nothing was sent. */
  readonly result: () => RecordedResult | undefined;
};

const notKept = (): undefined => undefined;

/** Where the gate doesn't ask for results, the exchange itself. */
export function captured(exchange: HttpExchange): Captured {
  const caps = exchange.gate.resultCaps;
  if (caps === undefined) return { exchange, result: notKept };
  const body = new BodyCapture(caps);
  let headers: readonly Field[] = [];
  const headerOf = (name: string): string | undefined => headers.find(([n]) => n.toLowerCase() === name)?.[1];
  return {
    result: () => body.read(headerOf("content-type"), headerOf("content-encoding")),
    exchange: {
      ...exchange,
      answer: (answer) => {
        headers = answer.headers;
        body.add(answer.body);
        exchange.answer(answer);
      },
      stream: (head) => {
        headers = head.headers;
        const sink = exchange.stream(head);
        return {
          ...sink,
          write: (chunk) => {
            body.add(chunk);
            return sink.write(chunk);
          },
        };
      },
    },
  };
}
