// The sentence at the top, and where everybody stands.
import { byId, h, say, show } from "./dom.js";
import { horizonPicture, standBar } from "./pictures.js";
import { compact, duration, number, plural } from "./words.js";

const PARTS = [
  ["fresh", "Fresh", "in use, with life left"],
  ["stale", "Stale", "being replaced now"],
  ["overdue", "Overdue", "the worker is late"],
  ["idle", "Idle", "not asked for; replaced on demand"],
  ["paused", "Paused", "by order"],
  ["dead", "Dead", "to be linked again"],
];
const MARKS = [
  ["withoutToken", "without a live token", "bad"],
  ["refused", "refused", "bad"],
  ["forcePending", "revoke pending", "bad"],
  ["distrusted", "distrusted", "warn"],
  ["failing", "failing", "warn"],
];
const COUNTED_WITHIN_S = 180;

const NAMES = { postgres: "PostgreSQL", redis: "Redis" };

/** What an operator should know first, the worst of it: [tone, sentence, why]. */
export function verdict({ standing, circuit, dependencies }, now = Date.now()) {
  const down = Object.keys(dependencies)
    .filter((name) => dependencies[name] === "down")
    .map((name) => NAMES[name] ?? name);
  if (down.includes("PostgreSQL"))
    return [
      "bad",
      "PostgreSQL is down.",
      "Live tokens are served from the cache; nothing can be refreshed until it is back.",
    ];
  if (circuit.open)
    return [
      "bad",
      "Upstream refuses this OAuth client.",
      `${circuit.reason}. No user's grant was touched; calls go on by themselves once the client is right again.`,
    ];
  if (!standing)
    return ["warn", "No worker has counted yet.", "Start one: token-broker work. It counts once a minute."];
  const { users, marks } = standing;
  const old = (now - Date.parse(standing.countedAt)) / 1000;
  if (old > COUNTED_WITHIN_S)
    return [
      "bad",
      "No worker is counting.",
      `The figures are ${duration(old)} old. Pairs are replaced only when somebody asks: see that token-broker work runs.`,
    ];
  if (marks.withoutToken)
    return [
      "bad",
      `${plural(marks.withoutToken, "user has", "users have")} no live token.`,
      "The tries to replace it have been failing for over two minutes.",
    ];
  const needy = users.dead + marks.refused + marks.forcePending + marks.failing + marks.distrusted;
  const others = needy ? ` ${plural(needy, "user needs", "users need")} a look for other reasons.` : "";
  if (users.overdue)
    return [
      "warn",
      `${plural(users.overdue, "pair is", "pairs are")} overdue.`,
      `The longest has waited ${duration(standing.overdueSeconds)}.${others}`,
    ];
  if (down.length)
    return [
      "warn",
      `${down.join(" and ")} is down.`,
      "Tokens are served and replaced from PostgreSQL, only slower.",
    ];
  const inUse = users.fresh + users.stale;
  const fine = inUse
    ? `All ${number(inUse)} pairs in use are fresh or being replaced.`
    : "No pair is in use just now.";
  if (needy) return ["warn", `${plural(needy, "user needs", "users need")} a look.`, fine];
  return [
    "good",
    inUse ? `All ${number(inUse)} users in use are fresh.` : "All is well.",
    "Nobody needs attention.",
  ];
}

/** Show the verdict and the count. */
export function showStanding(overview) {
  const [tone, sentence, why] = verdict(overview);
  byId("verdict").closest("section").dataset.tone = tone;
  say(byId("verdict"), sentence);
  say(byId("because"), why);
  document.title = `${tone === "good" ? "" : tone === "warn" ? "! " : "!! "}${sentence} Token broker`;
  const { standing } = overview;
  if (!standing) {
    show(byId("stand"), h("p", { class: "hint" }, "Nothing is known yet."));
    show(byId("horizon"), h("p", { class: "hint" }, "Nothing is known yet."));
    return;
  }
  show(byId("stand"), ...stand(standing));
  show(byId("horizon"), ...horizonPicture(standing.users.stale + standing.users.overdue, standing.horizon));
}

function stand({ countedAt, users, marks }) {
  const total = Object.values(users).reduce((sum, count) => sum + count, 0);
  const parts = PARTS.map(([name, title]) => ({ name, title, count: users[name] }));
  const label = `Of ${number(total)} users ${parts.map(({ title, count }) => `${number(count)} ${title.toLowerCase()}`).join(", ")}.`;
  const there = MARKS.filter(([name]) => marks[name] > 0);
  return [
    standBar(parts, label),
    h(
      "dl",
      { class: "legend" },
      ...PARTS.map(([name, title, what]) =>
        h(
          "div",
          { class: users[name] ? `part part-${name}` : `part part-${name} nobody` },
          h("dt", {}, title),
          h(
            "dd",
            {},
            h(
              "b",
              { title: number(users[name]) },
              users[name] < 1e6 ? number(users[name]) : compact(users[name]),
            ),
            h("span", {}, what),
          ),
        ),
      ),
    ),
    there.length > 0 &&
      h(
        "ul",
        { class: "chips", "aria-label": "Marks" },
        ...there.map(([name, title, tone]) =>
          h("li", { class: "chip", "data-tone": tone }, `${number(marks[name])} ${title}`),
        ),
      ),
    h(
      "p",
      { class: "hint" },
      `${number(total)} users, counted at `,
      h("time", { datetime: countedAt }, new Date(countedAt).toLocaleTimeString("en-GB")),
      ".",
    ),
  ];
}
