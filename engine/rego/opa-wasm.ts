// The door to @open-policy-agent/opa-wasm: policy.wasm + data -> an instance that evaluates. Nothing loose leaves this file.
import * as sdk from "@open-policy-agent/opa-wasm";
import type { Json } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { describeThrown } from "./fault.ts";
import { type HostBuiltin, refusedSdkBuiltins, sdkBuiltins } from "./host-builtins.ts";
import { type MemoryImport, readMemoryImport } from "./wasm-imports.ts";

/** JSON text of an object, UTF-8, written by `encodeInput`: the SDK takes malformed text for "no input" and evaluates on. */
export type InputBytes = Uint8Array & { readonly __brand: "InputBytes" };

/** A compiled module. It holds no state: any number of instances in any thread share it. */
export type RegoModule = { readonly module: WebAssembly.Module; readonly memory: MemoryImport };

/** One instance. After any throw it is dead: the SDK leaks the C stack of what was interrupted. */
export type RegoInstance = {
  /** The SDK's result: `[]` when undefined, else `[{ result }]`. Throws whatever the SDK throws. */
  readonly evaluate: (input: InputBytes) => unknown;
  /** As OPA writes it: `acme/orders/decision`. */
  readonly entrypoint: string;
  readonly memoryBytes: () => number;
};

export type RegoInstanceOptions = {
  readonly data: { readonly [key: string]: Json };
  /** undefined: the only one, or the only one that ends in `/decision`. */
  readonly entrypoint: string | undefined;
  readonly builtins: Readonly<Record<string, HostBuiltin>>;
  /** Bound on the instance's memory, pages of 64 KiB. */
  readonly pagesMax: number;
};

const hostFunctions: ReadonlySet<string> = new Set([
  "opa_abort",
  "opa_println",
  "opa_builtin0",
  "opa_builtin1",
  "opa_builtin2",
  "opa_builtin3",
  "opa_builtin4",
]);
const neededExports = [
  "opa_wasm_abi_version",
  "opa_wasm_abi_minor_version",
  "opa_eval",
  "opa_malloc",
  "opa_json_parse",
  "opa_json_dump",
  "opa_heap_ptr_get",
  "opa_heap_ptr_set",
  "builtins",
  "entrypoints",
] as const;

/** Refuses what isn't a module of OPA's ABI 1.2 or later, or asks its host for more than OPA's modules do. */
export function compileRegoModule(bytes: Uint8Array): Result<RegoModule, string> {
  const memory = readMemoryImport(bytes);
  if (!memory.ok) return memory;
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(bytes);
  } catch {
    return err("this WebAssembly module is damaged");
  }
  for (const wanted of WebAssembly.Module.imports(module)) {
    const isKnown =
      wanted.module === "env" &&
      (wanted.kind === "memory"
        ? wanted.name === "memory"
        : wanted.kind === "function" && hostFunctions.has(wanted.name));
    if (!isKnown) return err(`the module asks for \`${wanted.module}.${wanted.name}\`, which no OPA policy needs`);
  }
  const exported = new Set(WebAssembly.Module.exports(module).map((e) => e.name));
  const missing = neededExports.find((name) => !exported.has(name));
  if (missing !== undefined) return err(`the module has no \`${missing}\`: it was not made by \`opa build -t wasm\``);
  return ok({ module, memory: memory.value });
}

/** Makes an instance and checks that everything it will ever call is there. The error says what the module lacks or needs. */
export function instantiateRego(compiled: RegoModule, options: RegoInstanceOptions): Result<RegoInstance, string> {
  const { pagesMin, pagesMax: declaredMax } = compiled.memory;
  const maximum = Math.min(options.pagesMax, declaredMax ?? options.pagesMax);
  if (pagesMin > maximum) return err(`the module starts with ${pagesMin} pages of memory; the bound is ${maximum}`);
  try {
    const policy = loadPolicySync(compiled.module, { initial: pagesMin, maximum }, options.builtins);
    if (!(policy.minorVersion >= 2)) return err("the module was made by an old OPA (ABI before 1.2): build it again");
    const homeless = [...policy.readTable("builtins").keys()].filter(
      (name) => !sdkBuiltins.has(name) && !Object.hasOwn(options.builtins, name),
    );
    if (homeless.length > 0) return err(describeHomeless(homeless));
    const entrypoints = policy.readTable("entrypoints");
    const chosen = chooseEntrypoint([...entrypoints.keys()], options.entrypoint);
    if (!chosen.ok) return chosen;
    const id = entrypoints.get(chosen.value) ?? 0;
    policy.setData(options.data);
    return ok({
      evaluate: (input) => policy.evaluate(input, id),
      entrypoint: chosen.value,
      memoryBytes: policy.memoryBytes,
    });
  } catch (thrown) {
    return err(`the module doesn't start: ${describeThrown(thrown)}`);
  }
}

function chooseEntrypoint(names: readonly string[], wanted: string | undefined): Result<string, string> {
  const list = names.map((name) => `\`${name}\``).join(", ");
  if (wanted !== undefined) {
    return names.includes(wanted) ? ok(wanted) : err(`the module has no entrypoint \`${wanted}\`: it has ${list}`);
  }
  const decisions = names.length === 1 ? names : names.filter((name) => name.endsWith("/decision"));
  const [only] = decisions;
  if (only !== undefined && decisions.length === 1) return ok(only);
  return err(`say which entrypoint decides: the module has ${list || "none"}`);
}

function describeHomeless(names: readonly string[]): string {
  const list = names.map((name) => `\`${name}\``).join(", ");
  const why = names.some((name) => refusedSdkBuiltins.has(name)) ? " because outside OPA it works differently" : "";
  return `the policy calls ${list}, which the gateway doesn't offer${why}: docs/rego.md lists what it does`;
}

type LoadedPolicy = {
  readonly minorVersion: number;
  readonly setData: (data: Json) => void;
  readonly evaluate: (input: InputBytes, entrypoint: number) => unknown;
  readonly readTable: (name: "builtins" | "entrypoints") => ReadonlyMap<string, number>;
  readonly memoryBytes: () => number;
};

/** The SDK's typings name `loadPolicySync` as an export; its ESM file has it on the default export only. Decoded here, once. */
function loadPolicySync(
  module: WebAssembly.Module,
  memory: { readonly initial: number; readonly maximum: number },
  builtins: Readonly<Record<string, HostBuiltin>>,
): LoadedPolicy {
  const policy = asObject(invoke(property(sdk, "default"), "loadPolicySync", module, { ...memory }, { ...builtins }));
  const instance = asObject(property(policy, "wasmInstance"));
  const exported = asObject(property(instance, "exports"));
  const buffer = (): ArrayBuffer => {
    const bytes = property(asObject(property(policy, "mem")), "buffer");
    if (!(bytes instanceof ArrayBuffer)) throw new TypeError("the SDK's policy has no memory");
    return bytes;
  };
  return {
    minorVersion: Number(property(policy, "minorVersion")),
    setData: (data) => void invoke(policy, "setData", data),
    evaluate: (input, entrypoint) => invoke(policy, "evaluate", exactBuffer(input), entrypoint),
    readTable: (name) => {
      const address = invoke(exported, "opa_json_dump", invoke(exported, name));
      return asTable(JSON.parse(textAt(buffer(), Number(address))));
    },
    memoryBytes: () => buffer().byteLength,
  };
}

function asObject(value: unknown): object {
  if (typeof value !== "object" || value === null) throw new TypeError("the SDK's policy is not as it was");
  return value;
}

const property = (object: unknown, name: string): unknown => Reflect.get(asObject(object), name);

function invoke(object: unknown, name: string, ...args: readonly unknown[]): unknown {
  const method = property(object, name);
  if (typeof method !== "function") throw new TypeError(`the SDK's policy has no \`${name}\``);
  return Reflect.apply(method, object, args);
}

/** Name → number, as `builtins()` and `entrypoints()` give it. */
function asTable(json: unknown): ReadonlyMap<string, number> {
  return new Map(Object.entries(asObject(json)).map(([name, id]) => [name, Number(id)]));
}

/** A NUL-terminated string in the instance's memory. */
function textAt(memory: ArrayBuffer, address: number): string {
  const bytes = new Uint8Array(memory, address);
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, bytes.indexOf(0)));
}

/** The SDK copies an ArrayBuffer into the instance as it is: exactly the text, nothing behind it. */
function exactBuffer(input: InputBytes): ArrayBuffer {
  const copy = new ArrayBuffer(input.byteLength);
  new Uint8Array(copy).set(input);
  return copy;
}
