// The host's own behaviour, with a hand-made module: this lane needs no `opa`.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../../engine/lib/json.ts";
import { limits } from "../../engine/limits.ts";
import { RegoEvaluator } from "../../engine/rego/evaluator.ts";
import { encodeInput } from "../../engine/rego/input.ts";
import { compileRegoModule } from "../../engine/rego/opa-wasm.ts";
import { noNeeds, regoPolicySet } from "../../engine/rego/policy-set.ts";
import { readMemoryImport } from "../../engine/rego/wasm-imports.ts";
import { startRegoWorkers } from "../../proxy/rego/worker-pool.ts";
import { abiDouble, address, answerWith, type Double, imported, op, whenInputStartsWith } from "./abi-double.ts";
import { quietLog, sqlRequest } from "./support.ts";

function load(double: Double, pagesMax = 64): ReturnType<typeof RegoEvaluator.load> {
  const module = compileRegoModule(abiDouble(double));
  return module.ok ? RegoEvaluator.load({ module: module.value, data: {}, entrypoint: undefined, pagesMax }) : module;
}

function evaluate(evaluator: ReturnType<typeof load>, input: { readonly [key: string]: Json } = { a: 1 }): unknown {
  if (!evaluator.ok) throw new Error(evaluator.error);
  const bytes = encodeInput(input, limits);
  assert.ok(bytes.ok);
  return evaluator.value.evaluate(bytes.value, 0);
}

const abort = [...op.const(address.note), ...op.call(imported.opaAbort)];

test("a module that aborts 2,000 times decides right afterwards", () => {
  const evaluator = load({ evaluate: [...whenInputStartsWith("p", abort), ...answerWith] });
  for (let i = 0; i < 2_000; i += 1) {
    assert.deepEqual(evaluate(evaluator, { poison: 1 }), {
      ok: false,
      error: { code: "rego-failed", message: "the policy failed: t.rego:3: conflict" },
    });
  }
  assert.deepEqual(evaluate(evaluator), { ok: true, value: true });
});

test("a trap, a missing function and a broken answer are failures of one evaluation", () => {
  const rows: readonly (readonly [Double, string])[] = [
    [{ evaluate: [...whenInputStartsWith("p", op.unreachable), ...answerWith] }, "RuntimeError: unreachable"],
    [{ answer: "[{" }, "its answer is not JSON"],
  ];
  for (const [double, message] of rows) {
    const evaluator = load(double);
    assert.deepEqual(evaluate(evaluator, { poison: 1 }), {
      ok: false,
      error: { code: "rego-failed", message: `the policy failed: ${message}` },
    });
  }
});

test("a result set is a list of at most one result", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["[]", "rego-undefined"],
    ["{}", "rego-answer-invalid"],
    ["null", "rego-answer-invalid"],
    ["true", "rego-answer-invalid"],
    ["[true]", "rego-answer-invalid"],
    ['[{"expressions":true}]', "rego-answer-invalid"],
    ['[{"result":true},{"result":true}]', "rego-answer-invalid"],
    ["[null]", "rego-answer-invalid"],
  ];
  for (const [answer, code] of rows) {
    const outcome = evaluate(load({ answer }));
    assert.partialDeepStrictEqual(outcome, { ok: false, error: { code } }, answer);
  }
});

test("what isn't a module of OPA's ABI is refused when it is loaded", () => {
  const rows: readonly (readonly [Double, RegExp])[] = [
    [{ abi: [2, 0] }, /unsupported ABI version 2/],
    [{ abi: [1, 1] }, /ABI before 1\.2/],
    [{ without: "opa_eval" }, /has no `opa_eval`/],
    [{ without: "opa_wasm_abi_version" }, /has no `opa_wasm_abi_version`/],
    [{ extraImport: ["env", "open_file"] }, /asks for `env.open_file`/],
    [{ extraImport: ["wasi_snapshot_preview1", "fd_write"] }, /asks for `wasi_snapshot_preview1.fd_write`/],
    [{ builtins: '{"http.send":0,"io.jwt.decode":1}' }, /calls `http.send`, `io.jwt.decode`, which/],
    [{ builtins: '{"constructor":0}' }, /calls `constructor`/],
    [{ builtins: "garbage" }, /doesn't start: its answer is not JSON/],
    [{ entrypoints: "{}" }, /the module has none/],
    [{ memory: { min: 65 } }, /starts with 65 pages of memory; the bound is 64/],
  ];
  for (const [double, message] of rows) {
    const loaded = load(double);
    assert.ok(!loaded.ok);
    assert.match(loaded.error, message);
  }
  for (const bytes of [new Uint8Array(), abiDouble().slice(0, 40), Uint8Array.from([0, 97, 115, 109, 2, 0, 0, 0])]) {
    assert.equal(compileRegoModule(bytes).ok, false);
  }
});

test("the memory that a module asks for is read from its import section", () => {
  assert.deepEqual(readMemoryImport(abiDouble({ memory: { min: 300 } })), {
    ok: true,
    value: { pagesMin: 300, pagesMax: undefined },
  });
  assert.deepEqual(readMemoryImport(abiDouble({ memory: { min: 7, max: 1_000 } })), {
    ok: true,
    value: { pagesMin: 7, pagesMax: 1_000 },
  });
  assert.deepEqual(evaluate(load({ memory: { min: 20, max: 40 } })), { ok: true, value: true });
});

test("a built-in function of the host gets its arguments and gives its value", () => {
  const body = [
    ...op.const(0),
    ...op.const(0),
    ...op.const(address.note),
    ...op.call(imported.opaBuiltin1),
    ...op.drop,
    ...answerWith,
  ];
  const sha = load({ builtins: '{"crypto.sha256":0}', note: '"abc"', evaluate: body });
  assert.deepEqual(evaluate(sha), { ok: true, value: true });
  const wrong = load({ builtins: '{"crypto.sha256":0}', note: "12", evaluate: body });
  assert.deepEqual(evaluate(wrong), {
    ok: false,
    error: {
      code: "rego-failed",
      message: "the policy failed: BuiltinError: a built-in function was not given a string",
    },
  });
});

/** The SDK looks for the end of an answer from its address on: outside the memory it looks for ever. */
const nowhere = op.const(1_000_000_000);

for (const [what, endless] of [
  ["never returns", op.forever],
  ["answers with an address outside its memory", [...nowhere, ...op.return]],
] as const) {
  test(`a module that ${what} is stopped, and the next one is asked`, async () => {
    const module = compileRegoModule(abiDouble({ evaluate: [...whenInputStartsWith("p", endless), ...answerWith] }));
    assert.ok(module.ok);
    const started = await startRegoWorkers(
      { module: module.value, data: {}, entrypoint: undefined, pagesMax: 64 },
      {
        deadlineMs: 150,
        limits: { ...limits, regoWorkerWaitMs: 10_000 },
        monotonicMs: () => performance.now(),
        log: quietLog,
      },
    );
    assert.ok(started.ok);
    const workers = started.value;
    const ask = (input: { readonly [key: string]: Json }): unknown => {
      const bytes = encodeInput(input, limits);
      assert.ok(bytes.ok);
      return workers.evaluate(bytes.value, 0);
    };
    for (let round = 0; round < 5; round += 1) {
      assert.partialDeepStrictEqual(ask({ poison: 1 }), { ok: false, error: { code: "rego-deadline" } });
      assert.deepEqual(ask({ a: 1 }), { ok: true, value: true });
    }
    assert.equal(workers.stopped(), 5);
    await workers.close();
  });
}

test("a fault names no content: a policy set denies with the code", () => {
  const evaluator = load({ answer: '[{"result": secret-value}]' });
  assert.ok(evaluator.ok);
  const set = regoPolicySet({
    hash: "sha256:0",
    revision: "1",
    timeZone: "UTC",
    entrypoint: evaluator.value.entrypoint,
    evaluate: (input, nowMs) => evaluator.value.evaluate(input, nowMs),
    needs: noNeeds,
    tags: () => undefined,
    limits,
  });
  assert.deepEqual(set.decide(sqlRequest()), {
    effect: "deny",
    causes: [
      {
        kind: "unsupported",
        code: "rego-failed",
        message: "the policy failed: its answer is not JSON",
        help: undefined,
      },
    ],
    rules: [],
    alerts: [],
    shadow: [],
  });
});
