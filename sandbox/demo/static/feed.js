// The live feed: figures, and a timeline of what upstream saw and what service, worker and page did.

const SOURCES = ["upstream", "service", "worker", "page"];
const KEPT = 250;
const FIGURES = [
  ["perPair", "upstream calls for each replaced pair"],
  ["replaced", "pairs replaced"],
  ["ahead", "of them ahead of time"],
  ["on_request", "of them on request"],
  ["joined", "callers who joined one under way"],
  ["checks", "tokens asked about"],
  ["forced", "force-refreshes"],
  ["purged", "expired tokens swept away"],
];

export class Feed {
  constructor(world, onState) {
    Object.assign(this, { world, onState, rows: new Map(), own: 0 });
    this.list = document.querySelector("#timeline");
    this.figures = Object.fromEntries(FIGURES.map(([name, text]) => [name, this.figure(name, text)]));
    SOURCES.forEach((source) => this.filter(source));
  }

  open() {
    const stream = new EventSource("/demo/events");
    stream.addEventListener("open", () => { this.clear(); this.onState(true); });
    stream.addEventListener("error", () => this.onState(false));
    stream.addEventListener("message", ({ data }) => this.take(JSON.parse(data)));
  }

  /** A line of the page's own. */
  note(text, tone = "plain") {
    this.show({ id: `own-${this.own += 1}`, source: "page", text, tone, times: 1, at_ms: Date.now() });
  }

  take({ notes, tally, pairs, current }) {
    Object.assign(this.world, { pairs, current });
    const calls = tally.refreshes + tally.forced;
    const perPair = tally.replaced ? (calls / tally.replaced).toFixed(2) : "–";
    for (const [name, view] of Object.entries(this.figures)) view.textContent = name === "perPair" ? perPair : tally[name];
    this.figures.perPair.parentElement.dataset.tone = perPair === "1.00" ? "good" : tally.replaced ? "warn" : "plain";
    notes.forEach((note) => this.show(note));
  }

  show(note) {
    const row = document.createElement("li"), at = document.createElement("time");
    const source = document.createElement("span"), text = document.createElement("p");
    const who = note.source === "demo" ? "page" : note.source;
    Object.assign(row.dataset, { source: who, tone: note.tone, at: note.at_ms });
    at.textContent = new Date(note.at_ms).toLocaleTimeString([], { hour12: false });
    Object.assign(source, { className: "source", textContent: who });
    text.textContent = note.text;
    if (note.times > 1) text.append(this.times(note.times));
    row.append(at, source, text);
    row.hidden = !this.shows(who);
    this.place(note.id, row);
  }

  place(id, row) {
    this.rows.get(id)?.remove();
    this.rows.set(id, row);
    const later = Array.from(this.list.children).find((other) => Number(other.dataset.at) <= Number(row.dataset.at));
    this.list.insertBefore(row, later ?? null);
    while (this.list.children.length > KEPT) this.list.lastElementChild.remove();
  }

  times(count) {
    const times = document.createElement("span");
    Object.assign(times, { className: "times", textContent: ` ×${count}` });
    return times;
  }

  figure(name, text) {
    const box = document.createElement("div"), term = document.createElement("dt"), value = document.createElement("dd");
    term.textContent = text;
    value.textContent = "–";
    box.append(term, value);
    document.querySelector("#figures").append(box);
    return value;
  }

  filter(source) {
    const label = document.createElement("label"), box = document.createElement("input");
    Object.assign(box, { type: "checkbox", checked: true, value: source });
    box.addEventListener("change", () => {
      for (const row of this.list.children) row.hidden = !this.shows(row.dataset.source);
    });
    label.append(box, source);
    document.querySelector("#filter").append(label);
  }

  shows(source) {
    const box = document.querySelector(`#filter input[value="${source}"]`);
    return box === null || box.checked;
  }

  clear() {
    for (const [id, row] of this.rows) if (!String(id).startsWith("own-")) { row.remove(); this.rows.delete(id); }
  }
}
