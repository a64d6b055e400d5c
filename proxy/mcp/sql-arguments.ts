// SQL in an argument of a tool -> the same facts, decision and rewrite as on a PostgreSQL connection
import { field, isObject, type JsonObject, withField } from "../../engine/lib/read-json.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { McpFault } from "../../engine/mcp/facts.ts";
import type { ConnectionFacts } from "../../engine/model/principal.ts";
import type { SqlContext } from "../../engine/sql/types.ts";
import type { GateSession, SqlGate, SqlVerdict } from "../postgres/sql-gate.ts";

/** Which argument holds SQL, and the PostgreSQL connection whose catalog and policies it is judged by. */
export type SqlArgument = { readonly tool: string; readonly path: readonly string[]; readonly connection: string };

/** What a PostgreSQL connection lends: its gate, and what a fresh session of it would see. */
export type SqlJudge = {
  readonly gate: SqlGate;
  readonly context: () => SqlContext;
  readonly connection: ConnectionFacts;
};

export type JudgedArguments = {
  /** With the statement as the gateway wrote it: masks and filters are in it. */
  readonly params: JsonObject;
  /** Puts the released statements on record; throws when that can't be done. */
  readonly record: () => void;
  readonly hold: ((signal: AbortSignal) => Promise<"granted" | "gone" | McpFault>) | undefined;
};

export type SqlArguments = {
  /** undefined: no argument of this tool is SQL. A refusal is on record already. */
  readonly judge: (
    session: GateSession,
    tool: string,
    params: JsonObject,
  ) => Result<JudgedArguments, McpFault> | undefined;
};

export function createSqlArguments(
  mapped: readonly SqlArgument[],
  judgeOf: (connection: string) => SqlJudge | undefined,
): SqlArguments {
  return {
    judge: (session, tool, params) => {
      const own = mapped.filter((argument) => argument.tool === tool);
      if (own.length === 0) return undefined;
      let rewritten = params;
      const records: (() => void)[] = [];
      let hold: JudgedArguments["hold"];
      for (const argument of own) {
        const judge = judgeOf(argument.connection);
        if (!judge) return err(noSuchConnection(argument.connection));
        const place = ["arguments", ...argument.path];
        const text = textAt(rewritten, place);
        if (text === "absent") continue;
        if (text === "wrong") return err(notText(argument.path));
        const outcome = judgeOne(judge, { ...session, connection: judge.connection }, text);
        if (!outcome.ok) return outcome;
        rewritten = withTextAt(rewritten, place, outcome.value.text);
        if (outcome.value.hold !== undefined && hold !== undefined) return err(twoHolds);
        hold ??= outcome.value.hold;
        records.push(outcome.value.record);
      }
      const record = (): void => {
        for (const each of records) each();
      };
      return ok({ params: rewritten, record, hold });
    },
  };
}

type One = { readonly text: string; readonly record: () => void; readonly hold: JudgedArguments["hold"] };

function judgeOne({ gate, context }: SqlJudge, session: GateSession, text: string): Result<One, McpFault> {
  const now = context();
  const verdicts = gate.decide(session, now, text);
  const [verdict, more] = verdicts;
  if (verdict === undefined || more !== undefined) {
    gate.record(
      session,
      verdicts.map((each) => each),
      [],
    );
    return err({
      code: "mcp-sql-statements",
      message: "a tool's SQL argument holds exactly one statement",
      help: "call the tool once for each statement",
    });
  }
  if (verdict.kind === "refuse") {
    gate.record(session, [verdict], []);
    const { message, detail, hint } = verdict.refusal;
    return err({ code: "mcp-sql-refused", message: `${message} (${detail})`, help: hint });
  }
  const unfit = whyUnfit(verdict);
  if (unfit !== undefined) return err(unfit);
  const finish = (decisionId: string): void =>
    gate.complete(session, decisionId, {
      outcome: "ok",
      tag: "sent to a tool",
      sqlstate: undefined,
      rows: 0,
      bytes: 0,
      durationUs: 0,
    });
  if (verdict.kind === "release") {
    return ok({
      text: verdict.rewritten.text,
      record: () => {
        gate.record(session, [verdict], []);
        finish(verdict.decisionId);
      },
      hold: undefined,
    });
  }
  return ok({
    text: verdict.rewritten.text,
    record: () => undefined,
    hold: async (signal) => {
      const outcome = await gate.hold(session, now, verdict, [], signal, {
        tell: () => undefined,
        end: () => undefined,
      });
      if (outcome.kind === "withdrawn") return "gone";
      if (outcome.kind === "refused") {
        const { message, detail, hint } = outcome.refusal;
        return { code: "mcp-sql-refused", message: `${message} (${detail})`, help: hint };
      }
      // What people saw is what runs: the text that was judged first must still be the one.
      if (outcome.verdict.kind !== "release" || outcome.verdict.rewritten.text !== verdict.rewritten.text) {
        return {
          code: "approval-overtaken",
          message: "the policies changed while the statement waited",
          help: undefined,
        };
      }
      gate.record(session, [outcome.verdict], []);
      finish(outcome.verdict.decisionId);
      return "granted";
    },
  });
}

/** The tool's own session is nobody's here: what changes it can't be followed. */
function whyUnfit(verdict: SqlVerdict & { readonly kind: "release" | "hold" }): McpFault | undefined {
  if ((verdict.statement?.effects.length ?? 0) > 0) {
    return {
      code: "mcp-sql-session",
      message: "a tool's SQL argument can't begin transactions or change settings of the session",
      help: "send a statement that reads or writes",
    };
  }
  // A constraint's error quotes the row; in a tool's answer nobody can tell it from other text.
  if (verdict.rewritten.touchesProtected && verdict.statement?.isRowReturning !== true) {
    return {
      code: "mcp-sql-protected-write",
      message: "a tool can't write to tables with masks or filters: its errors would show what is hidden",
      help: "use the PostgreSQL connection for that",
    };
  }
  return undefined;
}

function textAt(object: JsonObject, path: readonly string[]): string | "absent" | "wrong" {
  let at: JsonObject = object;
  for (const key of path.slice(0, -1)) {
    const next = field(at, key);
    if (next === undefined) return "absent";
    if (!isObject(next)) return "wrong";
    at = next;
  }
  const value = field(at, path.at(-1) ?? "");
  if (value === undefined || value === null) return "absent";
  return typeof value === "string" ? value : "wrong";
}

function withTextAt(object: JsonObject, [key = "", ...rest]: readonly string[], text: string): JsonObject {
  if (rest.length === 0) return withField(object, key, text);
  const next = field(object, key);
  return isObject(next) ? withField(object, key, withTextAt(next, rest, text)) : object;
}

const noSuchConnection = (name: string): McpFault => ({
  code: "mcp-sql-unavailable",
  message: `the connection \`${name}\`, by which this argument is judged, isn't served here`,
  help: undefined,
});
const notText = (path: readonly string[]): McpFault => ({
  code: "mcp-arguments-invalid",
  message: `the argument \`${path.join(".")}\` is SQL, so it is a string`,
  help: undefined,
});
const twoHolds: McpFault = {
  code: "mcp-sql-statements",
  message: "two SQL arguments of one call need approval",
  help: "call the tool once for each",
};
