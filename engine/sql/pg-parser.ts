// SQL text -> parse tree. The one door to libpg-query: PostgreSQL 18's own parser, compiled to WASM.

import type { Module } from "node:module";
import { createRequire } from "node:module";
import type { ParseResult, RawStmt } from "@pgsql/types";
import { err, ok, type Result } from "../lib/result.ts";
import { limits } from "../limits.ts";
import { type FaultCode, faultStates } from "./fault.ts";
import type { SqlFault } from "./types.ts";

/** Offsets in bytes. */
type ScanResult = {
  readonly tokens: readonly {
    readonly start: number;
    readonly end: number;
    readonly text: string;
    readonly tokenName: string;
    readonly keywordName: string;
  }[];
};

type Parser = {
  readonly loadModule: () => Promise<void>;
  readonly parseSync: (text: string) => ParseResult;
  readonly fingerprintSync: (text: string) => string;
  readonly scanSync: (text: string) => ScanResult;
};

const require = createRequire(import.meta.url);
const parserFile = require.resolve("libpg-query");

let parser: Parser = await load();
/** A trap left the module in an unknown state; the next call finds a fresh one, or none. */
let isRenewing = false;

async function load(): Promise<Parser> {
  const loaded = require(parserFile) as Parser;
  await loaded.loadModule();
  return loaded;
}

/** Drops the module after a WASM trap and instantiates another one. Until it is there, every text is refused. */
function renew(): void {
  if (isRenewing) return;
  isRenewing = true;
  const cached: Record<string, Module | undefined> = require.cache;
  for (const file of Object.keys(cached)) if (file.includes("libpg-query")) delete cached[file];
  void load().then((fresh) => {
    parser = fresh;
    isRenewing = false;
  });
}

const fault = (code: FaultCode, message: string, position?: number): SqlFault => ({
  code,
  sqlstate: faultStates[code],
  message,
  help: undefined,
  position,
});

/** What the parser must never see: it would read another text than the one we were given. */
function checkText(text: string): SqlFault | undefined {
  if (Buffer.byteLength(text, "utf8") > limits.sqlTextBytesMax)
    return fault("text-too-long", `the statement is longer than ${limits.sqlTextBytesMax} bytes`);
  const nul = text.indexOf("\0");
  if (nul >= 0) return fault("text-not-valid", "the statement contains a NUL character", nul);
  if (!text.isWellFormed()) return fault("text-not-valid", "the statement is not valid Unicode");
  return checkNesting(text);
}

/**
 * The parser's recursion happens inside WASM, where a stack overflow is a trap. Brackets are counted wherever they
 * stand, also in strings: a text with that many is not worth a finer look.
 */
function checkNesting(text: string): SqlFault | undefined {
  if (text.length < limits.sqlNestingMax) return undefined;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x28 || c === 0x5b) depth++;
    else if (c === 0x29 || c === 0x5d) depth--;
    if (depth > limits.sqlNestingMax) return fault("too-complex", "the statement is nested too deeply", i);
  }
  return undefined;
}

/**
 * Parses a text of one or more statements. An empty text gives [].
 * Fails with `syntax-error` in PostgreSQL's own words, or when the text is too long, too deep, or not Unicode.
 */
export function parseSql(text: string): Result<readonly RawStmt[], SqlFault> {
  const wrong = checkText(text);
  if (wrong) return err(wrong);
  if (text.trim() === "") return ok([]);
  if (isRenewing) return err(fault("parser-failed", "the parser is being restarted, try again"));
  const first = attempt(text);
  // The parser takes a comment for a token where it looks ahead (`NOT /* x */ IN`): PostgreSQL doesn't.
  if (first.ok || first.error.code !== "syntax-error" || !hasComment(text)) return first;
  const second = attempt(withoutComments(text));
  return second.ok ? second : first;
}

const hasComment = (text: string): boolean => /--|\/\*/.test(text);

function attempt(text: string): Result<readonly RawStmt[], SqlFault> {
  try {
    return ok(parser.parseSync(text).stmts ?? []);
  } catch (error) {
    return err(faultOf(error, text));
  }
}

/** Comments become as many spaces, so that positions stay. Without a newline: that would join string constants. */
function withoutComments(text: string): string {
  try {
    const bytes = Buffer.from(text, "utf8");
    for (const token of parser.scanSync(text).tokens)
      if (token.tokenName === "SQL_COMMENT" || token.tokenName === "C_COMMENT")
        bytes.fill(0x20, token.start, token.end);
    return bytes.toString("utf8");
  } catch {
    return text;
  }
}

/** Words, marks, strings and comments in their order. undefined where the text can't be cut into them. */
export function tokensOf(text: string): ScanResult["tokens"] | undefined {
  try {
    return parser.scanSync(text).tokens;
  } catch {
    return undefined;
  }
}

/** The text behind the first `AS` that stands outside of parentheses: the statement inside of a PREPARE. */
export function textBehindAs(text: string): string | undefined {
  let depth = 0;
  for (const token of tokensOf(text) ?? []) {
    if (token.tokenName === "ASCII_40") depth++;
    else if (token.tokenName === "ASCII_41") depth--;
    const isAs = token.keywordName === "RESERVED_KEYWORD" && token.text.toLowerCase() === "as";
    if (isAs && depth === 0) return Buffer.from(text, "utf8").toString("utf8", token.end);
  }
  return undefined;
}

function faultOf(error: unknown, text: string): SqlFault {
  if (error instanceof Error && error.name === "SqlError") {
    const details = (error as { sqlDetails?: { cursorPosition?: number } }).sqlDetails;
    return fault("syntax-error", error.message, characterOffset(text, details?.cursorPosition));
  }
  renew();
  return fault("too-complex", "the statement is too complex for the parser");
}

/** The parser counts characters (code points); callers count UTF-16 code units. */
function characterOffset(text: string, codePoints: number | undefined): number | undefined {
  if (codePoints === undefined) return undefined;
  let offset = 0;
  for (let i = 0; i < codePoints && offset < text.length; i++)
    offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
  return offset;
}

/** The parser accepted the text before: an error that isn't a trap is a shortcoming of the fingerprint. */
const fingerprintFault = (error: unknown, text: string): SqlFault =>
  error instanceof Error && error.name !== "RuntimeError" && error.name !== "RangeError"
    ? fault("parser-failed", "the statement has no fingerprint")
    : faultOf(error, text);

/** Fingerprint of one statement's text: 16 hex digits, equal for statements that differ in literals only. */
export function fingerprintSql(text: string): Result<string, SqlFault> {
  if (isRenewing) return err(fault("parser-failed", "the parser is being restarted, try again"));
  try {
    return ok(parser.fingerprintSync(text));
  } catch (error) {
    if (!hasComment(text)) return err(fingerprintFault(error, text));
  }
  try {
    return ok(parser.fingerprintSync(withoutComments(text)));
  } catch (error) {
    return err(fingerprintFault(error, text));
  }
}
