// The page's life: who looks, for which client, and asking again every few seconds while somebody does.
import { ask, forgetKey, hasKey, keepKey } from "./api.js";
import { attend, showAttention, showFilters } from "./attention.js";
import { byId, h, say, show } from "./dom.js";
import { actAs } from "./orders.js";
import { find, openPerson } from "./person.js";
import { historyPicture } from "./pictures.js";
import { showReach } from "./reach.js";
import { showStanding } from "./standing.js";
import { clock } from "./words.js";

const EVERY_MS = 5_000,
  HISTORY_EVERY_MS = 30_000,
  AT_MOST_MS = 60_000;
const SPANS = { hour: 3600, day: 86400, week: 7 * 86400 };

let client,
  live = true,
  timer,
  failures = 0,
  historyAt = 0,
  asking = false,
  again = false,
  span = "hour";

function lock(words = "") {
  forgetKey();
  byId("key").value = "";
  askForKey(words);
}

function askForKey(words) {
  clearTimeout(timer);
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  byId("board").hidden = byId("tools").hidden = true;
  byId("enter").hidden = false;
  say(byId("refused"), words);
  byId("key").focus();
}

async function enter() {
  clearTimeout(timer);
  try {
    const caller = await ask("/v1/caller");
    if (!caller.scopes.includes("users:read"))
      return lock(`The key of ${caller.name} lacks the scope users:read.`);
    const box = byId("client");
    box.replaceChildren(...caller.clients.map((name) => h("option", { value: name }, name)));
    byId("client-pick").hidden = caller.clients.length < 2;
    byId("enter").hidden = true;
    byId("key").value = "";
    byId("board").hidden = byId("tools").hidden = false;
    box.onchange = () => choose(box.value, caller.scopes);
    choose(caller.clients[0], caller.scopes);
  } catch (refused) {
    if (refused.status === 401) return lock("No caller has this key.");
    if (refused.status === 403) return lock(refused.message);
    // The broker starts again, say: that costs nobody the key, and the page comes by itself.
    askForKey(`${refused.message} Asking again.`);
    timer = setTimeout(enter, EVERY_MS);
  }
}

function choose(name, scopes) {
  client = name;
  actAs(name, scopes);
  say(byId("found"), "");
  attend(name, (id) => openPerson(id, client, () => void look()));
  historyAt = 0;
  void look();
}

/** Ask for everything once, then again after a while. */
async function look() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  again = false;
  clearTimeout(timer);
  try {
    await Promise.all([lookAtOverview(), showAttention(look), lookBack()]);
    failures = 0;
    say(byId("trouble"), "");
  } catch (refused) {
    if (refused.status === 401) return lock("The key does not count any more.");
    failures += 1;
    say(
      byId("trouble"),
      `${refused.message} What you see is from ${clock(Date.now())} at the latest; asking again.`,
    );
  } finally {
    asking = false;
  }
  if (again) void look();
  else schedule();
}

function schedule() {
  clearTimeout(timer);
  if (live && hasKey() && !document.hidden)
    timer = setTimeout(look, Math.min(EVERY_MS * 2 ** failures, AT_MOST_MS));
}

async function lookAtOverview() {
  const asked = client,
    overview = await ask("/v1/overview", { query: { client } });
  if (asked !== client) return;
  showStanding(overview);
  showReach(overview);
  showFilters(overview.standing, look);
}

async function lookBack() {
  if (Date.now() - historyAt < HISTORY_EVERY_MS) return;
  historyAt = Date.now();
  const asked = client,
    back = span,
    history = await ask("/v1/history", { query: { client, span } });
  if (asked !== client || back !== span) return;
  show(byId("history"), ...historyPicture(history, SPANS[span], Date.now()));
}

function showLive() {
  byId("live").setAttribute("aria-pressed", String(live));
  say(byId("live"), live ? "Live" : "Paused");
}

byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey(byId("key").value.trim());
  void enter();
});
byId("leave").addEventListener("click", () => {
  forgetKey();
  location.reload(); // so that nothing of what was shown stays behind
});
byId("live").addEventListener("click", () => {
  live = !live;
  showLive();
  if (live) void look();
  else clearTimeout(timer);
});
byId("find").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!byId("who").value.trim()) return;
  try {
    const id = await find(byId("who").value, client);
    say(byId("found"), id == null ? "Nobody is known here by that." : "");
    if (id != null) await openPerson(id, client, () => void look());
  } catch (refused) {
    say(byId("found"), refused.message);
  }
});
for (const radio of document.querySelectorAll("[name=span]")) {
  radio.addEventListener("change", () => {
    span = radio.value;
    historyAt = 0;
    void lookBack().catch((refused) => say(byId("trouble"), refused.message));
  });
}
document.addEventListener("visibilitychange", () =>
  document.hidden ? clearTimeout(timer) : live && hasKey() && void look(),
);

showLive();
if (hasKey()) void enter();
else lock();
