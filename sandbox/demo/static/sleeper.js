// The tab that slept: holds an old token, calls nobody, and wakes on a button.
import { Tab } from "/demo/tab.js";

export class Sleeper extends Tab {
  constructor(options) {
    super({ ...options, calls: false });
    this.view.dataset.asleep = "";
    this.toggle = this.button("Wake up", () => (this.calls ? this.sleep() : this.wake()));
    this.pass = this.button(`Let ${this.world.sandbox ? "three rotations" : "a rotation"} pass`,
      () => this.world.act(`rotate${this.world.sandbox ? "?several" : ""}`));
    this.sleep();
  }

  get missed() { return this.pair ? Math.max(0, this.world.current - this.pair) : undefined; }

  sleep() {
    this.calls = false;
    this.view.dataset.asleep = "";
    this.toggle.textContent = "Wake up";
    this.pass.hidden = false;
    this.part("call").textContent = "asleep";
    delete this.part("call").dataset.tone;
    this.told = null;
  }

  async wake() {
    const missed = this.missed, status = await this.callApi();
    const old = status === 200 ? "its old token still works" : `its old token met ${status}`;
    this.calls = true;
    delete this.view.dataset.asleep;
    this.toggle.textContent = "Sleep again";
    this.pass.hidden = true;
    if (missed === 0 && status === 200) return this.say("Awake: nothing was missed.", "good");
    const { good, code, tookMs } = await this.refresh();
    const slept = missed ? `slept through ${missed} rotation${missed === 1 ? "" : "s"}` : "woke up";
    this.say(good ? `Awake: ${old}; the broker knew it and gave the current one in ${tookMs} ms.`
      : `Awake: ${old}; no token yet (${code}).`, good ? "good" : "bad");
    this.world.note(`${this.name} ${slept}: ${old}${good ? `, the current one after ${tookMs} ms` : `, no token (${code})`}`,
      good ? "plain" : "warn");
  }

  draw() {
    super.draw();
    if (this.calls || !this.token || this.told === this.missed) return;
    this.told = this.missed;
    this.say(this.missed ? `Asleep since pair ${this.pair}: slept through ${this.missed} rotation${this.missed === 1 ? "" : "s"}.`
      : "Asleep: its token runs out, and it does not ask.");
  }
}
