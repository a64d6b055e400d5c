// Debian's Chromium, driven by playwright-core. Tests that need it say loudly that they were skipped where there is none.
import { existsSync } from "node:fs";
import { after } from "node:test";
import { type Browser, chromium } from "playwright-core";

const places = [process.env.GW_CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** undefined where none is installed: `apt-get install chromium`, or name one in GW_CHROMIUM. */
export const browserPath: string | undefined = places.find((path) => path !== undefined && existsSync(path));

/** For `test(name, { skip }, …)`. */
export const skipWithoutBrowser: string | false =
  browserPath === undefined
    ? "NO BROWSER: `apt-get install chromium` or set GW_CHROMIUM; this page is NOT tested"
    : false;

/** Closed after the test file. */
export async function startBrowser(): Promise<Browser> {
  const browser = await chromium.launch({
    ...(browserPath === undefined ? {} : { executablePath: browserPath }),
    // Root, as in a container: Chromium's sandbox needs another user. What it visits is our own page.
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
  after(() => browser.close());
  return browser;
}
