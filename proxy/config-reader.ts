// Places in a YAML text, files and secrets that it names, and the complaints about them.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { type Document, isMap, isNode, isScalar, type LineCounter } from "yaml";
import { causeCode, GatewayError } from "./errors.ts";

/** Environment variables as `process.env` has them; handed in, so that configuration is read once. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where a value lies in the document. */
export type Path = readonly (string | number)[];
export type SecretSource = { readonly env?: string | undefined; readonly file?: string | undefined };

/** Collects complaints, each with its place: a start shows all of them at once. */
export class ConfigReader {
  readonly #path: string;
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;
  readonly #environment: Environment;
  readonly #complaints: { readonly offset: number; readonly text: string }[] = [];

  constructor(path: string, document: Document.Parsed, lines: LineCounter, environment: Environment) {
    this.#path = path;
    this.#document = document;
    this.#lines = lines;
    this.#environment = environment;
  }

  /** What commands that the configuration names are run with. */
  get environment(): Environment {
    return this.#environment;
  }

  complain(path: Path, message: string): void {
    this.complainAt(this.#offsetOf(path), message);
  }

  complainAt(offset: number, message: string): void {
    const { line, col } = this.#lines.linePos(offset);
    this.#complaints.push({ offset, text: `${this.#path}:${line}:${col}: ${message}` });
  }

  failure(): GatewayError {
    const lines = this.#complaints.toSorted((a, b) => a.offset - b.offset).map((c) => c.text);
    return new GatewayError("config-invalid", [...new Set(lines)].join("\n"), "docs/operations.md has every key");
  }

  finish(): void {
    if (this.#complaints.length > 0) throw this.failure();
  }

  path(relative: string): string {
    return isAbsolute(relative) ? relative : join(dirname(this.#path), relative);
  }

  /** Text of a file that the configuration names; "" after a complaint. */
  file(relative: string, path: Path): string {
    const full = this.path(relative);
    try {
      return readFileSync(full, "utf8");
    } catch (error) {
      this.complain(path, `\`${full}\` can't be read: ${causeCode(error)}`);
      return "";
    }
  }

  /** Read anew at each use: a rotated password needs no restart. Checked once now, so that a missing one stops the start. */
  secret(source: SecretSource, path: Path): () => Promise<string> {
    const first = this.secretNow(source, path);
    if (source.file === undefined) return async () => first ?? "";
    const full = this.path(source.file);
    return async () => (await readFile(full, "utf8")).replace(/\r?\n$/, "");
  }

  secretNow(source: SecretSource, path: Path): string | undefined {
    if ((source.env === undefined) === (source.file === undefined)) {
      this.complain(path, "a secret is either `env: NAME` or `file: path`");
      return undefined;
    }
    if (source.file !== undefined) return this.file(source.file, [...path, "file"]).replace(/\r?\n$/, "");
    const value = this.#environment[source.env ?? ""];
    if (value === undefined || value === "") {
      this.complain([...path, "env"], `the environment variable \`${source.env}\` isn't set`);
      return undefined;
    }
    return value;
  }

  /** Where the key itself stands, for an unknown key; else the value; else the nearest parent. */
  offsetOfKey(path: Path, key: string): number {
    const map = path.length === 0 ? this.#document.contents : this.#document.getIn(path, true);
    if (isMap(map)) {
      const pair = map.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0];
    }
    return this.#offsetOf(path);
  }

  #offsetOf(path: Path): number {
    for (let length = path.length; length >= 0; length -= 1) {
      const head = path.slice(0, length);
      const node = length === 0 ? this.#document.contents : this.#document.getIn(head, true);
      if (isNode(node) && node.range) return node.range[0];
    }
    return 0;
  }
}
