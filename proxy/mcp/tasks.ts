// Tasks that decided calls made: whose each is, and what its result must meet.
import type { Json } from "../../engine/lib/json.ts";
import { limits } from "../../engine/limits.ts";
import type { Owed } from "./state.ts";

export type McpTask = {
  /** Who may ask for it: as of a session. */
  readonly owner: string;
  /** As the server calls it. */
  readonly tool: string;
  /** Left out: too long to be kept. */
  readonly args?: Json;
  /** Of the call that made it. */
  readonly decisionId: string;
  readonly owed: Owed;
};

export type TaskBook = {
  /** False: the server gave this id to another call. */
  readonly add: (id: string, task: McpTask) => boolean;
  /** undefined for an unknown one and for somebody else's alike. */
  readonly find: (id: string, owner: string) => McpTask | undefined;
};

/** Of this process. The oldest are forgotten, of one principal first: a forgotten task is an unknown one. */
export function createTaskBook(): TaskBook {
  const tasks = new Map<string, McpTask>();
  const owned = new Map<string, Set<string>>();
  const forget = (id: string): void => {
    const owner = tasks.get(id)?.owner ?? "";
    tasks.delete(id);
    owned.get(owner)?.delete(id);
    if (owned.get(owner)?.size === 0) owned.delete(owner);
  };
  return {
    add: (id, task) => {
      const known = tasks.get(id);
      if (known !== undefined) return known.decisionId === task.decisionId;
      const own = owned.get(task.owner) ?? new Set();
      for (const [oldest] of own.entries()) {
        if (own.size < limits.mcpTasksPerOwnerMax) break;
        forget(oldest);
      }
      for (const oldest of tasks.keys()) {
        if (tasks.size < limits.mcpTasksMax) break;
        forget(oldest);
      }
      tasks.set(id, task);
      owned.set(task.owner, own.add(id));
      return true;
    },
    find: (id, owner) => {
      const task = tasks.get(id);
      return task?.owner === owner ? task : undefined;
    },
  };
}
