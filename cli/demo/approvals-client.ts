// The approver of the demo, as a program: the admin interface over HTTP, like `gw approvals`.

export type WaitingRequest = { readonly id: string; readonly statement: string };
export type ApprovalsClient = {
  /** The oldest request that waits; asks every 50 ms. @throws when none comes within `timeoutMs` */
  readonly next: (timeoutMs: number) => Promise<WaitingRequest>;
  readonly approve: (id: string, reason: string) => Promise<void>;
};

export function approvalsClient(adminUrl: string, token: string): ApprovalsClient {
  const call = async (path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${adminUrl}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(`the admin interface answered ${response.status}: ${messageIn(answer)}`);
    return answer;
  };
  return {
    next: async (timeoutMs) => {
      const deadline = performance.now() + timeoutMs;
      while (performance.now() < deadline) {
        const [first] = waitingIn(await call("/v1/approvals?state=pending"));
        if (first) return first;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`no request for approval came within ${timeoutMs} ms`);
    },
    approve: async (id, reason) => {
      await call(`/v1/approvals/${encodeURIComponent(id)}/approve`, { reason });
    },
  };
}

function waitingIn(answer: unknown): readonly WaitingRequest[] {
  if (typeof answer !== "object" || answer === null || !("approvals" in answer)) return [];
  const list: unknown = answer.approvals;
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown) =>
    typeof item === "object" &&
    item !== null &&
    "id" in item &&
    typeof item.id === "string" &&
    "statement" in item &&
    typeof item.statement === "string"
      ? [{ id: item.id, statement: item.statement }]
      : [],
  );
}

const messageIn = (answer: unknown): string =>
  typeof answer === "object" && answer !== null && "message" in answer ? String(answer.message) : "no message";
