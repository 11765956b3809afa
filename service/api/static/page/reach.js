// How upstream, the worker and the stores do.
import { byId, h, show } from "./dom.js";
import { budgetPicture } from "./pictures.js";
import { away, duration, number, plural } from "./words.js";

const QUIET_AFTER_S = 60;

const state = (tone, text) => h("span", { class: "state", "data-tone": tone }, text);
const facts = (...pairs) =>
  h(
    "dl",
    { class: "facts" },
    ...pairs.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );

export function showReach(overview, now = Date.now()) {
  show(byId("upstream"), ...upstream(overview));
  show(byId("worker"), ...worker(overview, now));
  show(byId("depends"), depends(overview));
}

function upstream({ budget, circuit }) {
  const circuitState = circuit.open ? state("bad", "Open") : state("good", "Closed");
  if (!budget)
    return [
      facts(
        ["Circuit", circuitState],
        ["Budget", "not known while Redis is down: each process uses a quarter of the rate"],
      ),
    ];
  const rest = budget.pausedSeconds > 0.5;
  return [
    h(
      "p",
      { class: "figure" },
      h("b", {}, number(Math.max(0, Math.floor(budget.ready)))),
      ` of ${number(Math.floor(budget.capacity))} calls ready`,
    ),
    budgetPicture(budget),
    facts(
      ["Rate", `${number(budget.perMinute)} calls a minute`],
      ["Circuit", circuitState],
      rest && ["Rest", state("warn", `upstream asked for ${duration(budget.pausedSeconds)}`)],
    ),
  ];
}

function worker({ sweep, standing, queuedTicks }, now) {
  const quiet = !sweep || (now - Date.parse(sweep.at)) / 1000 > QUIET_AFTER_S;
  const due = standing ? standing.users.stale + standing.users.overdue : null;
  return [
    h(
      "p",
      { class: "figure" },
      h("b", {}, due == null ? "?" : number(due)),
      due === 1 ? " pair due" : " pairs due",
    ),
    facts(
      ["Last sweep", sweep ? state(quiet ? "bad" : "good", away(sweep.at, now)) : state("warn", "none seen")],
      sweep && [
        "It took",
        `${plural(sweep.claimed, "grant")} in ${sweep.seconds < 1 ? `${Math.round(sweep.seconds * 1000)} ms` : duration(sweep.seconds)}`,
      ],
      standing && [
        "Longest overdue",
        standing.overdueSeconds > 0 ? duration(standing.overdueSeconds) : "nobody",
      ],
      standing && [
        "Claims left behind",
        standing.expiredClaims ? state("warn", number(standing.expiredClaims)) : "none",
      ],
      ["Ticks in the queue", queuedTicks == null ? "not known" : number(queuedTicks)],
    ),
  ];
}

const WHAT = {
  postgres: ["PostgreSQL", "grants, claims, history"],
  redis: ["Redis", "cache, leases, budget, queue"],
};

function depends({ dependencies, circuit }) {
  const all = [
    ...Object.entries(dependencies)
      .sort()
      .map(([name, up]) => [...(WHAT[name] ?? [name, ""]), up === "up"]),
    ["Upstream", "accepts this client", !circuit.open],
  ];
  return h(
    "ul",
    { class: "depends" },
    ...all.map(([name, what, up]) =>
      h(
        "li",
        {},
        h("span", {}, h("b", {}, name), h("small", {}, what)),
        state(up ? "good" : "bad", up ? "Up" : "Down"),
      ),
    ),
  );
}
