// masked image of a relation -> its text, written and verified once for all statements under the same obligations.
import type { SelectStmt } from "@pgsql/types";
import type { Relation } from "../model/catalog.ts";
import type { Obligations } from "../model/decision.ts";
import { refuse } from "./fault.ts";
import { columnRef } from "./tree.ts";

/**
 * Stands in the tree of a statement for a masked image: `(SELECT "gw_image_7")`. The tree with it is printed, parsed and
 * compared; then the image's text takes its place. Both are complete queries within the parentheses of a subquery: what
 * stands around them is parsed alike.
 */
export type Image = { readonly placeholder: SelectStmt; readonly text: string };

const imagesOf = new WeakMap<Obligations, WeakMap<Relation, Map<string, Image>>>();
const marks = new WeakMap<SelectStmt, string>();
let count = 0;

/** `key`: what the image depends on besides the obligations and the relation. `render` writes the image and verifies it. */
export function imageOf(obligations: Obligations, relation: Relation, key: string, render: () => string): Image {
  const relations = imagesOf.get(obligations) ?? new WeakMap<Relation, Map<string, Image>>();
  imagesOf.set(obligations, relations);
  const images = relations.get(relation) ?? new Map<string, Image>();
  relations.set(relation, images);
  const known = images.get(key);
  if (known) return known;
  const text = render();
  count += 1;
  const placeholder: SelectStmt = {
    targetList: [{ ResTarget: { val: columnRef(`gw_image_${count}`) } }],
    limitOption: "LIMIT_OPTION_DEFAULT",
    op: "SETOP_NONE",
  };
  marks.set(placeholder, `\0${count}\0`);
  const image = { placeholder, text };
  images.set(key, image);
  return image;
}

/**
 * What the printer writes for a placeholder, and for nothing else: the parser lets no NUL into a name or a constant, so that
 * no text of a client's reads like it.
 */
export const imageMark = (query: SelectStmt): string | undefined => marks.get(query);

const pattern = /\0(\d+)\0/g;

/** With placeholders in the place of marks: what is parsed again. */
export const withPlaceholders = (printed: string): string =>
  printed.includes("\0") ? printed.replaceAll(pattern, 'SELECT "gw_image_$1"') : printed;

/** With the images in the place of marks: what is sent. `used` holds every image. @throws FaultError `rewrite-mismatch` */
export function withImages(printed: string, used: readonly Image[]): string {
  if (!printed.includes("\0")) return printed;
  const texts = new Map(used.map((image) => [imageMark(image.placeholder), image.text]));
  return printed.replaceAll(
    pattern,
    (mark) => texts.get(mark) ?? refuse("rewrite-mismatch", "a part of the statement can't be written out"),
  );
}
