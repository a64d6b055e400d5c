// What the grammar knows of the clinic: relations, their columns by kind, and which the policy protects.

export type Kind = "int" | "text" | "date" | "json" | "bool";
export type ColumnShape = { readonly name: string; readonly kind: Kind; readonly isProtected: boolean };
export type TableShape = {
  readonly schema: string;
  readonly name: string;
  readonly canOnly: boolean;
  readonly columns: readonly ColumnShape[];
};

/** `name:kind`, with `!` behind a protected one. Columns of other types are left to the corpus. */
function shape(schema: string, name: string, columns: string, canOnly = false): TableShape {
  return {
    schema,
    name,
    canOnly,
    columns: columns.split(" ").map((text) => {
      const [column = "", kind = "text"] = text.replace("!", "").split(":");
      return { name: column, kind: kindOf(kind), isProtected: text.endsWith("!") };
    }),
  };
}

const kindOf = (text: string): Kind =>
  text === "int" || text === "date" || text === "json" || text === "bool" ? text : "text";

const visits = "id:int patient_id:int ward:text cost:int! findings:text! at:date";
const people = "id:int name:text wage:int! bank:text";

export const tableShapes: readonly [TableShape, ...TableShape[]] = [
  shape(
    "clinic",
    "patients",
    "id:int chart:text name:text email:text! tax_no:text! born:date! cover:json! email_key:text!",
  ),
  shape("clinic", "visits", visits),
  shape("staff", "people", people, true),
  shape("clinic", "visits_24", visits, true),
  shape("clinic", "visits_25", visits),
  shape("staff", "temps", people, true),
  shape("clinic", "v_roster", "id:int label:text reach:text!"),
  shape("clinic", "v_deep", "label:text ward:text cost:int! reach:text!"),
  shape("clinic", "v_invoker", "id:int shoe:text!"),
  shape("clinic", "v_barrier", "id:int ward:text cost:int!"),
  shape("clinic", "m_contacts", "id:int name:text email:text!"),
  shape("clinic", "v_tree", "id:int depth:int!"),
  shape("clinic", "rooms", "id:int label:text floor:int", true),
  shape("clinic", "v_open", "id:int label:text floor:int"),
  shape(
    "clinic",
    "patients",
    "id:int chart:text name:text email:text! tax_no:text! born:date! cover:json! email_key:text!",
  ),
  shape("clinic", "visits", visits),
];

/** Targets of writes with the columns that the policy lets through. */
export const writableShapes: readonly [TableShape, ...TableShape[]] = [
  shape("clinic", "bills", "id:int visit_id:int"),
  shape("clinic", "visits", visits),
  shape("clinic", "patients", "id:int chart:text name:text email:text! tax_no:text! born:date! cover:json!"),
  shape("staff", "people", people),
];

/** Every name that the layout may quote. */
export const identifiers: ReadonlySet<string> = new Set(
  [...tableShapes, ...writableShapes]
    .flatMap((t) => [t.schema, t.name, ...t.columns.map((c) => c.name)])
    .filter((n) => n !== "at" && n !== "name"),
);
