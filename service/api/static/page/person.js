// One user: how the pair stands, what may be ordered, and what happened, newest first.
import { ask, user as path } from "./api.js";
import { byId, h } from "./dom.js";
import { orderButtons } from "./orders.js";
import { away, full } from "./words.js";

const AT_ONCE = 30;
const BAD = /died|denied|unavailable|unknown|refused|reuse|deleted|revoked/;
const GOOD = /rotated|created|enrolled|recovered|trusted|resumed|exchanged|read|refreshed/;

/** Look a user up by what a person typed: an id here, an e-mail address, or an id at Cal.com. */
export async function find(text, client) {
  const typed = text.trim();
  const asked = typed.includes("@")
    ? [{ email: typed }]
    : /^[1-9]\d{0,9}$/.test(typed)
      ? [{ calUserId: typed }]
      : [];
  try {
    return (await ask(path(typed), { query: { client } })).id;
  } catch (refused) {
    if (refused.status !== 404) throw refused;
  }
  for (const query of asked) {
    const { users } = await ask("/v1/users", { query: { client, limit: 1, ...query } }).catch(() => ({
      users: [],
    }));
    if (users.length) return users[0].id;
  }
  return null;
}

/** Show a user in the dialog. */
export async function openPerson(id, client, changed) {
  const dialog = byId("person");
  const said = h("p", { class: "said", role: "status" });
  const close = h("button", { type: "button", class: "plain", onclick: () => dialog.close() }, "Close");
  const facts = h("div", {}),
    events = h("ol", { class: "events" }),
    more = h("p", { class: "more" });
  dialog.replaceChildren(
    h("div", { class: "headed" }, h("h2", { id: "person-title" }, id), close),
    facts,
    said,
    h("h3", {}, "History"),
    events,
    more,
  );
  const hear = (tone, words) => {
    said.dataset.tone = tone;
    said.textContent = words;
    void load();
    changed();
  };
  async function load() {
    try {
      const user = await ask(path(id), { query: { client } });
      facts.replaceChildren(
        ...pairFacts(user),
        h("div", { class: "does" }, ...orderButtons(id, ordersFor(user), hear)),
      );
      events.replaceChildren();
      await page(id, client, events, more);
    } catch (refused) {
      said.dataset.tone = "bad";
      said.textContent = refused.message;
    }
  }
  dialog.onclose = () => standAgain(id);
  if (!dialog.open) dialog.showModal();
  await load();
}

/** Once the dialog is closed, stand where it was opened from, if what stood there was made anew meanwhile. */
function standAgain(id) {
  if (document.activeElement !== document.body) return;
  const item = [...document.querySelectorAll("#attention .person")].find(({ dataset }) => dataset.id === id);
  (item?.querySelector("[data-order=person]") ?? byId("who")).focus();
}

const ordersFor = ({ state, reason }) =>
  state === "PAUSED"
    ? ["resume"]
    : state === "DEAD"
      ? reason === "user_gone"
        ? []
        : ["recover"]
      : ["refresh", "force", "revoke", "pause"];

const instant = (at) => at && h("time", { datetime: at, title: full(at) }, away(at));

function pairFacts({ client, calUserId, email, name, state, reason, pair }) {
  const rows = [
    ["State", `${state ?? "being created"}${reason ? `, ${reason}` : ""}`],
    ["Name", name],
    ["E-mail", email],
    ["Cal.com id", calUserId],
    ["Client", client],
    ["Token ends", pair && instant(pair.expiresAt)],
    ["Refresh due", pair && instant(pair.refreshAt)],
    ["Last used", pair && instant(pair.lastUsedAt)],
    ["Generation", pair?.generation],
    [
      "Last error",
      pair?.lastError && h("span", {}, h("code", {}, pair.lastError), " ", instant(pair.lastErrorAt)),
    ],
    [
      "Marks",
      pair && [pair.refused && "refused", pair.distrusted && "distrusted"].filter(Boolean).join(", "),
    ],
  ];
  return [
    h(
      "dl",
      { class: "facts wide" },
      ...rows
        .filter(([, value]) => value != null && value !== "")
        .map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value))),
    ),
  ];
}

async function page(id, client, list, more, cursor) {
  const found = await ask(`${path(id)}/events`, { query: { client, limit: AT_ONCE, cursor } });
  list.append(...found.events.map(eventItem));
  if (!list.children.length) list.append(h("li", { class: "nobody" }, "Nothing is kept of this user."));
  more.replaceChildren(
    ...(found.cursor
      ? [
          h(
            "button",
            { type: "button", class: "plain", onclick: () => page(id, client, list, more, found.cursor) },
            "Older",
          ),
        ]
      : []),
  );
}

function eventItem(event) {
  const tone =
    BAD.test(event.event) || (event.outcome && event.outcome !== "ok")
      ? "bad"
      : GOOD.test(event.event)
        ? "good"
        : "plain";
  const details = [
    event.outcome,
    event.reason,
    event.trigger,
    event.actor && `by ${event.actor}`,
    event.address && `from ${event.address}`,
    event.count > 1 && `${event.count} times`,
  ];
  return h(
    "li",
    { "data-tone": tone },
    h("time", { datetime: event.at, title: full(event.at) }, away(event.at)),
    h("span", {}, h("b", {}, event.event), " ", h("small", {}, details.filter(Boolean).join(", "))),
  );
}
