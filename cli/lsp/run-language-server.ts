// stdin and stdout <-> the language server
import {
  createConnection,
  ProposedFeatures,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-languageserver/node";
import { serveLanguage } from "./server.ts";

/** `gw lsp`: speaks the protocol on stdin and stdout until the client says `exit`. */
export function runLanguageServer(): void {
  const connection = createConnection(
    ProposedFeatures.all,
    new StreamMessageReader(process.stdin),
    new StreamMessageWriter(process.stdout),
  );
  serveLanguage(connection);
}
