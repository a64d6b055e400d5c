// gw bundle build: a policy folder -> a bundle, after its tests passed
import { writeFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { readArchive, writeArchive } from "../../engine/lib/archive.ts";
import type { ArchiveFiles } from "../../engine/lib/tar.ts";
import { limits } from "../../engine/limits.ts";
import { bundleFiles } from "../../proxy/bundle/policy-bundle.ts";
import { type SignatureAlgorithm, signatureAlgorithms, signBundle } from "../../proxy/bundle/signature.ts";
import { causeCode, GatewayError } from "../../proxy/errors.ts";
import { compileOrShow } from "../compiled-bundle.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { defaultPath, readBundle } from "../read-bundle.ts";
import { readBytes } from "../read-bytes.ts";
import type { Terminal } from "../terminal.ts";
import { testBundle } from "../test-bundle.ts";

type BuildOptions = {
  readonly out: string;
  readonly revision?: string;
  readonly serial?: number;
  readonly from?: string;
  readonly rego?: string;
  readonly key?: string;
  readonly keyId: string;
  readonly algorithm: SignatureAlgorithm;
};

export function registerBuild(bundle: Command, terminal: Terminal, exit: CommandContext["exit"]): void {
  bundle
    .command("build")
    .description("pack a policy folder into a bundle, after its tests passed; the same files give the same bytes")
    .argument("[folder]", "a folder with policies", defaultPath())
    .requiredOption("--out <file>", "where to write the bundle")
    .option("--revision <text>", "name of this state in decisions and records; default: the manifest's")
    .option("--serial <number>", "grows with each build: gateways take none lower than one they have had", serialOf)
    .option("--from <text>", "where it was built from, such as a commit; kept in the bundle")
    .option("--rego <file>", "a bundle of `opa build -t wasm` that decides together with the folder")
    .option("--key <file>", "sign it: private key, PKCS #8 PEM")
    .option("--key-id <name>", "name of the key, for readers", "default")
    .addOption(new Option("--algorithm <name>", "of the signature").choices(signatureAlgorithms).default("RS256"))
    .action(async (folder: string, options: BuildOptions) => {
      const read = await readBundle(folder);
      const compiled = compileOrShow(terminal, read);
      if (compiled?.policySet === undefined) return exit(exitCodes.failed);
      const tested = await testBundle({ files: read.files, isTested: true, replay: undefined });
      if (!tested.ok) throw new GatewayError("policy-rejected", tested.error, "`gw policy test` shows them");
      const manifest = {
        revision: options.revision ?? read.manifest.revision,
        serial: options.serial,
        policyHash: compiled.policySet.hash,
        builtFrom: options.from,
      };
      const rego = options.rego === undefined ? new Map<string, Uint8Array>() : regoFiles(options.rego);
      const files = bundleFiles(read.files, manifest, rego);
      const packed = writeArchive(options.key === undefined ? files : await signed(files, options, options.key));
      write(options.out, packed);
      terminal.out(
        `${options.out}  ${packed.length} bytes  revision ${manifest.revision}  ${compiled.policySet.hash}\n` +
          `${tested.value} tests passed${options.key === undefined ? "; not signed" : "; signed"}\n`,
      );
    });
}

function serialOf(text: string): number {
  const serial = Number(text);
  if (!Number.isSafeInteger(serial) || serial < 0) throw new InvalidArgumentError("write a whole number, such as 12");
  return serial;
}

/** Module and data of a Rego bundle; what its archive holds besides stays there. */
function regoFiles(path: string): ArchiveFiles {
  const archive = readArchive(readBytes(path), {
    packedBytesMax: limits.bundleBytesMax,
    unpackedBytesMax: limits.bundleUnpackedBytesMax,
    entriesMax: limits.bundleEntriesMax,
  });
  if (!archive.ok) throw new GatewayError("policy-rejected", `\`${path}\` can't be read as a bundle: ${archive.error}`);
  const kept = [...archive.value].filter(
    ([name]) => /\.(?:wasm|rego)$/.test(name) || name === "data.json" || name === ".manifest",
  );
  if (!kept.some(([name]) => name.endsWith(".wasm"))) {
    throw new GatewayError(
      "policy-rejected",
      `\`${path}\` has no WebAssembly module`,
      "make it with `opa build -t wasm`",
    );
  }
  return new Map(kept);
}

async function signed(files: ArchiveFiles, { algorithm, keyId }: BuildOptions, key: string): Promise<ArchiveFiles> {
  const result = await signBundle(files, readBytes(key).toString("utf8"), algorithm, keyId);
  if (!result.ok) throw new GatewayError("policy-rejected", `the bundle can't be signed: ${result.error}`);
  return result.value;
}

function write(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes);
  } catch (error) {
    throw new GatewayError("config-unreadable", `\`${path}\` can't be written: ${causeCode(error)}`, "check the path");
  }
}
