// gw bundle inspect | diff | sign | verify: archives as OPA's tools read and write them; build and the rest are beside it
import { writeFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { readArchive, writeArchive } from "../../engine/lib/archive.ts";
import type { ArchiveFiles } from "../../engine/lib/tar.ts";
import { limits } from "../../engine/limits.ts";
import { hashFile } from "../../proxy/bundle/file-hash.ts";
import {
  type SignatureAlgorithm,
  signatureAlgorithms,
  signaturesName,
  signBundle,
  verifyBundle,
} from "../../proxy/bundle/signature.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { readBytes } from "../read-bytes.ts";
import { registerBuild } from "./bundle-build.ts";
import { registerLive } from "./bundle-live.ts";

type KeyOptions = { readonly key: string; readonly algorithm: SignatureAlgorithm };

export function register(program: Command, { terminal, exit }: CommandContext): void {
  const bundle = program
    .command("bundle")
    .description("build, sign and look into bundles; see and choose what is in force");
  registerBuild(bundle, terminal, exit);
  registerLive(bundle, terminal);
  bundle
    .command("inspect")
    .description("the files of a bundle with size and hash")
    .argument("<bundle>", "a .tar.gz")
    .action((path: string) => {
      const files = open(path);
      for (const [name, hash] of hashes(files)) {
        terminal.out(`${hash.slice(0, 12)}  ${String(files.get(name)?.length ?? 0).padStart(9)}  ${name}\n`);
      }
      terminal.out(files.has(signaturesName) ? "signed\n" : "not signed\n");
    });
  bundle
    .command("diff")
    .description("files that two bundles don't have in common; exit 1 if there are any")
    .argument("<old>", "a .tar.gz")
    .argument("<new>", "a .tar.gz")
    .action((oldPath: string, newPath: string) => {
      const [before, now] = [hashes(open(oldPath)), hashes(open(newPath))];
      const names = [...new Set([...before.keys(), ...now.keys()])].sort();
      const changed = names.filter((name) => before.get(name) !== now.get(name));
      for (const name of changed)
        terminal.out(`${!before.has(name) ? "added  " : !now.has(name) ? "removed" : "changed"}  ${name}\n`);
      if (changed.length > 0) exit(exitCodes.failed);
    });
  keyOptions(bundle.command("sign"), "private key, PKCS #8 PEM")
    .description("write the bundle again with a signature over each of its files")
    .argument("<bundle>", "a .tar.gz")
    .requiredOption("--out <file>", "where to write the signed bundle")
    .option("--key-id <name>", "name of the key, for readers", "default")
    .action(async (path: string, options: KeyOptions & { readonly out: string; readonly keyId: string }) => {
      const key = readBytes(options.key).toString("utf8");
      const signed = await signBundle(open(path), key, options.algorithm, options.keyId);
      if (!signed.ok) throw new GatewayError("policy-rejected", `\`${path}\` can't be signed: ${signed.error}`);
      writeFileSync(options.out, writeArchive(signed.value));
      terminal.out(`signed ${options.out}\n`);
    });
  keyOptions(bundle.command("verify"), "public key, SPKI PEM")
    .description("check that the bundle holds exactly what the key's owner signed")
    .argument("<bundle>", "a .tar.gz")
    .action(async (path: string, options: KeyOptions) => {
      const verified = await verifyBundle(open(path), readBytes(options.key).toString("utf8"), options.algorithm);
      if (!verified.ok) throw new GatewayError("policy-rejected", `\`${path}\` doesn't verify: ${verified.error}`);
      terminal.out("the signature is good\n");
    });
}

const keyOptions = (command: Command, key: string): Command =>
  command
    .requiredOption("--key <file>", key)
    .addOption(new Option("--algorithm <name>", "of the signature").choices(signatureAlgorithms).default("RS256"));

function open(path: string): ArchiveFiles {
  const files = readArchive(readBytes(path), {
    packedBytesMax: limits.bundleBytesMax,
    unpackedBytesMax: limits.bundleUnpackedBytesMax,
    entriesMax: limits.bundleEntriesMax,
  });
  if (!files.ok) throw new GatewayError("policy-rejected", `\`${path}\` can't be read as a bundle: ${files.error}`);
  return files.value;
}

function hashes(files: ArchiveFiles): ReadonlyMap<string, string> {
  return new Map(
    [...files].map(([name, bytes]) => {
      const hash = hashFile(name, bytes);
      if (!hash.ok) throw new GatewayError("policy-rejected", hash.error);
      return [name, hash.value] as const;
    }),
  );
}
