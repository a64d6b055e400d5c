// The part of the WebAssembly interface that the Rego host uses: lib.dom has the rest, and a browser besides.
// Source: https://webassembly.github.io/spec/js-api/
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
    static exports(module: Module): readonly { readonly name: string; readonly kind: string }[];
    static imports(
      module: Module,
    ): readonly { readonly module: string; readonly name: string; readonly kind: string }[];
  }
  class Memory {
    constructor(descriptor: { readonly initial: number; readonly maximum?: number });
    readonly buffer: ArrayBuffer;
  }
  class Global {
    readonly value: unknown;
  }
  interface Instance {
    readonly exports: Readonly<Record<string, unknown>>;
  }
}
