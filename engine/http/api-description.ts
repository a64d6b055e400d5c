// an OpenAPI document, resolved -> which operation a request is, and what its answers look like
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject, textField } from "../lib/read-json.ts";
import { type CheckValue, compileSchema } from "../mcp/json-schema.ts";

/** `check`: undefined where the schema can't be used by itself (it refers to itself, or to a dialect that nobody knows). */
export type AnswerSchema = { readonly schema: JsonObject; readonly check: CheckValue | undefined };

export type ApiOperation = {
  readonly id: string | undefined;
  readonly method: string;
  /** A text that must be there, or undefined for a placeholder. */
  readonly segments: readonly (string | undefined)[];
  /** Of JSON answers by status (`200`, `4XX`, `default`). */
  readonly answers: ReadonlyMap<string, AnswerSchema>;
};

export type ApiDescription = { readonly operations: readonly ApiOperation[] };

const methods = ["get", "head", "post", "put", "patch", "delete", "options"];

/** `document`: its references are resolved already. */
export function describeApi(document: Json): ApiDescription {
  const paths = isObject(document) ? field(document, "paths") : undefined;
  const operations = Object.entries(paths !== undefined && isObject(paths) ? paths : {}).flatMap(([path, item]) =>
    isObject(item) ? methods.flatMap((method) => operationOf(path, method, field(item, method))) : [],
  );
  // More texts first: `/users/me` before `/users/{id}`.
  const texts = ({ segments }: ApiOperation): number => segments.filter((segment) => segment !== undefined).length;
  return { operations: operations.sort((a, b) => texts(b) - texts(a)) };
}

function operationOf(path: string, method: string, operation: Json | undefined): readonly ApiOperation[] {
  if (operation === undefined || !isObject(operation)) return [];
  const responses = field(operation, "responses");
  const answers = Object.entries(responses !== undefined && isObject(responses) ? responses : {}).flatMap(
    ([status, response]): readonly (readonly [string, AnswerSchema])[] => {
      const content = isObject(response) ? field(response, "content") : undefined;
      const media = content !== undefined && isObject(content) ? field(content, "application/json") : undefined;
      const schema = media !== undefined && isObject(media) ? field(media, "schema") : undefined;
      if (schema === undefined || !isObject(schema)) return [];
      const compiled = compileSchema(schema);
      return [[status.toUpperCase(), { schema, check: compiled.ok ? compiled.value : undefined }]];
    },
  );
  const segments = path
    .split("/")
    .filter((s) => s !== "")
    .map((s) => (/^\{[^}]+\}$/.test(s) ? undefined : s));
  return [
    { id: textField(operation, "operationId"), method: method.toUpperCase(), segments, answers: new Map(answers) },
  ];
}

/** Undefined: the document has no such route. HEAD is what GET says, without content. */
export function findOperation({ operations }: ApiDescription, method: string, path: string): ApiOperation | undefined {
  const pieces = path.split("/").filter((piece) => piece !== "");
  const isOf = (operation: ApiOperation, wanted: string): boolean =>
    operation.method === wanted &&
    operation.segments.length === pieces.length &&
    operation.segments.every((segment, i) => segment === undefined || segment === pieces[i]);
  return (
    operations.find((operation) => isOf(operation, method)) ??
    (method === "HEAD" ? operations.find((operation) => isOf(operation, "GET")) : undefined)
  );
}

export const answerSchema = ({ answers }: ApiOperation, status: number): AnswerSchema | undefined =>
  answers.get(String(status)) ?? answers.get(`${Math.floor(status / 100)}XX`) ?? answers.get("DEFAULT");
