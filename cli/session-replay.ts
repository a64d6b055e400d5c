// frames -> a terminal, as time went by or step by step
import { drawn, type Frame } from "./session-frames.ts";

export type Pace =
  /** `speed`: 2 is twice as fast; Infinity: all at once. `idleMsMax`: longer silences are cut to it. */
  { readonly kind: "time"; readonly speed: number; readonly idleMsMax: number } | { readonly kind: "steps" };

export type ReplayIo = {
  readonly out: (text: string) => void;
  readonly wait: (ms: number) => Promise<void>;
  /** False: the person has seen enough. */
  readonly next: () => Promise<boolean>;
};

export async function replay(frames: readonly Frame[], pace: Pace, { out, wait, next }: ReplayIo): Promise<void> {
  let atMs = frames[0]?.offsetMs ?? 0;
  for (const [i, frame] of frames.entries()) {
    if (pace.kind === "steps" && i > 0 && !(await next())) return;
    if (pace.kind === "time") {
      const pauseMs = Math.min(frame.offsetMs - atMs, pace.idleMsMax) / pace.speed;
      if (pauseMs >= 1) await wait(pauseMs);
      atMs = frame.offsetMs;
    }
    out(`${drawn(frame)}\n`);
  }
}
