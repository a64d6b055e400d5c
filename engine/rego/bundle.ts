// bundle.tar.gz as `opa build -t wasm` writes it -> module, data, manifest
// https://www.openpolicyagent.org/docs/management-bundles#bundle-file-format
import { createHash } from "node:crypto";
import { readArchive } from "../lib/archive.ts";
import type { Json } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { ArchiveFiles } from "../lib/tar.ts";
import type { Limits } from "../limits.ts";
import { jsonDepth } from "./json-depth.ts";
import { compileRegoModule, type RegoModule } from "./opa-wasm.ts";

export type RegoBundle = {
  readonly module: RegoModule;
  readonly data: { readonly [key: string]: Json };
  /** From the manifest; "" where it names none. */
  readonly revision: string;
  /** Every entrypoint the manifest names; [] without a manifest. */
  readonly entrypoints: readonly string[];
  /** `sha256:` and 64 hex digits over module and data. */
  readonly hash: string;
  /** The module holds the name of the fact: somebody may look at it. */
  readonly namesEstimatedRows: boolean;
  /** Everything else in the archive: catalog snapshots, tests, sources. */
  readonly files: ArchiveFiles;
};

/** The error is one sentence that names the file. */
export function readRegoBundle(archive: Uint8Array, limits: Limits): Result<RegoBundle, string> {
  const files = readArchive(archive, {
    packedBytesMax: limits.bundleBytesMax,
    unpackedBytesMax: limits.bundleUnpackedBytesMax,
    entriesMax: limits.bundleEntriesMax,
  });
  return files.ok ? readRegoFiles(files.value, limits) : files;
}

/** As `readRegoBundle`, from the files themselves: policy.wasm, data.json and .manifest. */
export function readRegoFiles(files: ArchiveFiles, limits: Limits): Result<RegoBundle, string> {
  const manifest = readManifest(files.get(".manifest"));
  if (!manifest.ok) return manifest;
  const modulePath = manifest.value.modulePath ?? "policy.wasm";
  const moduleBytes = files.get(modulePath);
  if (moduleBytes === undefined) return err(`the bundle has no \`${modulePath}\`: make it with \`opa build -t wasm\``);
  if (moduleBytes.length > limits.regoModuleBytesMax) {
    return err(`\`${modulePath}\` is larger than ${limits.regoModuleBytesMax} bytes`);
  }
  const strayData = [...files.keys()].find(
    (name) => /(?:^|\/)data\.(?:json|ya?ml)$/.test(name) && name !== "data.json",
  );
  if (strayData !== undefined)
    return err(`\`${strayData}\`: only one \`data.json\` is read; \`opa build\` makes it one`);
  const dataBytes = files.get("data.json");
  const data = dataBytes === undefined ? ok({}) : parseObject(dataBytes, "data.json");
  if (!data.ok) return data;
  if (jsonDepth(data.value) > limits.regoJsonDepthMax) return err("`data.json` is nested too deeply");
  const module = compileRegoModule(moduleBytes);
  if (!module.ok) return err(`\`${modulePath}\`: ${module.error}`);
  const digest = createHash("sha256");
  for (const part of [moduleBytes, dataBytes ?? new Uint8Array()]) digest.update(`${part.length}:`).update(part);
  return ok({
    module: module.value,
    data: data.value,
    revision: manifest.value.revision,
    entrypoints: manifest.value.entrypoints,
    hash: `sha256:${digest.digest("hex")}`,
    namesEstimatedRows: Buffer.from(moduleBytes.buffer, moduleBytes.byteOffset, moduleBytes.length).includes(
      "estimated_rows",
    ),
    files,
  });
}

type Manifest = {
  readonly revision: string;
  readonly entrypoints: readonly string[];
  readonly modulePath: string | undefined;
};

function readManifest(bytes: Uint8Array | undefined): Result<Manifest, string> {
  if (bytes === undefined) return ok({ revision: "", entrypoints: [], modulePath: undefined });
  const json = parseObject(bytes, ".manifest");
  if (!json.ok) return json;
  const revision = json.value.revision ?? "";
  if (typeof revision !== "string") return err("`.manifest`: `revision` must be a string");
  const resolvers = json.value.wasm ?? [];
  if (!Array.isArray(resolvers)) return err("`.manifest`: `wasm` must be a list");
  const entrypoints: string[] = [];
  const modules = new Set<string>();
  for (const resolver of resolvers) {
    const { entrypoint, module } = isObject(resolver) ? resolver : {};
    if (typeof entrypoint !== "string" || typeof module !== "string") {
      return err("`.manifest`: each of `wasm` needs an `entrypoint` and a `module`");
    }
    entrypoints.push(entrypoint);
    modules.add(module.replace(/^\/+/, ""));
  }
  if (modules.size > 1) return err("`.manifest` names several modules: build the policies into one");
  return ok({ revision, entrypoints, modulePath: [...modules][0] });
}

const isObject = (json: unknown): json is { readonly [key: string]: Json } =>
  typeof json === "object" && json !== null && !Array.isArray(json);

function parseObject(bytes: Uint8Array, name: string): Result<{ readonly [key: string]: Json }, string> {
  try {
    const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isObject(json) ? ok(json) : err(`\`${name}\` must be a JSON object`);
  } catch {
    return err(`\`${name}\` is not JSON in UTF-8`);
  }
}
