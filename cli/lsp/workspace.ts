// open documents and the folders around them -> bundles
import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { SourceFile } from "../../dsl/ast.ts";
import { type Bundle, compileBundle } from "../../dsl/bundle.ts";
import type { Diagnostic } from "../../dsl/diagnostic.ts";
import { lintBundle } from "../../dsl/lint/lint.ts";
import { LineMap } from "../../dsl/source.ts";
import { readBundleFiles } from "../../proxy/policy-source.ts";
import { manifestName, parseManifest } from "../manifest.ts";

export type OpenBundle = {
  readonly root: string;
  readonly files: ReadonlyMap<string, string>;
  readonly bundle: Bundle;
  readonly sources: readonly SourceFile[];
  /** Errors and warnings, and lint where there is no error. */
  readonly diagnostics: readonly Diagnostic[];
  readonly linesOf: (path: string) => LineMap;
};

/** Knows the text of every open document and compiles the bundle that one belongs to, when it is asked. */
export class Workspace {
  readonly #open = new Map<string, string>();
  readonly #cache = new Map<string, Promise<OpenBundle>>();

  /** `undefined`: closed. */
  set(uri: string, text: string | undefined): void {
    if (text === undefined) this.#open.delete(uri);
    else this.#open.set(uri, text);
    this.#cache.clear();
  }

  /** Files changed on disk. */
  forget(): void {
    this.#cache.clear();
  }

  get openUris(): readonly string[] {
    return [...this.#open.keys()];
  }

  textOf(uri: string): string | undefined {
    return this.#open.get(uri);
  }

  bundleOf(uri: string): Promise<OpenBundle> {
    const root = rootOf(uri);
    const cached = this.#cache.get(root);
    if (cached) return cached;
    const opened = this.#read(root, uri);
    this.#cache.set(root, opened);
    return opened;
  }

  async #read(root: string, uri: string): Promise<OpenBundle> {
    const onDisk = uri.startsWith("file:") ? await readBundleFiles(root).catch(() => new Map<string, string>()) : [];
    const files = new Map(onDisk);
    for (const [open, text] of this.#open) if (rootOf(open) === root) files.set(pathIn(root, open), text);
    const manifestText = files.get(manifestName);
    const manifest = manifestText === undefined ? undefined : parseManifest(manifestText, manifestName);
    const options = manifest?.ok ? manifest.value : undefined;
    const bundle = compileBundle(files, {
      revision: options?.revision ?? "editor",
      timeZone: options?.timeZone ?? "UTC",
      packages: options?.packages,
    });
    const isSound = bundle.diagnostics.every((d) => d.severity !== "error");
    const maps = new Map<string, LineMap>();
    const linesOf = (path: string): LineMap => {
      const map = maps.get(path) ?? new LineMap(files.get(path) ?? "");
      maps.set(path, map);
      return map;
    };
    return {
      root,
      files,
      bundle,
      sources: [...bundle.checked.files.values()],
      diagnostics: isSound ? [...bundle.diagnostics, ...lintBundle(bundle.checked, options?.lint)] : bundle.diagnostics,
      linesOf,
    };
  }
}

/** The nearest folder above with a manifest, else the document's own folder; a document that is no file stands alone. */
function rootOf(uri: string): string {
  if (!uri.startsWith("file:")) return uri;
  const own = dirname(fileURLToPath(uri));
  for (let folder = own; ; folder = dirname(folder)) {
    if (existsSync(join(folder, manifestName))) return folder;
    if (dirname(folder) === folder) return own;
  }
}

export const pathIn = (root: string, uri: string): string =>
  uri.startsWith("file:") ? relative(root, fileURLToPath(uri)).replaceAll("\\", "/") : "untitled.policy";

export const uriOf = (root: string, path: string): string =>
  root.includes("://") || root.startsWith("untitled:") ? root : pathToFileURL(join(root, path)).href;
