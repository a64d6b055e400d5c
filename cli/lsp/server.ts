// the language server protocol <-> bundles
import {
  type CodeAction,
  CodeActionKind,
  type CodeLens,
  type Connection,
  DiagnosticSeverity,
  type InitializeResult,
  type Location,
  MessageType,
  ResponseError,
  ShowMessageNotification,
  TextDocumentSyncKind,
  TextDocuments,
  type TextEdit,
  type WorkspaceEdit,
} from "vscode-languageserver";
import { TextDocument } from "vscode-languageserver-textdocument";
import type { Diagnostic } from "../../dsl/diagnostic.ts";
import { formatPolicy } from "../../dsl/format.ts";
import { runTests } from "../../dsl/testing/run.ts";
import { isReservedWord } from "../../dsl/words.ts";
import { snapshotAnalyzer } from "../snapshot-analyzer.ts";
import { completionsAt } from "./completion.ts";
import { definitionOf, hoverAt, occurrenceAt, sameName } from "./hover.ts";
import { offsetAt, rangeOf } from "./places.ts";
import { type OpenBundle, pathIn, uriOf, Workspace } from "./workspace.ts";

/** Typing comes in bursts: a bundle is compiled when it pauses this long. */
const quietMs = 120;
export const runTestCommand = "gatewright.runTest";
/** JSON-RPC's own code for a request whose parameters make no sense (LSP 3.17, ResponseError). */
const invalidParams = -32602;

export function serveLanguage(connection: Connection): void {
  const documents = new TextDocuments(TextDocument);
  const workspace = new Workspace();
  const shown = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  connection.onInitialize(
    (): InitializeResult => ({
      serverInfo: { name: "gatewright" },
      capabilities: {
        textDocumentSync: TextDocumentSyncKind.Incremental,
        completionProvider: { triggerCharacters: [".", "@"] },
        hoverProvider: true,
        definitionProvider: true,
        referencesProvider: true,
        renameProvider: { prepareProvider: true },
        documentFormattingProvider: true,
        codeActionProvider: { codeActionKinds: [CodeActionKind.QuickFix] },
        codeLensProvider: {},
        executeCommandProvider: { commands: [runTestCommand] },
      },
    }),
  );

  const publish = async (): Promise<void> => {
    const stale = new Set(shown);
    for (const bundle of await openBundles(workspace)) {
      for (const path of bundle.files.keys()) {
        if (!path.endsWith(".policy")) continue;
        const uri = uriOf(bundle.root, path);
        const diagnostics = bundle.diagnostics.filter((d) => d.path === path);
        if (diagnostics.length === 0 && !shown.has(uri)) continue;
        await connection.sendDiagnostics({ uri, diagnostics: diagnostics.map((d) => shownDiagnostic(bundle, d)) });
        stale.delete(uri);
        if (diagnostics.length > 0) shown.add(uri);
        else shown.delete(uri);
      }
    }
    for (const uri of stale) {
      await connection.sendDiagnostics({ uri, diagnostics: [] });
      shown.delete(uri);
    }
  };
  const changed = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      publish().catch((error: unknown) => connection.console.error(error instanceof Error ? error.message : "failed"));
    }, quietMs);
  };

  documents.onDidChangeContent(({ document }) => {
    workspace.set(document.uri, document.getText());
    changed();
  });
  documents.onDidClose(({ document }) => {
    workspace.set(document.uri, undefined);
    changed();
  });
  connection.onDidChangeWatchedFiles(() => {
    workspace.forget();
    changed();
  });
  connection.onShutdown(() => clearTimeout(timer));

  const at = async (uri: string, position: { line: number; character: number }) => {
    const bundle = await workspace.bundleOf(uri);
    const path = pathIn(bundle.root, uri);
    return { bundle, path, offset: offsetAt(bundle.linesOf(path), position) };
  };
  const locationOf = (bundle: OpenBundle, path: string, span: { start: number; end: number }): Location => ({
    uri: uriOf(bundle.root, path),
    range: rangeOf(bundle.linesOf(path), span),
  });

  connection.onCompletion(async ({ textDocument, position }) => {
    const { bundle, path, offset } = await at(textDocument.uri, position);
    return [...completionsAt(bundle, path, (bundle.files.get(path) ?? "").slice(0, offset))];
  });

  connection.onHover(async ({ textDocument, position }) => {
    const { bundle, path, offset } = await at(textDocument.uri, position);
    const hovered = hoverAt(bundle, path, offset);
    if (!hovered) return null;
    return {
      contents: { kind: "markdown", value: hovered.markdown },
      range: rangeOf(bundle.linesOf(path), hovered.span),
    };
  });

  connection.onDefinition(async ({ textDocument, position }) => {
    const { bundle, path, offset } = await at(textDocument.uri, position);
    const name = occurrenceAt(bundle, path, offset);
    const definition = name && definitionOf(bundle, name);
    return definition ? locationOf(bundle, definition.file.path, definition.span) : null;
  });

  connection.onReferences(async ({ textDocument, position }) => {
    const { bundle, path, offset } = await at(textDocument.uri, position);
    const name = occurrenceAt(bundle, path, offset);
    return name ? sameName(bundle, name).map((other) => locationOf(bundle, other.file.path, other.span)) : [];
  });

  connection.onPrepareRename(async ({ textDocument, position }) => {
    const { bundle, path, offset } = await at(textDocument.uri, position);
    const name = occurrenceAt(bundle, path, offset);
    return name && definitionOf(bundle, name) ? rangeOf(bundle.linesOf(path), name.span) : null;
  });

  connection.onRenameRequest(async ({ textDocument, position, newName }) => {
    if (!/^[A-Za-z_]\w*$/.test(newName) || isReservedWord(newName)) {
      throw new ResponseError(invalidParams, `\`${newName}\` cannot be a name`);
    }
    const { bundle, path, offset } = await at(textDocument.uri, position);
    const name = occurrenceAt(bundle, path, offset);
    const changes: Record<string, TextEdit[]> = {};
    for (const other of name ? sameName(bundle, name) : []) {
      const { uri, range } = locationOf(bundle, other.file.path, other.span);
      changes[uri] = [...(changes[uri] ?? []), { range, newText: newName }];
    }
    return { changes } satisfies WorkspaceEdit;
  });

  connection.onDocumentFormatting(async ({ textDocument }) => {
    const bundle = await workspace.bundleOf(textDocument.uri);
    const path = pathIn(bundle.root, textDocument.uri);
    const text = bundle.files.get(path) ?? "";
    const formatted = formatPolicy(path, text);
    if (!formatted.ok || formatted.value === text) return [];
    return [{ range: rangeOf(bundle.linesOf(path), { start: 0, end: text.length }), newText: formatted.value }];
  });

  connection.onCodeAction(async ({ textDocument, range }) => {
    const bundle = await workspace.bundleOf(textDocument.uri);
    const path = pathIn(bundle.root, textDocument.uri);
    const lines = bundle.linesOf(path);
    const [from, to] = [offsetAt(lines, range.start), offsetAt(lines, range.end)];
    return bundle.diagnostics
      .filter((d) => d.path === path && d.span.start <= to && d.span.end >= from)
      .flatMap((d) =>
        d.fixes.map(
          (fix): CodeAction => ({
            title: fix.title,
            kind: CodeActionKind.QuickFix,
            diagnostics: [shownDiagnostic(bundle, d)],
            edit: { changes: { [textDocument.uri]: [{ range: rangeOf(lines, fix.span), newText: fix.replacement }] } },
          }),
        ),
      );
  });

  connection.onCodeLens(async ({ textDocument }) => {
    const bundle = await workspace.bundleOf(textDocument.uri);
    const path = pathIn(bundle.root, textDocument.uri);
    const file = bundle.sources.find((source) => source.path === path);
    return (file?.decls ?? []).flatMap((decl): readonly CodeLens[] => {
      if (decl.kind !== "test") return [];
      const command = { title: "run test", command: runTestCommand, arguments: [textDocument.uri, decl.title.raw] };
      return [{ range: rangeOf(bundle.linesOf(path), decl.title.span), command }];
    });
  });

  connection.onExecuteCommand(async ({ command, arguments: args }) => {
    const [uri, title]: readonly unknown[] = args ?? [];
    if (command !== runTestCommand || typeof uri !== "string" || typeof title !== "string") {
      throw new ResponseError(invalidParams, `\`${command}\` is not a command, or its arguments are wrong`);
    }
    const outcome = await runTest(await workspace.bundleOf(uri), uri, title);
    const type = outcome.passed ? MessageType.Info : MessageType.Error;
    await connection.sendNotification(ShowMessageNotification.type, { type, message: outcome.message });
    return outcome;
  });

  documents.listen(connection);
  connection.listen();
}

/** One bundle for each folder that has an open document. */
async function openBundles(workspace: Workspace): Promise<readonly OpenBundle[]> {
  const bundles = await Promise.all(workspace.openUris.map((uri) => workspace.bundleOf(uri)));
  return [...new Map(bundles.map((bundle) => [bundle.root, bundle])).values()];
}

function shownDiagnostic(bundle: OpenBundle, d: Diagnostic) {
  const label = d.label === undefined ? [] : [d.label];
  return {
    code: d.code,
    source: "gatewright",
    severity: d.severity === "error" ? DiagnosticSeverity.Error : DiagnosticSeverity.Warning,
    range: rangeOf(bundle.linesOf(d.path), d.span),
    message: [d.message, ...label, ...d.notes.map((n) => `note: ${n}`), ...d.help.map((h) => `help: ${h}`)].join("\n"),
    relatedInformation: d.related
      .filter((place) => place.label !== "")
      .map((place) => ({
        location: { uri: uriOf(bundle.root, place.path), range: rangeOf(bundle.linesOf(place.path), place.span) },
        message: place.label,
      })),
  };
}

type Outcome = { readonly passed: boolean; readonly message: string };

async function runTest(bundle: OpenBundle, uri: string, title: string): Promise<Outcome> {
  const errors = bundle.bundle.diagnostics.filter((d) => d.severity === "error");
  if (errors[0]) return { passed: false, message: `"${title}" did not run: ${errors[0].message}` };
  const { checked } = bundle.bundle;
  const path = pathIn(bundle.root, uri);
  const tests = checked.tests.filter((test) => test.path === path && test.title === title);
  const report = runTests(
    { ...checked, tests },
    { analyzeSql: snapshotAnalyzer(checked.catalogs), nowMs: () => performance.now() },
  );
  const [failed] = report.results.flatMap((result) => result.problems);
  if (failed) return { passed: false, message: `"${title}" failed: ${failed.diagnostic.message}` };
  return report.results.length === 0
    ? { passed: false, message: `there is no test "${title}"` }
    : { passed: true, message: `"${title}" passed` };
}
