// starts `gw lsp` for the .policy files of a window
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = async () => {
  const [command, ...args] = vscode.workspace.getConfiguration("gatewright").get("command");
  const server = { command, args };
  client = new LanguageClient("gatewright", "Gatewright", server, {
    documentSelector: [{ language: "gatewright-policy" }],
    synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.{policy,json,yaml}") },
  });
  await client.start();
};

exports.deactivate = () => client?.stop();
