import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { httpFaults } from "../../engine/http/faults.ts";

test("docs/error-codes.md lists every code of HTTP with its status and meaning", () => {
  const text = readFileSync("docs/error-codes.md", "utf8");
  for (const [code, [status, message]] of Object.entries(httpFaults)) {
    assert.ok(text.includes(`| \`${code}\` | ${status} | ${message} |`), code);
  }
});
