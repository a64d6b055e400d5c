// gw policy …: one file per subcommand
import type { Command } from "commander";
import type { CommandContext } from "../main.ts";
import { addCheck } from "./policy-check.ts";
import { addDiff } from "./policy-diff.ts";
import { addDoc } from "./policy-doc.ts";
import { addEval, addExplain } from "./policy-eval.ts";
import { addFmt } from "./policy-fmt.ts";
import { addIndex } from "./policy-index.ts";
import { addInit } from "./policy-init.ts";
import { addLearn } from "./policy-learn.ts";
import { addLint } from "./policy-lint.ts";
import { addMatrix } from "./policy-matrix.ts";
import { addRepl } from "./policy-repl.ts";
import { addReplay } from "./policy-replay.ts";
import { addTest } from "./policy-test.ts";

export function register(program: Command, context: CommandContext): void {
  const policy = program.command("policy").description("check, test and understand policies");
  for (const add of [
    addCheck,
    addTest,
    addLint,
    addFmt,
    addEval,
    addExplain,
    addDiff,
    addReplay,
    addLearn,
    addMatrix,
    addRepl,
    addIndex,
    addDoc,
    addInit,
  ])
    add(policy, context);
}
