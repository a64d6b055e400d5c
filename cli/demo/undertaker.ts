// Temporary folders and servers that must not outlive this process.
import { type ChildProcess, spawn } from "node:child_process";

export type Undertaker = {
  readonly buryToo: (child: ChildProcess) => void;
  /** Everything was stopped and removed in order. */
  readonly dismiss: () => void;
};

/**
 * A shell that outlives this process, however it ends (kill -9 too): then the pipe between them closes, and it stops the server
 * that it was told of and removes `directory`.
 */
export function watchFor(directory: string): Undertaker {
  const script = `
    while read -r line; do pid=$line; done
    if [ -n "$pid" ]; then
      kill -QUIT "$pid"
      n=0
      while kill -0 "$pid" && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
    fi
    rm -rf "$1" || { sleep 1; rm -rf "$1"; }`;
  const shell = spawn("sh", ["-c", script, "sh", directory], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  const ignore = () => undefined; // without a shell there is nobody to clean up behind a killed process: no reason not to start
  shell.once("error", ignore);
  shell.stdin.on("error", ignore);
  shell.unref();
  if ("unref" in shell.stdin && typeof shell.stdin.unref === "function") shell.stdin.unref();
  return {
    buryToo: (child) => shell.stdin.write(`${child.pid ?? ""}\n`),
    dismiss: () => shell.kill("SIGKILL"),
  };
}
