// pgjdbc through the gateway. One line per case: `ok NAME` or `not ok NAME: why`.
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import org.postgresql.PGConnection;

public class Suite {
  interface Case { void run(Connection c) throws Exception; }

  static Connection open(String sslmode) throws SQLException {
    Properties p = new Properties();
    p.setProperty("user", System.getenv("PGUSER"));
    p.setProperty("password", System.getenv("PGPASSWORD"));
    p.setProperty("sslmode", sslmode);
    return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), p);
  }

  static void must(boolean ok, String what) { if (!ok) throw new IllegalStateException(what); }

  static int one(Statement s, String sql) throws SQLException {
    try (ResultSet r = s.executeQuery(sql)) { r.next(); return r.getInt(1); }
  }

  public static void main(String[] args) throws Exception {
    Map<String, Case> cases = new LinkedHashMap<>();
    cases.put("tls_modes", c -> {
      for (String mode : new String[] {"disable", "prefer", "require"}) try (Connection o = open(mode); Statement s = o.createStatement()) { must(one(s, "select 1") == 1, mode); }
    });
    cases.put("prepared", c -> {
      try (var p = c.prepareStatement("select ?::int + 1, now(), ?::text")) {
        for (int i = 0; i < 12; i++) {
          p.setInt(1, i); p.setString(2, "x");
          try (ResultSet r = p.executeQuery()) { r.next(); must(r.getInt(1) == i + 1, "sum"); }
        }
      }
    });
    cases.put("batch", c -> {
      c.setAutoCommit(false);
      try (Statement s = c.createStatement()) { s.execute("create temp table b (a int)"); }
      try (var p = c.prepareStatement("insert into b values (?)")) {
        for (int i = 0; i < 500; i++) { p.setInt(1, i); p.addBatch(); }
        must(p.executeBatch().length == 500, "batch");
      }
      try (Statement s = c.createStatement()) { must(one(s, "select count(*) from b") == 500, "rows"); s.setFetchSize(50); int n = 0; try (ResultSet r = s.executeQuery("select a from b")) { while (r.next()) n++; } must(n == 500, "cursor"); }
      c.commit();
    });
    cases.put("errors", c -> {
      c.setAutoCommit(false);
      try (Statement s = c.createStatement()) {
        try { s.execute("select 1/0"); must(false, "no error"); } catch (SQLException e) { must("22012".equals(e.getSQLState()), e.getSQLState()); }
        c.rollback();
        must(one(s, "select 1") == 1, "after");
      }
    });
    cases.put("copy", c -> {
      var copy = c.unwrap(PGConnection.class).getCopyAPI();
      try (Statement s = c.createStatement()) { s.execute("create temp table c (a int, b text)"); }
      must(copy.copyIn("copy c from stdin", new StringReader("1\tone\n2\ttwo\n")) == 2, "in");
      StringWriter out = new StringWriter();
      copy.copyOut("copy c to stdout", out);
      must(out.toString().equals("1\tone\n2\ttwo\n"), "out");
    });
    cases.put("cancel", c -> {
      try (Statement s = c.createStatement()) {
        s.setQueryTimeout(1);
        try { s.execute("select count(*) from generate_series(1, 1000000000) as g"); must(false, "not cancelled"); } catch (SQLException e) { must("57014".equals(e.getSQLState()), e.getSQLState()); }
        must(one(s, "select 1") == 1, "after");
      }
    });
    cases.put("listen", c -> {
      try (Statement s = c.createStatement(); Connection o = open("require"); Statement t = o.createStatement()) {
        s.execute("listen channel"); t.execute("notify channel, 'hello'");
        var heard = c.unwrap(PGConnection.class).getNotifications(5000);
        must(heard != null && heard.length == 1 && heard[0].getParameter().equals("hello"), "heard");
      }
    });
    cases.put("large", c -> {
      String value = "x".repeat(20_000_000);
      try (var p = c.prepareStatement("select ?::text")) { p.setString(1, value); try (ResultSet r = p.executeQuery()) { r.next(); must(value.equals(r.getString(1)), "value"); } }
    });
    cases.put("metadata", c -> {
      try (ResultSet r = c.getMetaData().getTables(null, "public", "typed", null)) { must(r.next(), "table"); }
      try (ResultSet r = c.getMetaData().getColumns(null, "public", "typed", null)) { must(r.next(), "column"); }
    });
    boolean failed = false;
    for (var e : cases.entrySet()) {
      try (Connection c = open("require")) { e.getValue().run(c); System.out.println("ok pgjdbc_" + e.getKey()); }
      catch (Throwable why) { failed = true; System.out.println("not ok pgjdbc_" + e.getKey() + ": " + String.valueOf(why).replace('\n', '|')); }
    }
    System.exit(failed ? 1 : 0);
  }
}
