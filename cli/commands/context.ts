import type { ExitCode } from "../exit-codes.ts";
import type { Terminal } from "../terminal.ts";

/** What every command is handed. */
export type CommandContext = {
  readonly terminal: Terminal;
  /** The command's verdict; the process ends with it once everything is written. */
  readonly finish: (code: ExitCode) => void;
};
