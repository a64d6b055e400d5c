// a path on the command line -> the policies there: a folder, or a bundle
import { openBundle } from "../proxy/bundle/policy-bundle.ts";
import { GatewayError } from "../proxy/errors.ts";
import { manifestName, noManifest, parseManifest } from "./manifest.ts";
import { type BundleFolder, readBundle } from "./read-bundle.ts";
import { readBytes } from "./read-bytes.ts";

/** @throws GatewayError for what is neither a folder nor a bundle */
export async function bundleAt(path: string): Promise<BundleFolder> {
  if (!/\.t(?:ar\.)?gz$/.test(path)) return readBundle(path);
  const opened = await openBundle(readBytes(path), undefined);
  if (!opened.ok) throw new GatewayError("policy-rejected", `\`${path}\` can't be read as a bundle: ${opened.error}`);
  const { files } = opened.value;
  const text = files.get(manifestName);
  const manifest = text === undefined ? undefined : parseManifest(text, `${path}/${manifestName}`);
  if (manifest && !manifest.ok) throw new GatewayError("config-invalid", manifest.error);
  return { root: path, files, manifest: manifest?.value ?? noManifest, inner: [] };
}
