// files of a policy folder or bundle -> PolicySet, or what is wrong with them, rendered
import { join } from "node:path";
import { compileBundle } from "../dsl/bundle.ts";
import { renderDiagnostics, Sources } from "../dsl/render-diagnostic.ts";
import { err, ok } from "../engine/lib/result.ts";
import type { ConnectionCapabilities } from "../engine/model/capabilities.ts";
import { revisionOf } from "../proxy/bundle/policy-bundle.ts";
import type { CompileBundle } from "../proxy/policy-holder.ts";
import { manifestName, noManifest, parseManifest } from "./manifest.ts";

/** `timeZone` is for folders whose manifest names none. Warnings don't stop a bundle: `gw policy check` shows them. */
export const compileBundleIn =
  (timeZone: string, connections?: readonly ConnectionCapabilities[]): CompileBundle =>
  async (files, root, archive) => {
    const text = files.get(manifestName);
    const manifest = text === undefined ? ok(noManifest) : parseManifest(text, join(root, manifestName));
    if (!manifest.ok) return manifest;
    const { packages } = manifest.value;
    const revision = (archive && revisionOf(archive)) ?? manifest.value.revision;
    const options = { revision, packages, timeZone: manifest.value.timeZone ?? timeZone, connections };
    const bundle = compileBundle(files, options);
    if (bundle.policySet !== undefined) return ok(bundle.policySet);
    const errors = bundle.diagnostics.filter((diagnostic) => diagnostic.severity === "error");
    return err(renderDiagnostics(errors, new Sources(files)));
  };
