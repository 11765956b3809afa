// One tab: a client with a token of its own that calls the API, and shows its token's life.
import { colorOf, lifeOf, nameOf } from "/demo/token.js";

export const REFRESH_URL = "/api/cal/refresh";
const REFUSED = [401, 498], MINUTES_MS = 180e3;

const clock = (seconds) => seconds * 1000 > MINUTES_MS
  ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}` : seconds;

export class Tab {
  constructor({ name, how, world, calls = true }) {
    Object.assign(this, { name, how, world, calls, refused: 0, fetched: 0, busy: false });
    this.view = document.querySelector("#tab").content.firstElementChild.cloneNode(true);
    this.part("name").textContent = name;
    this.part("how").textContent = how;
    document.querySelector("#tabs").append(this.view);
  }

  part(name) { return this.view.querySelector(`.${name}`); }

  /** Hold this token from now on. */
  async hold(token, expiresAt) {
    this.token = token;
    this.life = lifeOf(token, expiresAt, this.world.lifetimeS * 1000);
    const name = await nameOf(token);
    if (token === this.token) this.pairName = name;
    this.draw();
  }

  /** The number of the pair the held token belongs to, if it is known. */
  get pair() { return this.world.pairs[this.pairName]; }

  say(text, tone = "plain") {
    this.part("said").textContent = text;
    this.part("said").dataset.tone = tone;
  }

  button(text, act) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: text });
    button.addEventListener("click", async () => {
      button.disabled = true;
      try { await act(); } finally { button.disabled = false; }
    });
    this.part("buttons").append(button);
    return button;
  }

  /** Call the API once; returns the status, 0 when there was no answer. */
  async callApi() {
    let status = 0;
    try {
      const response = await fetch("/demo/call", { headers: { Authorization: `Bearer ${this.token}` } });
      ({ status } = await response.json());
    } catch { /* no answer */ }
    if (REFUSED.includes(status)) this.part("refused").textContent = this.refused += 1;
    const call = this.part("call");
    call.textContent = status ? `GET /me → ${status}` : "GET /me: no answer";
    call.dataset.tone = status === 200 ? "good" : "bad";
    return status;
  }

  /** Ask the refresh endpoint with the held token; returns what came of it. */
  async refresh() {
    const startedAt = performance.now();
    let answer = {};
    try {
      const response = await fetch(REFRESH_URL, { headers: { Authorization: `Bearer ${this.token}` } });
      answer = await response.json();
    } catch { /* no answer */ }
    const tookMs = Math.max(1, Math.round(performance.now() - startedAt));
    if (answer.accessToken) {
      await this.take(answer.accessToken, answer.accessTokenExpiresAt);
      this.onRefreshed?.(answer.accessToken, answer.accessTokenExpiresAt);
    }
    return { good: Boolean(answer.accessToken), code: answer.code ?? "no_answer", tookMs };
  }

  async take(token, expiresAt) {
    this.part("fetched").textContent = this.fetched += 1;
    await this.hold(token, expiresAt);
  }

  /** What a tab does about every second. */
  async beat() {
    if (!this.calls || !this.token || this.busy) return;
    this.busy = true;
    try { await this.onCalled(await this.callApi()); } finally { this.busy = false; }
  }

  /** A call was answered with this status: after a refusal, ask the broker. */
  async onCalled(status) {
    if (!REFUSED.includes(status)) return;
    this.say(`Refused with ${status}; asking the broker ...`);
    const { good, code, tookMs } = await this.refresh();
    const what = good ? `had a new token after ${tookMs} ms` : `has no token yet (${code})`;
    this.say(`Refused with ${status}; ${what}.`, good ? "good" : "bad");
    this.world.note(`${this.name} was refused with ${status} and ${what}`, good ? "plain" : "warn");
  }

  /** Show the life of the token as of now. */
  draw() {
    if (!this.life) return;
    const left = this.life.endsAt - Date.now(), share = Math.max(0, left / this.life.lifetime) * 100;
    const zone = (this.world.marginS * 1000 / this.life.lifetime) * 100;
    this.part("left").style.strokeDasharray = `${share} 100`;
    this.part("zone").style.strokeDasharray = `${zone} 100`;
    this.view.dataset.life = left <= 0 ? "over" : left < this.world.marginS * 1000 ? "late" : "good";
    this.part("seconds").firstElementChild.textContent = left > 0 ? clock(Math.ceil(left / 1000)) : "expired";
    this.part("seconds").lastElementChild.textContent = left > 0 ? `${left > MINUTES_MS ? "minutes" : "seconds"} left`
      : `${Math.floor(-left / 1000)} s ago`;
    if (this.pairName) this.drawPair();
  }

  drawPair() {
    const shown = `${this.pair ?? "?"} ${this.pairName}`;
    if (this.part("pair").dataset.shown === shown) return;
    const swatch = document.createElement("span"), code = document.createElement("code");
    swatch.className = "swatch";
    swatch.style.background = colorOf(this.pairName);
    code.textContent = this.pairName.slice(0, 6);
    this.part("pair").replaceChildren(swatch, this.pair ? `no. ${this.pair} ` : "", code);
    this.part("pair").dataset.shown = shown;
  }
}
