// OpenAPI document (JSON or YAML) -> operations with their schemas (the door to @apidevtools/swagger-parser)
import SwaggerParser from "@apidevtools/swagger-parser";
import { parse } from "yaml";
import { type ApiDescription, describeApi } from "../../engine/http/api-description.ts";
import type { Json } from "../../engine/lib/json.ts";
import { documentTags, schemaTagsKey } from "../../engine/lib/schema-tags.ts";
import { causeCode, GatewayError } from "../errors.ts";

/** References stay inside of the document: none is fetched or opened. @throws GatewayError `config-invalid` */
export async function readOpenApi(text: string, path: string): Promise<ApiDescription> {
  try {
    const document: unknown = parse(text, { maxAliasCount: 100 });
    const options = { resolve: { external: false }, dereference: { circular: "ignore" as const } };
    await SwaggerParser.validate(structuredClone(document) as never, options);
    // SAFETY: what `yaml` read and the validator took is JSON.
    const written = document as Json;
    if (!documentTags(written).isWellFormed) throw new Error(`\`${schemaTagsKey}\` must be a list of names`);
    return describeApi(written);
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : causeCode(error);
    throw new GatewayError(
      "config-invalid",
      `\`${path}\` is no OpenAPI document: ${why}`,
      "it must be OpenAPI 3 in one file",
    );
  }
}
