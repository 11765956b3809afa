// The users that need attention: who, why, what comes of it by itself, and what helps.
import { ask } from "./api.js";
import { byId, h } from "./dom.js";
import { orderButtons, tell } from "./orders.js";
import { away, full, number } from "./words.js";

const CONCERNS = {
  force_pending: ["Revoke pending", "bad"],
  refused: ["Refused", "bad"],
  failing: ["Failing", "warn"],
  distrusted: ["Distrusted", "warn"],
  overdue: ["Overdue", "warn"],
  dead: ["Dead", "bad"],
  paused: ["Paused", "plain"],
};
const COUNTS = {
  dead: (s) => s.users.dead,
  force_pending: (s) => s.marks.forcePending,
  refused: (s) => s.marks.refused,
  distrusted: (s) => s.marks.distrusted,
  failing: (s) => s.marks.failing,
  overdue: (s) => s.users.overdue,
  paused: (s) => s.users.paused,
};
const PAGE = 20,
  MOST = 200;

let client,
  only = null,
  shown = PAGE,
  open;

/** Show this client's users; `openPerson` shows one of them. */
export function attend(name, openPerson) {
  client = name;
  open = openPerson;
  shown = PAGE;
}

/** Buttons that narrow the list down, each with its count. */
export function showFilters(standing, again) {
  const choose = (concern) => () => {
    only = concern;
    shown = PAGE;
    showFilters(standing, again);
    again();
  };
  const names = [null, ...Object.keys(CONCERNS)].filter(
    (name) => !name || name === only || !standing || COUNTS[name](standing) > 0,
  );
  const label = (name) => (name ? CONCERNS[name][0] : "All");
  const signature = JSON.stringify([
    only,
    names.map((name) => [name, name && standing && COUNTS[name](standing)]),
  ]);
  const holder = byId("filters");
  if (holder.shownAs === signature) return;
  const focused = document.activeElement?.dataset.filter;
  holder.shownAs = signature;
  holder.replaceChildren(
    ...names.map((name) =>
      h(
        "button",
        {
          type: "button",
          class: "chip",
          "data-filter": name ?? "",
          "data-tone": name && CONCERNS[name][1],
          "aria-pressed": String(name === only),
          onclick: choose(name),
        },
        label(name),
        name && standing && h("b", {}, ` ${number(COUNTS[name](standing))}`),
      ),
    ),
  );
  if (focused != null && holder.contains(document.activeElement) === false)
    holder.querySelector(`[data-filter="${focused}"]`)?.focus();
}

/** Read the list anew. */
export async function showAttention(again) {
  const asked = [client, only, shown];
  const { users, cursor } = await ask("/v1/attention", { query: { client, reason: only, limit: shown } });
  if (asked.some((one, place) => one !== [client, only, shown][place])) return;
  showGroups(users, again);
  byId("more").hidden = !cursor || shown >= MOST;
  byId("more").onclick = () => {
    shown = Math.min(shown + 40, MOST);
    void again();
  };
}

/** Show the users, those with the same advice together; who stood on one with the keyboard stands there again. */
function showGroups(users, again) {
  const list = byId("attention"),
    signature = JSON.stringify([users, only, Math.floor(Date.now() / 30_000)]);
  if (list.shownAs === signature) return;
  list.shownAs = signature;
  const { activeElement } = document,
    stood = list.contains(activeElement) && activeElement.closest(".person");
  const place = stood ? [...list.querySelectorAll(".person")].indexOf(stood) : 0;
  const groups = [];
  for (const user of users) {
    if (groups.at(-1)?.advice !== user.advice)
      groups.push({ concern: user.concern, advice: user.advice, users: [] });
    groups.at(-1).users.push(user);
  }
  list.replaceChildren(
    ...(groups.length
      ? groups.map((group) => makeGroup(group, again))
      : [h("p", { class: "nobody" }, only ? "Nobody." : "Nobody needs attention.")]),
  );
  if (!stood) return;
  const items = [...list.querySelectorAll(".person")];
  const next =
    items.find(({ dataset }) => dataset.id === stood.dataset.id) ?? items[Math.min(place, items.length - 1)];
  (
    next?.querySelector(`[data-order="${activeElement.dataset.order}"]`) ??
    next?.querySelector("button") ??
    byId("who")
  ).focus();
}

function makeGroup({ concern, advice, users }, again) {
  const [title, tone] = CONCERNS[concern];
  return h(
    "section",
    { class: "group" },
    h("div", { class: "about" }, h("h3", { class: "chip", "data-tone": tone }, title), h("p", {}, advice)),
    h("ul", { class: "people" }, ...users.map((user) => makeItem(user, again))),
  );
}

function makeItem(user, again) {
  const hear = (how, words) => {
    tell(how, `${user.id}: ${words}`);
    void again();
  };
  return h(
    "li",
    { class: "person", "data-id": user.id },
    h(
      "div",
      { class: "who" },
      whoOf(user),
      !user.hasToken && user.state === "LIVE" && h("span", { class: "none" }, "no live token"),
    ),
    h("ul", { class: "when" }, ...factsOf(user).map((fact) => h("li", {}, fact))),
    h("div", { class: "does" }, ...orderButtons(user.id, user.orders, hear)),
  );
}

const whoOf = (user) =>
  h(
    "span",
    { class: "name" },
    h(
      "button",
      {
        type: "button",
        class: "link",
        "data-order": "person",
        "aria-label": `History of ${user.id}`,
        onclick: () => open(user.id),
      },
      user.id,
    ),
    user.email && h("small", {}, user.email),
  );

const moment = (words, at) => h("time", { datetime: at, title: full(at) }, `${words} ${away(at)}`);

function factsOf(user) {
  return [
    user.lastError &&
      user.lastErrorAt &&
      h("span", {}, h("code", {}, user.lastError), " ", moment("", user.lastErrorAt)),
    user.concern === "dead" && h("span", {}, "reason ", h("code", {}, user.reason)),
    user.failures > 0 && `${number(user.failures)} failed in a row`,
    user.retryAt && Date.parse(user.retryAt) > Date.now() && moment("next try", user.retryAt),
    user.distrustedUntil && moment("in doubt until", user.distrustedUntil),
    user.concern === "overdue" && user.dueAt && moment("due since", user.dueAt),
    user.state === "LIVE" &&
      moment(Date.parse(user.expiresAt) > Date.now() ? "token ends" : "token ended", user.expiresAt),
  ].filter(Boolean);
}
