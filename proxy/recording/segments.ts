// recording directory <-> numbered segment files, and the lock that keeps a second gateway out.
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { causeCode, GatewayError } from "../errors.ts";
import { type ChainHead, chainStart, checkLine } from "./chain.ts";

/** Paths of the segments, oldest first. */
export function segmentsOf(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => /^\d{8}\.jsonl$/.test(name))
    .sort()
    .map((name) => join(directory, name));
}

export const segmentPath = (directory: string, number: number): string =>
  join(directory, `${String(number).padStart(8, "0")}.jsonl`);

export type ReopenedChain = {
  readonly head: ChainHead;
  /** Number of the segment to go on with. */
  readonly segment: number;
  /** A crash tore the last line: these bytes were moved aside, never deleted. */
  readonly torn: { readonly bytes: number; readonly kept: string } | undefined;
};

/**
 * Finds where the chain stands. Only a last line without its line feed can be torn by a crash (a write is one line or
 * several, in order); anything else that is wrong is damage.
 * @throws GatewayError `recording-damaged`
 */
export function reopenChain(directory: string): ReopenedChain {
  const segments = segmentsOf(directory);
  let torn: ReopenedChain["torn"];
  for (let i = segments.length - 1; i >= 0; i -= 1) {
    const path = segments[i] ?? "";
    const bytes = readFileSync(path);
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end < bytes.length) {
      const kept = `${path}.torn-${bytes.length}`;
      writeFileSync(kept, bytes.subarray(end), { mode: 0o640, flush: true });
      truncateSync(path, end);
      torn = { bytes: bytes.length - end, kept };
    }
    const segment = Number(/(\d{8})\.jsonl$/.exec(path)?.[1]);
    if (end === 0) {
      // An empty segment: the chain's last line is in the one before.
      if (i === 0) return { head: chainStart, segment, torn };
      continue;
    }
    const lastLine = bytes.subarray(bytes.lastIndexOf(0x0a, end - 2) + 1, end - 1);
    const checked = checkLine(lastLine, undefined);
    if (!checked.ok) {
      throw new GatewayError(
        "recording-damaged",
        `the last line of \`${path}\` is not a record: ${checked.fault}`,
        "keep the directory as evidence, run `gw audit verify` on it, and start with an empty one",
      );
    }
    return { head: checked.head, segment: Math.max(segment, lastNumber(segments)), torn };
  }
  return { head: chainStart, segment: 1, torn };
}

const lastNumber = (segments: readonly string[]): number =>
  Number(/(\d{8})\.jsonl$/.exec(segments.at(-1) ?? "")?.[1] ?? 1);

/**
 * One writer per directory: two would tear the chain. The lock of a process that is gone is taken over.
 * @throws GatewayError `recording-locked`, or the system's error
 */
export function lockDirectory(directory: string): () => void {
  const path = join(directory, "lock");
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      const file = openSync(path, "wx", 0o640);
      writeSync(file, `${process.pid} ${startTimeOf(process.pid)}\n`);
      closeSync(file);
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (causeCode(error) !== "EEXIST") throw error;
      const [pid, startTime] = readFileSync(path, "utf8").trim().split(" ");
      if (isRunning(Number(pid), startTime ?? "")) {
        throw new GatewayError(
          "recording-locked",
          `the recording directory \`${directory}\` is written by process ${pid}`,
          "stop that gateway, or give this one a directory of its own",
        );
      }
      rmSync(path, { force: true });
    }
  }
  throw new GatewayError("recording-locked", `the lock \`${path}\` can't be taken`, "remove it if no gateway runs");
}

function isRunning(pid: number, startTime: string): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return causeCode(error) === "EPERM";
  }
  // The number may have been given to another process since: its start tells them apart, where the system shows it.
  const now = startTimeOf(pid);
  return now === "" || startTime === "" || now === startTime;
}

/** Field 22 of /proc/PID/stat; "" where there is no such file. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

/** Bytes of all segments: for metrics and messages. */
export const recordedBytes = (directory: string): number =>
  segmentsOf(directory).reduce((sum, path) => sum + statSync(path).size, 0);
