// What each tool of a server looked like when it was first seen, kept in a file: a changed one raises an alert.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";

export type Pin = {
  readonly pin: string;
  readonly firstSeenMs: number;
  /** A newer definition that nobody has accepted yet. */
  readonly changed?: { readonly pin: string; readonly seenMs: number };
};

export type PinVerdict = "known" | "new" | "changed";

export type PinBook = {
  /** Compares and remembers. `isFirst`: this very definition wasn't seen before, so somebody should be told. */
  readonly look: (tool: string, pin: string) => { readonly verdict: PinVerdict; readonly isFirst: boolean };
  readonly list: () => ReadonlyMap<string, Pin>;
  /** The changed definition becomes the known one. False: there is nothing to accept. */
  readonly accept: (tool: string) => boolean;
};

/**
 * Trust on first use. The file is read at each look, so that `gw mcp pins accept` takes effect in a running gateway.
 * @throws GatewayError `pins-unavailable` when it can't be read or written: tools are not shown unseen
 */
export function openPinBook(path: string, clock: Clock): PinBook {
  const read = (): Map<string, Pin> => {
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if (causeCode(error) === "ENOENT") return new Map();
      throw unavailable(path, error);
    }
    try {
      return decode(JSON.parse(text));
    } catch (error) {
      throw unavailable(path, error);
    }
  };
  const write = (pins: ReadonlyMap<string, Pin>): void => {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
      // Several workers may write at once.
      const next = `${path}.${process.pid}.next`;
      writeFileSync(next, `${JSON.stringify({ version: 1, tools: Object.fromEntries([...pins].sort()) }, null, 2)}\n`, {
        mode: 0o640,
      });
      renameSync(next, path);
    } catch (error) {
      throw unavailable(path, error);
    }
  };
  return {
    look: (tool, pin) => {
      const pins = read();
      const known = pins.get(tool);
      if (known === undefined) {
        write(pins.set(tool, { pin, firstSeenMs: clock.nowMs() }));
        return { verdict: "new", isFirst: true };
      }
      if (known.pin === pin) return { verdict: "known", isFirst: false };
      if (known.changed?.pin === pin) return { verdict: "changed", isFirst: false };
      write(pins.set(tool, { ...known, changed: { pin, seenMs: clock.nowMs() } }));
      return { verdict: "changed", isFirst: true };
    },
    list: read,
    accept: (tool) => {
      const pins = read();
      const changed = pins.get(tool)?.changed;
      if (changed === undefined) return false;
      write(pins.set(tool, { pin: changed.pin, firstSeenMs: changed.seenMs }));
      return true;
    },
  };
}

function decode(value: unknown): Map<string, Pin> {
  if (typeof value !== "object" || value === null || !("tools" in value)) throw new Error("not a file of pins");
  const { tools } = value;
  if (typeof tools !== "object" || tools === null) throw new Error("not a file of pins");
  return new Map(
    Object.entries(tools).map(([tool, entry]: [string, unknown]): [string, Pin] => {
      const { pin, firstSeenMs } = pinOf(entry);
      const changed: unknown =
        typeof entry === "object" && entry !== null && "changed" in entry ? entry.changed : undefined;
      if (changed === undefined) return [tool, { pin, firstSeenMs }];
      if (typeof changed !== "object" || changed === null || !("pin" in changed) || !("seenMs" in changed)) {
        throw new Error("not a file of pins");
      }
      return [tool, { pin, firstSeenMs, changed: { pin: String(changed.pin), seenMs: Number(changed.seenMs) } }];
    }),
  );
}

function pinOf(entry: unknown): { readonly pin: string; readonly firstSeenMs: number } {
  if (typeof entry !== "object" || entry === null || !("pin" in entry) || !("firstSeenMs" in entry)) {
    throw new Error("not a file of pins");
  }
  return { pin: String(entry.pin), firstSeenMs: Number(entry.firstSeenMs) };
}

const unavailable = (path: string, error: unknown): GatewayError =>
  new GatewayError(
    "pins-unavailable",
    `the pins of tools in \`${path}\` can't be read or written: ${causeCode(error)}`,
    "mend its permissions, or move it away: the next list of tools makes a new one",
    error,
  );
