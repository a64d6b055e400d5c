// What a command may do to the world: two streams and nothing else, so that tests read what people read.

/** Findings and results go to `out`; progress, hints and failures to `err`: `gw … > file` stays clean. */
export type Terminal = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Colours on `out`: off for a pipe, for `NO_COLOR` and for `--no-color`. */
  readonly hasColor: boolean;
  /** Columns of `out`; 100 for a pipe. */
  readonly columns: number;
};

/** @see https://no-color.org; FORCE_COLOR wins, as in other tools of this ecosystem. */
export function processTerminal(): Terminal {
  // `gw … | head` ends when the reader has enough.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: term } = process.env;
  const isForced = force !== undefined && force !== "0" && force !== "";
  const isOff = (no !== undefined && no !== "") || term === "dumb" || process.argv.includes("--no-color");
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    hasColor: isForced || (process.stdout.isTTY === true && !isOff),
    columns: process.stdout.columns ?? 100,
  };
}
