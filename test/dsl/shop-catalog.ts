/** A small catalog snapshot for tests of the language: `public.orders`, `public.customers`. */
const column = (name: string, type: string, rest: object = {}) => ({ name, type, ...rest });
export const shopCatalog: string = JSON.stringify({
  gatewright: "catalog/1",
  database: "shop",
  schemas: {
    public: {
      relations: {
        orders: {
          columns: [
            column("id", "integer"),
            column("owner", "text"),
            column("tenant", "text"),
            column("deleted_at", "timestamp without time zone"),
          ],
        },
        customers: {
          columns: [
            column("id", "integer"),
            column("email", "text"),
            column("active", "boolean"),
            column("meta", "jsonb"),
          ],
        },
      },
    },
  },
});
