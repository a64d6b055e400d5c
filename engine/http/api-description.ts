// an OpenAPI document -> which operation a request is, and what its answers look like

import { referred, type SchemaPlace, schemaPlace, standalone } from "../content/schema-place.ts";
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject, textField } from "../lib/read-json.ts";
import { type CheckValue, compileSchema } from "../mcp/json-schema.ts";

export type AnswerSchema = {
  /** Standing by itself: what masks put in place must fit it. */
  readonly schema: JsonObject;
  /** Undefined where the schema can't be used (it leads out of the document, or is of a dialect that nobody knows). */
  readonly check: CheckValue | undefined;
  /** The same where it stands in the document: for masks of tags. */
  readonly described: SchemaPlace;
};

export type ApiOperation = {
  readonly id: string | undefined;
  readonly method: string;
  /** A text that must be there, or undefined for a placeholder. */
  readonly segments: readonly (string | undefined)[];
  /** Of JSON answers by status (`200`, `4XX`, `default`) and media type (`application/json`, `application/*`, or any). */
  readonly answers: ReadonlyMap<string, ReadonlyMap<string, AnswerSchema>>;
};

export type ApiDescription = { readonly operations: readonly ApiOperation[] };

const methods = ["get", "head", "post", "put", "patch", "delete", "options"];

export function describeApi(document: Json): ApiDescription {
  const paths = entriesOf(document, isObject(document) ? field(document, "paths") : undefined);
  const operations = paths.flatMap(([path, item]) =>
    methods.flatMap((method) => operationOf(document, path, method, referred(document, field(item, method)))),
  );
  // More texts first: `/users/me` before `/users/{id}`.
  return { operations: operations.sort((a, b) => textsOf(b) - textsOf(a)) };
}

const textsOf = ({ segments }: ApiOperation): number => segments.filter((segment) => segment !== undefined).length;

/** Objects in an object of the document, references followed. */
function entriesOf(document: Json, value: Json | undefined): readonly (readonly [string, JsonObject])[] {
  return Object.entries(referred(document, value) ?? {}).flatMap(([name, item]): readonly [string, JsonObject][] => {
    const object = referred(document, item);
    return object === undefined ? [] : [[name, object]];
  });
}

function operationOf(
  document: Json,
  path: string,
  method: string,
  operation: JsonObject | undefined,
): readonly ApiOperation[] {
  if (operation === undefined) return [];
  const answers = entriesOf(document, field(operation, "responses")).map(
    ([status, response]): readonly [string, ReadonlyMap<string, AnswerSchema>] => [
      status.toUpperCase(),
      new Map(
        entriesOf(document, field(response, "content")).flatMap(([name, media]) => schemaOf(document, name, media)),
      ),
    ],
  );
  const segments = path
    .split("/")
    .filter((s) => s !== "")
    .map((s) => (/^\{[^}]+\}$/.test(s) ? undefined : s));
  return [
    { id: textField(operation, "operationId"), method: method.toUpperCase(), segments, answers: new Map(answers) },
  ];
}

function schemaOf(document: Json, name: string, media: JsonObject): readonly (readonly [string, AnswerSchema])[] {
  const written = field(media, "schema");
  if (written === undefined || !isObject(written)) return [];
  const schema = standalone(document, written);
  const compiled = compileSchema(schema);
  const check = compiled.ok ? compiled.value : undefined;
  return [[mediaName(name), { schema, check, described: schemaPlace(document, written) }]];
}

/** Without parameters, in lower case. */
const mediaName = (type: string): string => (type.split(";", 1)[0] ?? "").trim().toLowerCase();

/** Undefined: the document has no such route. HEAD is what GET says, without content. */
export const findOperation = (api: ApiDescription, method: string, path: string): ApiOperation | undefined =>
  operationsOf(api, method, path)[0];

/** All that fit equally well: of more than one nobody can tell which the server takes. */
export function operationsOf({ operations }: ApiDescription, method: string, path: string): readonly ApiOperation[] {
  const pieces = path.split("/").filter((piece) => piece !== "");
  const ofMethod = (wanted: string): readonly ApiOperation[] => {
    const all = operations.filter(
      (operation) =>
        operation.method === wanted &&
        operation.segments.length === pieces.length &&
        operation.segments.every((segment, i) => segment === undefined || segment === pieces[i]),
    );
    const [best] = all;
    return best === undefined ? [] : all.filter((operation) => textsOf(operation) === textsOf(best));
  };
  const found = ofMethod(method);
  return found.length > 0 || method !== "HEAD" ? found : ofMethod("GET");
}

/** `contentType` as the answer says it. */
export function answerSchema(
  { answers }: ApiOperation,
  status: number,
  contentType: string | undefined,
): AnswerSchema | undefined {
  const ofStatus =
    answers.get(String(status)) ?? answers.get(`${Math.floor(status / 100)}XX`) ?? answers.get("DEFAULT");
  if (ofStatus === undefined || contentType === undefined) return undefined;
  const name = mediaName(contentType);
  return ofStatus.get(name) ?? ofStatus.get(`${name.split("/", 1)[0]}/*`) ?? ofStatus.get("*/*");
}
