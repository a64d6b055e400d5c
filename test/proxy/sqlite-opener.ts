// A process that opens each of the files when it is told to start, beside others that do the same.
import { openSqlite } from "../../proxy/sqlite.ts";

const schema = "CREATE TABLE IF NOT EXISTS t (a INTEGER) STRICT; CREATE INDEX IF NOT EXISTS t_a ON t (a);";

process.once("message", () => {
  const failures: string[] = [];
  for (const path of process.argv.slice(2)) {
    try {
      const database = openSqlite(path, { synchronous: "FULL", schema, busyTimeoutMs: 2_000 });
      database.exec("INSERT INTO t VALUES (1)");
      database.close();
    } catch (error) {
      failures.push(String(error));
    }
  }
  process.send?.(failures, () => process.disconnect());
});
process.send?.("ready");
