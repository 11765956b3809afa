// Puts the page together: signs in, gives each tab its first token, and connects buttons and feed.
import { keepFresh } from "/keep-fresh.js";
import { Feed } from "/demo/feed.js";
import { Sleeper } from "/demo/sleeper.js";
import { REFRESH_URL, Tab } from "/demo/tab.js";

const BEAT_MS = 1000, REAL_BEAT_MS = 5000, DRAW_MS = 200, AGAIN_MS = 500;
const query = (selector) => document.querySelector(selector);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

const world = { pairs: {}, current: 0, lifetimeS: 60, marginS: 10 };
const feed = new Feed(world, (open) => {
  Object.assign(query("#link"), { textContent: open ? "live" : "connection lost" }).dataset.tone = open ? "good" : "bad";
});
world.note = (text, tone) => feed.note(text, tone);

/** Do something on the demo's backend; an error is shown and comes back as undefined. */
world.act = async (what) => {
  try {
    const response = await fetch(`/demo/${what}`, { method: "POST" });
    const answer = await response.json();
    if (response.ok) return answer;
    world.note(`Not done: ${answer.error}`, "warn");
  } catch { world.note("The demo's backend does not answer", "bad"); }
  return undefined;
};

async function state() {
  for (;;) {
    try {
      const answer = await (await fetch("/demo/state")).json();
      if (answer.ready) return answer;
    } catch { /* still starting, or gone: asked again */ }
    await wait(AGAIN_MS);
  }
}

async function session() {
  for (;;) {
    const answer = await world.act("session");
    query("#alarm").hidden = Boolean(answer);
    if (answer) return answer;
    query("#alarm").textContent = "The demo's user cannot be signed in yet; trying again.";
    await wait(AGAIN_MS * 4);
  }
}

function tabs(first) {
  const fresh = new Tab({ name: "Tab A", world,
    how: "Uses keep-fresh.js: asks shortly before its token ends, so no call is ever refused." });
  const late = new Tab({ name: "Tab B", world,
    how: "Asks only after a call was refused with 498 or 401, as @calcom/atoms does." });
  const sleeper = new Sleeper({ name: "Tab C", world,
    how: "Sleeps on the token it had. Any token the user ever had still finds its user." });
  const all = [fresh, late, sleeper];
  all.forEach((tab) => tab.hold(first.accessToken, first.accessTokenExpiresAt));
  fresh.say("Stays ahead of its token's end.");
  late.say("Waits until it is refused.");
  const keeper = keepFresh({ refreshUrl: REFRESH_URL, ...first, margin: world.marginS, onToken: (token, expiresAt) => {
    fresh.take(token, expiresAt);
    fresh.say("Asked in time, and has a new token.", "good");
    world.note("Tab A asked before its token ended, and was never refused");
  } });
  fresh.onRefreshed = keeper.update; // after a refusal all the same
  return all;
}

const shown = ({ callers, answered, tokens, upstream, took_ms: tookMs }) => {
  const calls = Object.entries(upstream).map(([name, count]) => `${count} ${name}`).join(", ") || "none";
  return `${answered} of ${callers} answered in ${tookMs} ms, all with ${tokens === 1 ? "the same token" : `${tokens} tokens`}. Upstream calls: ${calls}.`;
};

function buttons() {
  for (const button of document.querySelectorAll("[data-do]")) {
    const said = button.closest("section").querySelector(".said"), what = button.dataset.do;
    button.addEventListener("click", async () => {
      button.disabled = true;
      said.textContent = "Working ...";
      const plain = what === "stampede" || what === "rotate";
      const answer = await world.act(plain ? what : `trouble?kind=${what}`);
      said.textContent = !answer ? "Not done; see the timeline." : what === "stampede" ? shown(answer)
        : answer.answer && answer.answer !== "replaced" ? `The broker said: ${answer.answer}` : "Done; see the timeline.";
      button.disabled = false;
    });
  }
}

async function start() {
  Object.assign(world, await state());
  query("#lifetime").textContent = world.sandbox ? `${world.lifetimeS} seconds` : "60 minutes";
  query("#compare").textContent = world.sandbox ? " (60 minutes at Cal.com)" : "";
  query("#upstream").textContent = world.sandbox ? "sandbox Cal.com" : new URL(world.api).host;
  query("#docs").href = `${world.internal}/docs`;
  document.body.classList.toggle("real", !world.sandbox);
  feed.open();
  buttons();
  const all = tabs(await session());
  setInterval(() => all.forEach((tab) => tab.draw()), DRAW_MS);
  setInterval(() => all.forEach((tab) => tab.beat()), world.sandbox ? BEAT_MS : REAL_BEAT_MS);
}

start();
