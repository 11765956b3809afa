// Pictures out of figures: small SVGs, coloured by the style sheet, each with a sentence for who cannot see it.
import { h, s } from "./dom.js";
import { clock, compact, day, duration, number } from "./words.js";

const WIDE = 600;

const picture = (height, label, ...children) =>
  s(
    "svg",
    { viewBox: `0 0 ${WIDE} ${height}`, class: "picture", role: "img", "aria-label": label },
    ...children,
  );

/** The figures of a picture as a table, for who would rather read. */
const asTable = (caption, columns, rows) =>
  h(
    "details",
    { class: "figures" },
    h("summary", {}, "Figures"),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      h(
        "table",
        {},
        h("caption", { class: "quiet" }, caption),
        h("thead", {}, h("tr", {}, ...columns.map((column) => h("th", { scope: "col" }, column)))),
        h(
          "tbody",
          {},
          ...rows.map(([first, ...rest]) =>
            h("tr", {}, h("th", { scope: "row" }, first), ...rest.map((value) => h("td", {}, value))),
          ),
        ),
      ),
    ),
  );

/** One bar for everybody: its parts are as long as they are many; none that is there is too short to be seen. */
export function standBar(parts, label) {
  const there = parts.filter(({ count }) => count > 0);
  const total = there.reduce((sum, { count }) => sum + count, 0);
  const least = 4,
    gap = 2;
  const room = WIDE - gap * Math.max(0, there.length - 1);
  const widths = there.map(({ count }) => Math.max(least, (count / total) * room));
  const over = widths.reduce((sum, width) => sum + width, 0) - room;
  widths[widths.indexOf(Math.max(...widths))] -= over;
  let x = 0;
  const bars = there.map(({ name, count }, place) => {
    const bar = s(
      "rect",
      { x, y: 0, width: widths[place], height: 26, rx: 3, class: `fill-${name}` },
      s("title", {}, `${name}: ${number(count)}`),
    );
    x += widths[place] + gap;
    return bar;
  });
  if (!there.length) bars.push(s("rect", { x: 0, y: 0, width: WIDE, height: 26, rx: 3, class: "fill-none" }));
  return s(
    "svg",
    {
      viewBox: `0 0 ${WIDE} 26`,
      class: "picture bar",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": label,
    },
    ...bars,
  );
}

/** Round up to a number that is easy to read on an axis. */
function roof(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10]
    .map((step) => step * power)
    .find((step) => step >= Math.max(value, 1));
}

function columns(values, { top, height, kind, titles, max }) {
  const step = WIDE / values.length;
  return values.map(
    (value, place) =>
      value > 0 &&
      s(
        "rect",
        {
          x: place * step + 0.75,
          width: Math.max(step - 1.5, 1),
          rx: 1.5,
          class: kind(place),
          height: Math.max((value / max) * height, 2),
          y: top + height - Math.max((value / max) * height, 2),
        },
        s("title", {}, titles(place)),
      ),
  );
}

const axis = (y) => s("line", { x1: 0, x2: WIDE, y1: y, y2: y, class: "axis" });
const mark = (x, y, text, anchor = "middle") =>
  s("text", { x, y, class: "mark", "text-anchor": anchor }, text);

/** How many pairs come due in each step from now; what is due already stands in front. */
export function horizonPicture(waiting, { stepSeconds, due }) {
  const values = [waiting, ...due],
    height = 150,
    top = 18;
  const max = roof(Math.max(...values)),
    total = due.reduce((sum, count) => sum + count, 0);
  const label = (place) => (place === 0 ? "due now" : `in ${duration(place * stepSeconds)}`);
  const span = duration(due.length * stepSeconds);
  const bars = columns(values, {
    top,
    height,
    max,
    kind: (place) => (place === 0 ? "fill-stale" : "fill-fresh"),
    titles: (place) => `${label(place)}: ${number(values[place])}`,
  });
  const last = top + height,
    quarters = [1, 2, 3].map((part) =>
      mark((WIDE * part) / 4, last + 20, `+${duration((part / 4) * due.length * stepSeconds)}`),
    );
  return [
    picture(
      last + 26,
      `${number(waiting)} pairs are due now, ${number(total)} in the next ${span}.`,
      s("line", { x1: 0, x2: WIDE, y1: top, y2: top, class: "grid" }),
      mark(WIDE, top - 6, compact(max), "end"),
      ...bars,
      axis(last),
      mark(0, last + 20, "now", "start"),
      ...quarters,
      mark(WIDE, last + 20, `+${span}`, "end"),
    ),
    h(
      "p",
      { class: "hint" },
      `${number(total)} pairs in use are to be replaced in the next ${span}, each well before its token ends.`,
    ),
    asTable(
      "Pairs that come due",
      ["When", "Pairs"],
      values.map((count, place) => [label(place), number(count)]),
    ),
  ];
}

const ROWS = [
  ["rotated", "Refreshes", "fill-fresh"],
  ["failed", "Failures", "fill-bad"],
  ["recovered", "Recoveries", "fill-warn"],
  ["died", "Grants that died", "fill-dead"],
];

/** Refreshes, failures, recoveries and deaths under each other, in the same steps. */
export function historyPicture({ stepSeconds, steps }, spanSeconds, now) {
  const step = stepSeconds * 1000,
    slots = Math.round(spanSeconds / stepSeconds);
  const first = Math.floor(now / step) * step - (slots - 1) * step;
  const counted = new Map(steps.map((one) => [Date.parse(one.at), one]));
  const at = Array.from({ length: slots }, (_, place) => first + place * step);
  const found = at.map((instant) => counted.get(instant));
  const when = spanSeconds > 2 * 86400 ? day : clock;
  const parts = ROWS.map(([name, title, kind], row) => {
    const values = found.map((one) => one?.[name] ?? 0),
      sum = values.reduce((all, value) => all + value, 0);
    const top = row === 0 ? 26 : 106 + (row - 1) * 50,
      height = row === 0 ? 50 : 22;
    const max = row === 0 ? roof(Math.max(...values)) : Math.max(...values, 1);
    return [
      mark(0, top - 8, title, "start"),
      s(
        "text",
        { x: WIDE, y: top - 8, class: sum && row ? `sum ${kind}` : "sum", "text-anchor": "end" },
        number(sum),
      ),
      row === 0 && s("line", { x1: 0, x2: WIDE, y1: top, y2: top, class: "grid" }),
      ...columns(values, {
        top,
        height,
        max,
        kind: () => kind,
        titles: (place) => `${when(at[place])}: ${number(values[place])}`,
      }),
      axis(top + height),
    ];
  });
  // The newest steps are not over, and are no gap.
  const gaps = found.slice(0, -2).map(
    (one, place) =>
      !one &&
      s("rect", {
        x: (place * WIDE) / slots,
        y: 26,
        width: WIDE / slots,
        height: 202,
        class: "gap",
      }),
  );
  const sums = ROWS.map(
    ([name, title]) => `${title}: ${number(found.reduce((all, one) => all + (one?.[name] ?? 0), 0))}`,
  );
  return [
    picture(
      252,
      `${sums.join(", ")}.`,
      ...gaps.filter(Boolean),
      ...parts.flat(),
      mark(0, 248, when(at[0]), "start"),
      mark(WIDE / 2, 248, when(at[Math.floor(slots / 2)])),
      mark(WIDE, 248, "now", "end"),
    ),
    gaps.some(Boolean) && h("p", { class: "hint" }, "Shaded: nobody counted then."),
    asTable(
      "What happened",
      ["When", ...ROWS.map(([, title]) => title)],
      at.map((instant, place) => [
        `${day(instant)} ${clock(instant)}`,
        ...ROWS.map(([name]) => (found[place] ? number(found[place][name]) : "not counted")),
      ]),
    ),
  ];
}

/** How full the budget is; half of it is kept for callers who wait. */
export function budgetPicture({ ready, capacity, perMinute }) {
  const share = Math.min(Math.max(ready / capacity, 0), 1);
  return s(
    "svg",
    {
      viewBox: `0 0 ${WIDE} 22`,
      class: "picture gauge",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `${number(Math.max(0, Math.floor(ready)))} of ${number(Math.floor(capacity))} calls are ready; it fills by ${number(perMinute)} a minute.`,
    },
    s("rect", { x: 0, y: 0, width: WIDE, height: 22, rx: 4, class: "fill-none" }),
    s("rect", {
      x: 0,
      y: 0,
      width: Math.max(WIDE * share, 2),
      height: 22,
      rx: 4,
      class: share < 0.5 ? "fill-warn" : "fill-accent",
    }),
    s("line", { x1: WIDE / 2, x2: WIDE / 2, y1: 0, y2: 22, class: "tick" }),
  );
}
