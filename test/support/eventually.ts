/** Asks `find` until it gives something. @throws after two minutes, or `patienceMs`: machines are shared */
export async function eventually<T>(
  find: () => Promise<T | undefined> | T | undefined,
  patienceMs = 120_000,
): Promise<T> {
  for (let i = 0; i < patienceMs / 20; i += 1) {
    const found = await find();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it did not happen");
}
