// policy.wasm -> how much memory it asks for. The JS interface names the imports of a module, not their limits.
// Source: https://webassembly.github.io/spec/core/binary/modules.html#import-section
import { err, ok, type Result } from "../lib/result.ts";

/** Pages of 64 KiB. */
export type MemoryImport = { readonly pagesMin: number; readonly pagesMax: number | undefined };

class Cut extends Error {}

class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;
  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }
  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }
  byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new Cut();
    this.#at += 1;
    return byte;
  }
  /** LEB128, at most 32 bits. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
    throw new Cut();
  }
  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw new Cut();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

const magic = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const importSection = 2;

/** The one memory that the module imports; an error where there is none, or where the bytes aren't a module. */
export function readMemoryImport(module: Uint8Array): Result<MemoryImport, string> {
  if (magic.some((byte, i) => module[i] !== byte)) return err("this is not a WebAssembly module");
  try {
    const sections = new ByteReader(module, magic.length);
    while (!sections.isAtEnd) {
      const id = sections.byte();
      const content = sections.take(sections.unsigned());
      if (id !== importSection) continue;
      const memory = findMemory(new ByteReader(content, 0));
      return memory ? ok(memory) : err("the module doesn't import a memory");
    }
    return err("the module doesn't import a memory");
  } catch (error) {
    if (error instanceof Cut) return err("the module's import section is damaged");
    throw error;
  }
}

function findMemory(imports: ByteReader): MemoryImport | undefined {
  for (let left = imports.unsigned(); left > 0; left -= 1) {
    imports.take(imports.unsigned());
    imports.take(imports.unsigned());
    switch (imports.byte()) {
      case 0: // function: its type
        imports.unsigned();
        break;
      case 1: // table: element type and limits
        imports.byte();
        readLimits(imports);
        break;
      case 2:
        return readLimits(imports);
      case 3: // global: value type and mutability
        imports.byte();
        imports.byte();
        break;
      default:
        throw new Cut();
    }
  }
  return undefined;
}

function readLimits(reader: ByteReader): MemoryImport {
  const flags = reader.byte();
  if (flags > 1) throw new Cut(); // shared or 64-bit memory: not OPA's
  return { pagesMin: reader.unsigned(), pagesMax: flags === 1 ? reader.unsigned() : undefined };
}
