// The demo without a terminal: six things to see, each checked.
import type { AdminClient } from "../admin-client.ts";
import { cellOf, renderTable } from "../table.ts";
import { people, type Role } from "./people.ts";
import { ask, connectSql, type SqlAnswer, type SqlClient } from "./sql-client.ts";
import { type Demo, demoConnection } from "./start-demo.ts";

/** A finding is one sentence about what should have been otherwise. */
export type Finding = string;

export type TourDeps = {
  readonly demo: Demo;
  /** The approver's. */
  readonly admin: AdminClient;
  /** The recording of one session, as `gw sessions show` prints it. */
  readonly recordingOf: (sub: string) => Promise<string>;
  readonly print: (text: string) => void;
};

/** Runs every stop even if one fails; [] when each behaved. */
export async function runTour(deps: TourDeps): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  let number = 0;
  const stop = async (title: string, visit: () => Promise<readonly Finding[]>) => {
    number += 1;
    deps.print(`\n${number}. ${title}\n`);
    const found = await visit().catch((error: unknown) => [error instanceof Error ? error.message : String(error)]);
    for (const finding of found) findings.push(`${number}. ${title}: ${finding}`);
    deps.print(found.length === 0 ? "   ✓ as it should be\n" : found.map((f) => `   ✗ ${f}\n`).join(""));
  };
  const agent = await login(deps.demo, "agent");
  const onCall = await login(deps.demo, "onCall");
  const asked = async (client: SqlClient, role: Role, sql: string): Promise<SqlAnswer> => {
    deps.print(`   ${people[role].sub}> ${sql}\n`);
    const answer = await ask(client, sql);
    deps.print(indent(renderAnswer(answer)));
    return answer;
  };
  try {
    await stop("A query that the policies allow", async () => {
      const answer = await asked(agent, "agent", "select id, name, price from products order by id limit 3");
      return expectRows(answer, (rows) => (rows.length === 3 ? [] : [`3 rows were expected, ${rows.length} came`]));
    });

    await stop("Masked columns: the agent sees that there is an address, not whose", async () => {
      const answer = await asked(agent, "agent", "select id, email, tax_id from customers order by id limit 3");
      return expectRows(answer, (rows) =>
        rows.flatMap((row) => {
          const email = String(row.email);
          return /^.[^a-z]+@(mail|post|inbox)\.example$/.test(email) && !String(row.tax_id).startsWith("DE")
            ? []
            : [`customer ${cellOf(row.id)} isn't masked`];
        }),
      );
    });

    await stop("The mask holds underneath: a question about the real value gets no answer", async () => {
      const answer = await asked(agent, "agent", "select count(*) from customers where tax_id like 'DE%'");
      return expectRows(answer, ([row]) => (String(row?.count) === "0" ? [] : ["the real tax ids answered"]));
    });

    await stop("A row filter: the agent works for the region north", async () => {
      const sql = "select region, count(*) from orders group by region order by region";
      const mine = await asked(agent, "agent", sql);
      const all = await asked(onCall, "onCall", sql);
      const regions = (rows: readonly Record<string, unknown>[]) => rows.map((row) => row.region).join(", ");
      return [
        ...expectRows(mine, (rows) => (regions(rows) === "north" ? [] : [`the agent saw ${regions(rows)}`])),
        ...expectRows(all, (rows) => (regions(rows) === "north, south" ? [] : [`oscar saw ${regions(rows)}`])),
      ];
    });

    await stop("A denial with its reason; the session goes on", async () => {
      const denied = await asked(agent, "agent", "select employee_id, net from hr.payroll");
      const unbounded = await asked(onCall, "onCall", "update orders set status = 'returned'");
      const after = await asked(agent, "agent", "select count(*) from products");
      return [
        ...expectDenied(denied, "restricted"),
        ...expectDenied(unbounded, "no WHERE clause"),
        ...expectRows(after, () => []),
      ];
    });

    await stop("A change that waits for a lead", async () => {
      const sql = "update orders set status = 'shipped' where id = 7";
      const waiting = asked(onCall, "onCall", sql);
      waiting.catch(() => undefined); // awaited below
      const request = await nextPending(deps.admin, 10_000);
      deps.print(`   … waits as ${request.id}; ${people.approver.sub} approves it\n`);
      await deps.admin.decide(request.id, "approve", "checked with the warehouse");
      const answer = await waiting;
      const after = await asked(onCall, "onCall", "select id, status from orders where id = 7");
      return [
        ...(request.statement === sql ? [] : ["the approver was shown another statement"]),
        ...expectRows(answer, () => []),
        ...expectRows(after, ([row]) => (row?.status === "shipped" ? [] : ["the order did not change"])),
      ];
    });

    await stop("The recording of the agent's session", async () => {
      await agent.end();
      const recording = await deps.recordingOf(people.agent.sub);
      deps.print(indent(recording));
      const expected = ["hr.payroll", "larch.shop.restricted", "larch.shop.agent_reads_the_shop"];
      return expected.filter((text) => !recording.includes(text)).map((text) => `\`${text}\` is not in the recording`);
    });
  } finally {
    await agent.end().catch(() => undefined);
    await onCall.end().catch(() => undefined);
  }
  return findings;
}

/** The oldest request that waits. */
async function nextPending(admin: AdminClient, timeoutMs: number): Promise<{ id: string; statement: string }> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const oldest = (await admin.list("pending")).at(-1);
    if (oldest) return oldest;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no request for approval came within ${timeoutMs} ms`);
}

const login = (demo: Demo, role: Role): Promise<SqlClient> =>
  connectSql({
    host: demo.host,
    port: demo.port,
    user: people[role].sub,
    password: demo.tokens[role].token,
    database: demoConnection,
    application: `tour/${role}`,
    tls: "unverified",
  });

function expectRows(
  answer: SqlAnswer,
  check: (rows: readonly Record<string, unknown>[]) => readonly Finding[],
): readonly Finding[] {
  return answer.ok ? check(answer.rows) : [`an answer was expected, but: ${answer.message}`];
}

function expectDenied(answer: SqlAnswer, reason: string): readonly Finding[] {
  if (answer.ok) return ["it was let through"];
  if (answer.sqlstate !== "42501") return [`42501 was expected, not ${answer.sqlstate}: ${answer.message}`];
  return answer.message.includes(reason) ? [] : [`the reason \`${reason}\` is missing: ${answer.message}`];
}

function renderAnswer(answer: SqlAnswer): string {
  if (!answer.ok) {
    const more = [
      answer.detail === undefined ? "" : `DETAIL:  ${answer.detail}`,
      answer.hint === undefined ? "" : `HINT:  ${answer.hint}`,
    ];
    return [`ERROR:  ${answer.message}`, ...more.filter((line) => line !== "")].join("\n");
  }
  if (answer.columns.length === 0) return "done";
  return renderTable(
    answer.columns,
    answer.rows.map((row) => answer.columns.map((column) => cellOf(row[column]))),
  );
}

const indent = (text: string): string => `${text.replace(/\n$/, "").replaceAll(/^(?=.)/gm, "     ")}\n`;
