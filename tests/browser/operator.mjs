// Looks at the operator page as a person does, and says what was seen as one JSON object on stdout.
//   node operator.mjs <path of Chromium> <URL of the page> <API key> [<folder for pictures>]
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [executablePath, url, key, folder] = process.argv.slice(2);
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const DESKTOP = { width: 1280, height: 900 },
  PHONE = { width: 390, height: 844 };
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const browser = await chromium.launch({ executablePath, args });
const seen = { errors: [], hosts: new Set(), faults: {}, wide: {} };

async function open(options = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("request", (request) => seen.hosts.add(new URL(request.url()).host));
  return page;
}

/** Open the page of somebody who gave the key before. */
async function board(options) {
  const page = await open(options);
  await page.addInitScript((given) => sessionStorage.setItem("token-broker-key", given), key);
  await page.goto(url);
  await ready(page);
  return page;
}

const ready = (page) =>
  page.waitForFunction(
    () =>
      document.querySelector("#verdict").textContent &&
      document.querySelector("#stand svg") &&
      document.querySelector("#history svg") &&
      document.querySelector("#attention .person"),
  );

/** What axe finds wrong; it is put in past the page's own policy, which would not let it in. */
async function faultsOf(page, name) {
  await page.evaluate((await import("node:fs")).readFileSync(axe, "utf8"));
  const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), TAGS);
  seen.faults[name] = violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .map(({ target }) => target)
        .slice(0, 3)
        .join("; ")}`,
  );
}

async function keep(page, name, options = {}) {
  seen.wide[name] = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, ...options });
}

/** Press Tab until this has the focus; a keyboard alone must get there. */
async function tabTo(page, selector) {
  for (let pressed = 0; pressed < 80; pressed += 1) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`no way to ${selector} by the keyboard`);
}

async function giveTheKey() {
  const page = await open();
  await page.goto(url);
  await page.locator("#key:focus").waitFor();
  await faultsOf(page, "form");
  await keep(page, "form");
  await page.keyboard.type("nobody's");
  await page.keyboard.press("Enter");
  await page.locator("#refused:not(:empty)").waitFor();
  seen.refused = await page.textContent("#refused");
  seen.errors.splice(0); // Chromium notes the 401 that was asked for
  await page.keyboard.type(key);
  await page.keyboard.press("Enter");
  await ready(page);
  seen.kept = await page.evaluate(() => [Object.keys(localStorage), document.cookie, location.href]);
  await page.click("#leave");
  await page.locator("#key:focus").waitFor();
  seen.left = await page.evaluate(() => [Object.keys(sessionStorage), document.querySelectorAll("#stand svg").length]);
  await page.context().close();
}

/** The page is loaded while the broker starts again: the key is still there, and the page asks by itself. */
async function comeBack() {
  const page = await open();
  await page.addInitScript((given) => sessionStorage.setItem("token-broker-key", given), key);
  await page.route("**/v1/caller", (route) => route.abort());
  await page.goto(url);
  await page.locator("#refused:not(:empty)").waitFor();
  seen.away = await page.textContent("#refused");
  await page.unroute("**/v1/caller");
  seen.errors.splice(0); // Chromium notes the call that failed
  await ready(page);
  seen.back = true;
  await page.context().close();
}

/** How long it takes from the address typed to the first paint, and to the figures and pictures being there. */
async function measure() {
  const page = await open();
  await page.addInitScript((given) => {
    sessionStorage.setItem("token-broker-key", given);
    new MutationObserver((_, observer) => {
      if (!document.querySelector("#stand svg") || !document.querySelector("#attention .person")) return;
      observer.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(() => (window.figuresAt = performance.now())));
    }).observe(document, { childList: true, subtree: true });
  }, key);
  const times = { paint: [], figures: [] };
  for (let time = 0; time < 5; time += 1) {
    await page.goto(url);
    await page.waitForFunction(() => window.figuresAt);
    times.paint.push(
      await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime),
    );
    times.figures.push(await page.evaluate(() => window.figuresAt));
  }
  seen.paintMs = Math.max(...times.paint);
  seen.figuresMs = Math.max(...times.figures);
  seen.loaded = await page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .map(
        ({ name, startTime, duration }) =>
          `${name.split("/").slice(3).join("/")} ${Math.round(startTime)}+${Math.round(duration)}`,
      ),
  );
  await page.context().close();
}

/** Order something and look at somebody, with the keyboard alone. */
async function act() {
  const page = await board();
  await faultsOf(page, "board");
  seen.text = await page.textContent("#main");
  seen.made = await page.locator("#attention img, #attention script, #person img").count();
  await tabTo(page, "#filters [data-filter=failing]");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() =>
    [...document.querySelectorAll("#attention .chip")].every(({ textContent }) => textContent === "Failing"),
  );
  await tabTo(page, "#attention [data-order=refresh]");
  await page.keyboard.press("Enter");
  await page.locator("#outcome:not(:empty)").waitFor();
  seen.ordered = await page.textContent("#outcome");
  await page.waitForFunction(() => document.activeElement.closest("#attention"));
  await tabTo(page, "#attention [data-order=person]");
  await page.locator("#who").focus();
  await page.keyboard.type("user-7");
  await page.keyboard.press("Enter");
  await page.locator("#person .events li").first().waitFor();
  seen.person = await page.textContent("#person");
  await faultsOf(page, "person");
  await keep(page, "person");
  await tabTo(page, "#person [data-order=force]");
  await page.keyboard.press("Escape");
  seen.closed = await page.evaluate(
    () => !document.querySelector("dialog[open]") && document.activeElement.id,
  );
  await page.locator("#attention [data-order=force]").first().press("Enter");
  await page.locator("#sure[open]").waitFor();
  await faultsOf(page, "sure");
  seen.asked = await page.textContent("#sure");
  seen.unsure = await page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("Escape");
  await page.context().close();
}

async function pictures() {
  for (const [name, options] of Object.entries({
    desktop: {},
    dark: { colorScheme: "dark" },
    phone: { viewport: PHONE, isMobile: true, hasTouch: true, deviceScaleFactor: 1.5 },
  })) {
    const page = await board(options);
    if (name === "dark") await faultsOf(page, "dark");
    if (name === "phone") await faultsOf(page, "phone");
    await keep(
      page,
      name,
      name === "phone" ? {} : { fullPage: true, clip: { x: 0, y: 0, width: 1280, height: 1500 } },
    );
    if (name === "phone") {
      await page.evaluate(() => document.querySelector("#attention-title").scrollIntoView());
      await keep(page, "phone-people");
    }
    await page.context().close();
  }
}

try {
  await giveTheKey();
  await comeBack();
  await measure();
  await pictures();
  await act();
} catch (error) {
  seen.failed = String(error);
}
await browser.close();
console.log(JSON.stringify({ ...seen, hosts: [...seen.hosts] }));
