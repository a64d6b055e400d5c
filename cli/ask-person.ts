// questions -> answers, one line each, from a terminal or a pipe
import { createInterface } from "node:readline";

export type Person = {
  /** The answer, or `otherwise` for an empty line or at the end of the input. */
  readonly ask: (question: string, otherwise: string) => Promise<string>;
  readonly close: () => void;
};

/** Asks on stderr, so that `gw … > file` stays clean. */
export function askPerson(): Person {
  const lines = createInterface({ input: process.stdin, terminal: false });
  const answers = lines[Symbol.asyncIterator]();
  return {
    ask: async (question, otherwise) => {
      process.stderr.write(otherwise === "" ? `${question}: ` : `${question} [${otherwise}]: `);
      const { value, done } = await answers.next();
      const answer = done === true ? "" : value.trim();
      if (!process.stdin.isTTY) process.stderr.write("\n");
      return answer === "" ? otherwise : answer;
    },
    close: () => lines.close(),
  };
}
