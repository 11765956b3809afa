// Plays the tabs of one Chromium for the Python tests: a JSON command a line on stdin, a JSON answer a line on
// stdout, in the order they come to an end. Ends, and Chromium with it, when stdin does.
//   node driver.mjs <path of Chromium>
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

// No sandbox: root may not use it. The rest keeps Chromium from talking to anybody but the page's servers,
// and from slowing down the tabs that are not in front.
const args = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
];

const browser = await chromium.launch({ executablePath: process.argv[2], args });
const tabs = new Map();

/** A token as the sandbox's journal names it. */
const identifier = ({ authorization }) =>
  authorization && createHash("sha256").update(authorization.replace("Bearer ", "")).digest("hex").slice(0, 16);

/** Note every request of a tab but the preflights, which Chromium keeps to itself, and every script error. */
function watch(page) {
  const calls = [], errors = [];
  const note = async (request) => {
    const status = await request.response().then((response) => response?.status() ?? 0, () => 0);
    const bearer = identifier(request.headers()) ?? null;
    calls.push({ at: Date.now() / 1000, method: request.method(), url: request.url(), status, bearer });
  };
  page.on("requestfinished", note);
  page.on("requestfailed", note);
  page.on("pageerror", (error) => errors.push(String(error)));
  return { page, calls, errors };
}

/** Wait for the page's own script to have run; else say why it has not. */
const ready = ({ page, errors }) =>
  page.waitForFunction(() => window.page, undefined, { timeout: 15_000 }).catch((error) => {
    throw new Error(`the page did not start: ${errors.join("; ") || error}`);
  });

const commands = {
  /** Open a tab; `beside` another one it shares that one's browser profile, as two tabs of one person do. */
  async open({ tab, beside, url, settings }) {
    const context = beside ? tabs.get(beside).page.context() : await browser.newContext();
    const page = await context.newPage();
    tabs.set(tab, watch(page));
    await page.addInitScript((value) => (window.settings = value), settings);
    await page.goto(url);
    await ready(tabs.get(tab));
  },
  play: ({ tab, name }) => tabs.get(tab).page.evaluate((called) => window.page[called](), name),
  text: ({ tab, selector }) => tabs.get(tab).page.textContent(selector),
  calls: ({ tab }) => tabs.get(tab).calls,
  errors: ({ tab }) => tabs.get(tab).errors,
  offline: ({ tab, on }) => tabs.get(tab).page.context().setOffline(on),
  async reload({ tab }) {
    await tabs.get(tab).page.reload();
    await ready(tabs.get(tab));
  },
  screenshot: async ({ tab, path }) => void (await tabs.get(tab).page.screenshot({ path })),
};

async function answer(line) {
  const { id, command, ...given } = JSON.parse(line);
  try {
    return { id, result: (await commands[command](given)) ?? null };
  } catch (error) {
    return { id, error: String(error) };
  }
}

console.log(JSON.stringify({ id: 0, result: browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
  void answer(line).then((found) => console.log(JSON.stringify(found)));
}
await browser.close();
