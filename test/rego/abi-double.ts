// A module that speaks OPA's WASM ABI without OPA: values are addresses of their JSON text, evaluation is what a test says.
// Layout of a module: https://webassembly.github.io/spec/core/binary/modules.html

type Bytes = readonly number[];

const unsigned = (n: number): Bytes => (n < 128 ? [n] : [(n & 0x7f) | 0x80, ...unsigned(Math.floor(n / 128))]);
const signed = (n: number): Bytes => {
  const low = n & 0x7f;
  const rest = n >> 7;
  const isLast = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
  return isLast ? [low] : [low | 0x80, ...signed(rest)];
};
const text = (s: string): Bytes => {
  const bytes = [...new TextEncoder().encode(s)];
  return [...unsigned(bytes.length), ...bytes];
};
const vector = (items: readonly Bytes[]): Bytes => [...unsigned(items.length), ...items.flat()];
const section = (id: number, content: Bytes): Bytes => [id, ...unsigned(content.length), ...content];

const i32 = 0x7f;
const type = (params: number, results: number): Bytes => [
  0x60,
  ...vector(new Array<Bytes>(params).fill([i32])),
  ...vector(new Array<Bytes>(results).fill([i32])),
];

/** The instructions that the bodies below need. */
export const op = {
  unreachable: [0x00],
  const: (n: number): Bytes => [0x41, ...signed(n)],
  get: (local: number): Bytes => [0x20, ...unsigned(local)],
  globalGet: (global: number): Bytes => [0x23, ...unsigned(global)],
  globalSet: (global: number): Bytes => [0x24, ...unsigned(global)],
  load8: (offset: number): Bytes => [0x2d, 0x00, ...unsigned(offset)],
  add: [0x6a],
  sub: [0x6b],
  equal: [0x46],
  lessOrZero: [0x41, 0x00, 0x4c],
  call: (f: number): Bytes => [0x10, ...unsigned(f)],
  drop: [0x1a],
  return: [0x0f],
  when: (body: Bytes): Bytes => [0x04, 0x40, ...body, 0x0b],
  forever: [0x03, 0x40, 0x0c, 0x00, 0x0b],
} as const;

/** Indexes of the imported functions. */
export const imported = { opaAbort: 0, opaPrintln: 1, opaBuiltin0: 2, opaBuiltin1: 3 } as const;
const importTypes: Readonly<Record<string, number>> = {
  opa_abort: 1,
  opa_println: 1,
  opa_builtin0: 3,
  opa_builtin1: 4,
};

/** Addresses of the texts that bodies refer to. */
export const address = { builtins: 1_024, entrypoints: 2_048, answer: 4_096, note: 8_192, heap: 16_384 } as const;

/** Global 2: the C stack of the double, as deep as `stackCalls` calls; a throw doesn't give it back. */
const stackGlobal = 2;
const stackCalls = 512;

export type Double = {
  /** Body of `opa_eval`; its parameters 3 and 4 are the input's address and length. It leaves the answer's address. */
  readonly evaluate?: Bytes;
  readonly answer?: string;
  readonly note?: string;
  readonly builtins?: string;
  readonly entrypoints?: string;
  readonly abi?: readonly [major: number, minor: number];
  readonly memory?: { readonly min: number; readonly max?: number };
  readonly without?: string;
  readonly extraImport?: readonly [module: string, name: string];
};

/** When the input's first key begins with `letter`: `{"poison":1}`. */
export const whenInputStartsWith = (letter: string, body: Bytes): Bytes => [
  ...op.get(3),
  ...op.load8(2),
  ...op.const(letter.charCodeAt(0)),
  ...op.equal,
  ...op.when(body),
];

export const answerWith: Bytes = op.const(address.answer);

export function abiDouble(part: Double = {}): Uint8Array {
  const { memory = { min: 5 }, abi = [1, 3], extraImport } = part;
  const types = [type(0, 1), type(1, 0), type(1, 1), type(2, 1), type(3, 1), type(7, 1)];
  const imports: Bytes[] = Object.entries(importTypes).map(([name, t]) => [...text("env"), ...text(name), 0x00, t]);
  if (extraImport) imports.push([...text(extraImport[0]), ...text(extraImport[1]), 0x00, 0]);
  const limits =
    memory.max === undefined
      ? [0x00, ...unsigned(memory.min)]
      : [0x01, ...unsigned(memory.min), ...unsigned(memory.max)];
  imports.push([...text("env"), ...text("memory"), 0x02, ...limits]);
  const evaluate = [
    // The stack is taken on the way in and given back on the way out only.
    ...[...op.globalGet(stackGlobal), ...op.const(1), ...op.sub, ...op.globalSet(stackGlobal)],
    ...[...op.globalGet(stackGlobal), ...op.lessOrZero, ...op.when(op.unreachable)],
    ...(part.evaluate ?? answerWith),
    ...[...op.globalGet(stackGlobal), ...op.const(1), ...op.add, ...op.globalSet(stackGlobal)],
  ];
  const heap = 3;
  const functions: Readonly<Record<string, readonly [type: number, body: Bytes]>> = {
    opa_eval: [5, evaluate],
    opa_malloc: [2, [...op.globalGet(heap), ...op.globalGet(heap), ...op.get(0), ...op.add, ...op.globalSet(heap)]],
    opa_json_parse: [3, op.get(0)],
    opa_json_dump: [2, op.get(0)],
    opa_heap_ptr_get: [0, op.globalGet(heap)],
    opa_heap_ptr_set: [1, [...op.get(0), ...op.globalSet(heap)]],
    builtins: [0, op.const(address.builtins)],
    entrypoints: [0, op.const(address.entrypoints)],
  };
  const global = (value: number, isMutable: boolean): Bytes => [i32, isMutable ? 1 : 0, ...op.const(value), 0x0b];
  const firstFunction = imports.length - 1;
  const exports: (readonly [string, Bytes])[] = [
    ...Object.keys(functions).map((name, i) => [name, [...text(name), 0x00, firstFunction + i]] as const),
    ["opa_wasm_abi_version", [...text("opa_wasm_abi_version"), 0x03, 0]],
    ["opa_wasm_abi_minor_version", [...text("opa_wasm_abi_minor_version"), 0x03, 1]],
  ];
  const segment = (at: number, content: string): Bytes => [0x00, ...op.const(at), 0x0b, ...text(`${content}\u0000`)];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector(types)),
    ...section(2, vector(imports)),
    ...section(3, vector(Object.values(functions).map(([t]) => [t]))),
    ...section(
      6,
      vector([global(abi[0], false), global(abi[1], false), global(stackCalls, true), global(address.heap, true)]),
    ),
    ...section(7, vector(exports.filter(([name]) => name !== part.without).map(([, bytes]) => bytes))),
    ...section(
      10,
      vector(
        Object.values(functions).map(([, body]) => {
          const code = [0x00, ...body, 0x0b];
          return [...unsigned(code.length), ...code];
        }),
      ),
    ),
    ...section(
      11,
      vector([
        segment(address.builtins, part.builtins ?? "{}"),
        segment(address.entrypoints, part.entrypoints ?? '{"t/decision":0}'),
        segment(address.answer, part.answer ?? '[{"result":true}]'),
        segment(address.note, part.note ?? "t.rego:3: conflict"),
      ]),
    ),
  ]);
}
