// A slice of PostgreSQL's own regression SQL: what psql prints through the gateway is what it prints direct. The whole of it:
// `node test/regression/run.ts`, see docs/transparency.md.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { hasProgram } from "../support/gateway.ts";
import { hunksOf, refusedLines, withoutPositions } from "./compare.ts";
import { cutLines, segmentsOf } from "./cut.ts";
import { runFile } from "./run-file.ts";
import { RegressionServer } from "./servers.ts";
import { defaultSource, hasSource, howToGetIt } from "./source.ts";

/** Equal to the byte, nothing refused. */
const slice = ["md5", "portals_p2", "combocid", "bitmapops"] as const;

const missing = !hasProgram("psql") ? "there is no psql" : hasSource(defaultSource) ? undefined : howToGetIt;
if (missing !== undefined) console.error(`SKIPPED PostgreSQL's regression SQL: ${missing}`);

test("psql prints the same through the gateway as direct, for a slice of PostgreSQL's regression SQL", {
  skip: missing ?? false,
}, async () => {
  const direct = await RegressionServer.start();
  after(() => direct.stop());
  const gated = await RegressionServer.start();
  after(() => gated.stop());
  const setup = ["test_setup"];
  await Promise.all([direct.makeTemplates(defaultSource, setup), gated.makeTemplates(defaultSource, setup)]);
  for (const name of slice) {
    assert.deepEqual(await runFile(name, defaultSource, direct, gated), {
      name,
      refused: {},
      refusedMessages: {},
      statementsCut: 0,
      verdict: "equal",
      hunks: [],
    });
  }
});

test("a script is cut where psql ends a statement", () => {
  const script = [
    "select 1; select ';';",
    "create function f() returns int language sql",
    "  begin atomic select 1; end;",
    "do $x$ begin; end $x$;",
    "copy t from stdin;",
    "a;b",
    "\\.",
    "select 1 \\gset",
    "\\echo ;",
    "-- ; nothing",
    "select (1;2);",
  ].join("\n");
  assert.deepEqual(
    segmentsOf(script).map(({ start, end, line }) => [line, script.slice(start, end)]),
    [
      [1, "select 1;"],
      [1, "select ';';"],
      [3, "create function f() returns int language sql\n  begin atomic select 1; end;"],
      [4, "do $x$ begin; end $x$;"],
      [5, "copy t from stdin;\na;b\n\\."],
      [8, "select 1 \\gset"],
      [9, "\\echo ;"],
      [11, "select (1;2);"],
    ],
  );
  const cut = cutLines(script, new Set([5, 11]));
  assert.equal(cut.cut, 2);
  assert.equal(cut.script.split("\n").length, script.split("\n").length);
  assert.doesNotMatch(cut.script, /copy|a;b|2\);/);
});

test("a refusal is told from the server's own error by the decision that it names, or by its recorded words", () => {
  const output = [
    "psql:/x/a.sql:3: ERROR:  relation does not exist",
    "LINE 1: select",
    "          ^",
    "psql:/x/a.sql:5: ERROR:  not for you",
    "DETAIL:  no-rule; decision dec_01",
    "psql:/x/a.sql:7: ERROR:  said tersely",
  ].join("\n");
  assert.deepEqual([...refusedLines(output, new Set(["said tersely"]))], [5, 7]);
  assert.equal(withoutPositions(output).split("\n").length, 4);
  assert.deepEqual(hunksOf("a\nb\nc\nd", "a\nx\nc\nd"), [{ direct: ["b"], through: ["x"] }]);
});
