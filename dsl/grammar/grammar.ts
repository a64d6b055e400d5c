// What the parts of the grammar stand on.
import {
  type CstNode,
  CstParser,
  type IParserErrorMessageProvider,
  type ParserMethod,
  type TokenType,
} from "chevrotain";
import { limits } from "../../engine/limits.ts";
import { vocabulary } from "../tokens.ts";

export type Rule = ParserMethod<[], CstNode>;

const labelsOf = (paths: readonly (readonly TokenType[])[]): readonly string[] =>
  [...new Set(paths.map((path) => path[0]).filter((t) => t !== undefined))].map((t) => t.LABEL ?? t.name);

/** Chevrotain gives a message its text at the throw; ours is the list of what was expected, for `syntax-errors.ts`. */
class Messages implements IParserErrorMessageProvider {
  /** Problems of the text that is being read. */
  count = 0;

  #expecting(paths: readonly (readonly TokenType[])[]): string {
    this.count += 1;
    if (this.count > limits.policyDiagnosticsMax) throw new TooManyProblemsError();
    return JSON.stringify(labelsOf(paths));
  }
  buildMismatchTokenMessage({ expected }: { readonly expected: TokenType }): string {
    return this.#expecting([[expected]]);
  }
  buildNotAllInputParsedMessage(): string {
    return this.#expecting([]);
  }
  buildNoViableAltMessage(options: { readonly expectedPathsPerAlt: TokenType[][][] }): string {
    return this.#expecting(options.expectedPathsPerAlt.flat());
  }
  buildEarlyExitMessage(options: { readonly expectedIterationPaths: TokenType[][] }): string {
    return this.#expecting(options.expectedIterationPaths);
  }
}

/** Ends the reading of a text that is no policy: each recovery costs time, and nobody reads the two hundredth. */
export class TooManyProblemsError extends Error {}

/** LL(2). `isValidated` looks for ambiguities, which costs seconds; a test does it. */
export class Grammar extends CstParser {
  readonly #messages: Messages;

  constructor(isValidated: boolean) {
    const messages = new Messages();
    super([...vocabulary], {
      recoveryEnabled: true,
      maxLookahead: 2,
      skipValidations: !isValidated,
      nodeLocationTracking: "onlyOffset",
      errorMessageProvider: messages,
    });
    this.#messages = messages;
  }

  /** Another text is read: its problems are counted from none. */
  protected forgetProblems(): void {
    this.#messages.count = 0;
  }
}
