#!/usr/bin/env node
// The bin: plain JavaScript of an old kind, so that an old Node gets far enough to say what it lacks.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const isNewEnough = major > 22 || (major === 22 && minor >= 19);

if (isNewEnough) {
  // Type stripping and node:sqlite still announce themselves as experimental on some releases: noise for an operator.
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = (warning, ...rest) => {
    const options = rest[0];
    const type = typeof options === "object" && options !== null ? options.type : options;
    if (type !== "ExperimentalWarning") emitWarning(warning, ...rest);
  };
  const { main } = await import("./main.ts");
  process.exitCode = await main(process.argv.slice(2));
} else {
  const packaged = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
  if (!existsSync(packaged)) {
    console.error(
      `gw needs Node 22.19 or later, this is ${process.versions.node}: install a newer one, or run \`npm ci\` here, which brings one along`,
    );
    process.exit(2);
  }
  const child = spawn(packaged, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`gw can't start ${packaged}: ${error.message}`);
    process.exit(2);
  });
  child.on("exit", (code, signal) => {
    process.exit(code === null ? (signal === "SIGINT" ? 130 : 143) : code);
  });
}
