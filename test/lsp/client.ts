// A language client for tests: the real protocol library over the server's stdin and stdout.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  createProtocolConnection,
  type Diagnostic,
  type InitializeResult,
  type Position,
  type ProtocolConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-languageserver-protocol/node";

const gw = join(import.meta.dirname, "../../cli/gw.js");

export class LspClient {
  readonly folder = mkdtempSync(join(tmpdir(), "gw-lsp-"));
  readonly connection: ProtocolConnection;
  readonly #process: ChildProcess;
  readonly #published = new Map<string, readonly Diagnostic[]>();
  #onPublish: (() => void) | undefined;

  constructor(files: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.folder, name), text);
    const child = spawn(process.execPath, [gw, "lsp"], { stdio: ["pipe", "pipe", "inherit"] });
    this.#process = child;
    this.connection = createProtocolConnection(
      new StreamMessageReader(child.stdout),
      new StreamMessageWriter(child.stdin),
    );
    this.connection.onNotification(
      "textDocument/publishDiagnostics",
      (params: { uri: string; diagnostics: Diagnostic[] }) => {
        this.#published.set(params.uri, params.diagnostics);
        this.#onPublish?.();
      },
    );
    this.connection.listen();
  }

  uri(name: string): string {
    return pathToFileURL(join(this.folder, name)).href;
  }

  async initialize(): Promise<InitializeResult> {
    const result: InitializeResult = await this.connection.sendRequest("initialize", {
      processId: process.pid,
      rootUri: pathToFileURL(this.folder).href,
      capabilities: {},
    });
    await this.connection.sendNotification("initialized", {});
    return result;
  }

  open(name: string, text: string): Promise<void> {
    const textDocument = { uri: this.uri(name), languageId: "gatewright-policy", version: 1, text };
    return this.connection.sendNotification("textDocument/didOpen", { textDocument });
  }

  change(name: string, version: number, text: string): Promise<void> {
    const textDocument = { uri: this.uri(name), version };
    return this.connection.sendNotification("textDocument/didChange", { textDocument, contentChanges: [{ text }] });
  }

  /** The next diagnostics of a file for which `isWanted` holds. */
  async diagnostics(
    name: string,
    isWanted: (diagnostics: readonly Diagnostic[]) => boolean,
  ): Promise<readonly Diagnostic[]> {
    for (;;) {
      const current = this.#published.get(this.uri(name));
      if (current && isWanted(current)) return current;
      await new Promise<void>((resolve) => {
        this.#onPublish = resolve;
      });
    }
  }

  request<T>(method: string, name: string, params: object = {}): Promise<T> {
    return this.connection.sendRequest(`textDocument/${method}`, { textDocument: { uri: this.uri(name) }, ...params });
  }

  async stop(): Promise<void> {
    await this.connection.sendRequest("shutdown");
    await this.connection.sendNotification("exit");
    await once(this.#process, "exit");
    this.connection.dispose();
    rmSync(this.folder, { recursive: true });
  }
}

/** Where `¦` stands in a text, and the text without it. */
export function cursorIn(text: string): { readonly text: string; readonly position: Position } {
  const before = text.slice(0, text.indexOf("¦")).split("\n");
  return {
    text: text.replace("¦", ""),
    position: { line: before.length - 1, character: before.at(-1)?.length ?? 0 },
  };
}
