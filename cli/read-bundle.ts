// paths on the command line -> bundles
import { existsSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { type Bundle, compileBundle } from "../dsl/bundle.ts";
import type { Diagnostic } from "../dsl/diagnostic.ts";
import type { ConnectionCapabilities } from "../engine/model/capabilities.ts";
import { GatewayError } from "../proxy/errors.ts";
import { type BundleFiles, readBundleFiles } from "../proxy/policy-source.ts";
import { type Manifest, manifestName, noManifest, parseManifest } from "./manifest.ts";

export type BundleFolder = {
  readonly root: string;
  readonly files: BundleFiles;
  readonly manifest: Manifest;
  /** Folders inside of it that are bundles of their own: their tests are theirs. Relative, with `/` at the end. */
  readonly inner: readonly string[];
};

/** A part of a bundle that was asked about: paths as prefixes, relative to the bundle's folder; [] for all of it. */
export type Selection = { readonly bundle: BundleFolder; readonly within: readonly string[] };

/** `policies` if it is there, else the folder one is in. */
export const defaultPath = (): string => (existsSync("policies") ? "policies" : ".");

/**
 * The bundle of a path is the nearest folder above it with a manifest; without one, the folder itself (of a file: its
 * folder). @throws GatewayError `config-unreadable`, `config-invalid`
 */
export async function selectBundles(paths: readonly string[]): Promise<readonly Selection[]> {
  const wanted = new Map<string, string[]>();
  for (const path of paths.length === 0 ? [defaultPath()] : paths) {
    const full = resolve(path);
    if (!existsSync(full)) {
      throw new GatewayError(
        "config-unreadable",
        `there is no \`${path}\``,
        "name a folder of policies, or a file in it",
      );
    }
    const folder = statSync(full).isDirectory() ? full : dirname(full);
    const root = manifestFolder(folder) ?? folder;
    wanted.set(root, [...(wanted.get(root) ?? []), relative(root, full).replaceAll("\\", "/")]);
  }
  return Promise.all(
    [...wanted].map(async ([root, within]) => ({
      bundle: await readBundle(root),
      within: within.includes("") ? [] : within,
    })),
  );
}

export async function readBundle(root: string): Promise<BundleFolder> {
  const files = await readBundleFiles(root);
  const text = files.get(manifestName);
  const manifest = text === undefined ? undefined : parseManifest(text, shownPath(root, manifestName));
  if (manifest && !manifest.ok) {
    throw new GatewayError("config-invalid", manifest.error, "docs/guide.md has an example of a manifest");
  }
  if (![...files.keys()].some((path) => path.endsWith(".policy"))) {
    throw new GatewayError(
      "config-unreadable",
      `there is no policy in \`${shownPath(root, "")}\``,
      "`gw policy init FOLDER` writes a bundle to start from",
    );
  }
  return { root, files, manifest: manifest?.value ?? noManifest, inner: innerBundles(root, files) };
}

/** `connections`: what the obligations are held against (E0601); undefined: nothing. */
export const compile = (
  folder: BundleFolder,
  packages = folder.manifest.packages,
  connections?: readonly ConnectionCapabilities[],
): Bundle =>
  compileBundle(folder.files, {
    revision: folder.manifest.revision,
    timeZone: folder.manifest.timeZone ?? "UTC",
    packages,
    connections,
  });

/** A path of a bundle as the reader's shell understands it. */
export const shownPath = (root: string, path: string): string => relative(".", join(root, path)) || ".";

/** The same diagnostics with paths for the reader, and the texts under these paths. */
export function forReader(
  folder: BundleFolder,
  diagnostics: readonly Diagnostic[],
): { readonly diagnostics: readonly Diagnostic[]; readonly texts: readonly (readonly [string, string])[] } {
  const shown = (path: string) => shownPath(folder.root, path);
  return {
    diagnostics: diagnostics.map((d) => ({
      ...d,
      path: shown(d.path),
      related: d.related.map((r) => ({ ...r, path: shown(r.path) })),
    })),
    texts: [...folder.files].map(([path, text]) => [shown(path), text]),
  };
}

export const isWithin = (within: readonly string[], path: string): boolean =>
  within.length === 0 || within.some((w) => path === w || path.startsWith(`${w}/`));

function manifestFolder(from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, manifestName))) return folder;
    if (dirname(folder) === folder) return undefined;
  }
}

function innerBundles(root: string, files: BundleFiles): readonly string[] {
  const folders = new Set([...files.keys()].map((path) => dirname(path)).filter((folder) => folder !== "."));
  return [...folders].filter((folder) => existsSync(join(root, folder, manifestName))).map((folder) => `${folder}/`);
}
