// bytes from the server -> whole messages, runs of rows, pieces of long ones -> what is owed to the client
import type { ClientVoice } from "./client-voice.ts";
import { backendType } from "./protocol/backend.ts";
import type { FrameReader } from "./protocol/frame.ts";
import type { UpstreamSide } from "./upstream-side.ts";

/** Handles all that is there. The reason why the session must end, if there is one. */
export function readUpstream(reader: FrameReader, side: UpstreamSide, voice: ClientVoice): string | undefined {
  for (;;) {
    const bulk = reader.takeRun(backendType.dataRow) ?? reader.takeRun(backendType.copyData);
    if (bulk) {
      const fault = side.handleBulk(bulk.bytes, bulk.count);
      if (fault) return fault.reason;
      continue;
    }
    const step = reader.next();
    if (step.kind === "more") return undefined;
    if (step.kind === "fault") return "upstream-frame";
    const fault =
      step.kind === "piece"
        ? side.handleBulk(step.bytes, step.isLast ? 1 : 0)
        : side.handle(step.frame.type, step.frame.bytes);
    if (fault) return fault.reason;
    if (step.kind === "piece") voice.passedPiece(step.isLast);
  }
}
