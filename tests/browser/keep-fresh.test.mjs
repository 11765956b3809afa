// What the helper promises, to the millisecond: a clock that the test moves, and a refresh endpoint that says
// what the test wants. The tests in Chromium show that it works; these show when it asks and when it does not.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { beforeEach, mock, test } from "node:test";

const page = new EventTarget();
globalThis.addEventListener = page.addEventListener.bind(page);
globalThis.removeEventListener = page.removeEventListener.bind(page);
const { keepFresh } = await import("../../service/api/static/keep-fresh.js");

const SECOND = 1_000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 2, 1, 12);
const WAKES = ["visibilitychange", "online", "pageshow", "focus"];

let asks, handed, answers, helper;

beforeEach(() => {
  helper?.stop(); // before its timer goes with the clock it was made by
  mock.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: START });
  mock.method(Math, "random", () => 1);
  [asks, handed, answers] = [[], [], []];
  mock.method(globalThis, "fetch", async (url, { headers, signal }) => {
    asks.push({ at: Date.now() - START, url, bearer: headers.Authorization });
    const answer = await (answers.shift() ?? fresh());
    signal.throwIfAborted();
    if (answer instanceof Error) throw answer;
    return answer;
  });
});

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const token = (claims, name = "ä?>") => `${encoded({ alg: "HS256" })}.${encoded({ name, ...claims })}.signature`;
const living = (lifetime, name) => token({ iat: Date.now() / SECOND, expiresAt: Date.now() + lifetime }, name);
const json = (body, init) => new Response(JSON.stringify(body), init);
const fresh = (lifetime = HOUR) =>
  json({ accessToken: living(lifetime, "next"), accessTokenExpiresAt: Date.now() + lifetime });
const refused = (code, status, headers) => json({ code, accessToken: "" }, { status, headers });

const start = (accessToken, more) =>
  (helper = keepFresh({ refreshUrl: "/refresh", accessToken, onToken: (next) => handed.push(next), ...more }));
const settled = () => new Promise(setImmediate);
const asked = () => asks.map(({ at }) => at);

/** Let time pass a second at a time, and everything that it sets off come to an end. */
async function pass(time) {
  for (let left = time; left > 0; left -= SECOND) {
    mock.timers.tick(Math.min(left, SECOND));
    await settled();
  }
}

/** Let time pass as it does for a machine that sleeps: no timer runs. */
const sleep = (time) => mock.timers.setTime(Date.now() + time);
const wakeUp = (event = "visibilitychange") => (page.dispatchEvent(new Event(event)), settled());

test("it asks half a margin before the token ends, and hands on what it gets", async () => {
  const first = living(HOUR, "first");
  start(first);
  await pass(55 * MINUTE - SECOND);
  assert.deepEqual(asked(), []);
  await pass(SECOND);
  assert.deepEqual(asks, [{ at: 55 * MINUTE, url: "/refresh", bearer: `Bearer ${first}` }]);
  assert.equal(handed.length, 1);
});

test("it asks with the new token when that one is about to end", async () => {
  start(living(HOUR, "first"));
  await pass(111 * MINUTE);
  assert.deepEqual(asked(), [55 * MINUTE, 110 * MINUTE]);
  assert.equal(asks[1].bearer, `Bearer ${handed[0]}`);
});

test("of a short life it leaves the last quarter", async () => {
  start(living(MINUTE));
  await pass(46 * SECOND);
  assert.deepEqual(asked(), [45 * SECOND]);
});

test("a small margin counts as it is", async () => {
  start(living(HOUR), { margin: 60 });
  await pass(HOUR);
  assert.deepEqual(asked(), [HOUR - 30 * SECOND]);
});

test("a token that says nothing of its end ends when the app says", async () => {
  start("no-claims-at-all", { accessTokenExpiresAt: START + HOUR });
  await pass(56 * MINUTE);
  assert.deepEqual(asked(), [55 * MINUTE]);
});

test("the standard's own claim for the end counts as well", async () => {
  start(token({ iat: START / SECOND, exp: (START + HOUR) / SECOND }));
  await pass(56 * MINUTE);
  assert.deepEqual(asked(), [55 * MINUTE]);
});

test("a token that is over already is replaced at once", async () => {
  start(token({ iat: START / SECOND - 7200, expiresAt: START - HOUR }));
  await settled();
  assert.deepEqual(asked(), [0]);
});

for (const event of WAKES) {
  test(`${event} after a sleep makes it ask at once`, async () => {
    start(living(HOUR));
    sleep(3 * HOUR);
    await wakeUp(event);
    assert.deepEqual(asked(), [3 * HOUR]);
  });
}

test("it does not ask on wake-up while the token has life", async () => {
  start(living(HOUR));
  sleep(30 * MINUTE);
  await wakeUp();
  assert.deepEqual(asked(), []);
});

test("a page that wakes up all the time asks once every five seconds", async () => {
  answers = [new Error("offline"), new Error("offline"), new Error("offline")];
  start(living(HOUR));
  sleep(HOUR);
  for (let times = 0; times < 12; times += 1) {
    await wakeUp();
    await pass(SECOND);
  }
  assert.deepEqual(asked(), [HOUR, HOUR + 5 * SECOND, HOUR + 10 * SECOND]);
});

test("a wake-up during an ask starts no second one", async () => {
  let say;
  answers = [new Promise((resolve) => (say = resolve))];
  start(living(HOUR));
  await pass(55 * MINUTE);
  await wakeUp();
  await pass(10 * SECOND);
  say(fresh());
  await settled();
  assert.deepEqual(asked(), [55 * MINUTE]);
});

test("without an answer it asks again, ever more slowly, five minutes apart at most", async () => {
  answers = Array.from({ length: 9 }, () => new Error("offline"));
  start(living(HOUR));
  await pass(90 * MINUTE);
  const pauses = asked().map((at, place, all) => (all[place + 1] - at) / SECOND);
  assert.deepEqual(pauses.slice(0, 9), [10, 20, 40, 80, 160, 300, 300, 300, 300]);
  assert.equal(handed.length, 1);
});

test("after the app has a new token it starts with the shortest pause", async () => {
  answers = Array.from({ length: 3 }, () => new Error("offline"));
  start(living(HOUR));
  await pass(55 * MINUTE + 15 * SECOND);
  helper.update(token({ iat: START / SECOND, expiresAt: START }));
  await settled();
  await pass(20 * SECOND);
  assert.deepEqual(asked().slice(2), [55 * MINUTE + 15 * SECOND, 55 * MINUTE + 25 * SECOND]);
});

test("an ask that hangs is given up after a minute", async () => {
  const limit = mock.method(AbortSignal, "timeout", () => AbortSignal.abort());
  start(living(HOUR));
  await pass(56 * MINUTE);
  assert.deepEqual(limit.mock.calls[0].arguments, [MINUTE]);
  assert.deepEqual([asks.length > 1, handed], [true, []]);
});

test("an answer that is no JSON is none", async () => {
  answers = [new Response("<h1>Bad gateway</h1>", { status: 502 })];
  start(living(HOUR));
  await pass(56 * MINUTE);
  assert.deepEqual(asked(), [55 * MINUTE, 55 * MINUTE + 10 * SECOND]);
  assert.equal(handed.length, 1);
});

test("it waits as long as the broker says", async () => {
  answers = [refused("upstream_unavailable", 503, { "Retry-After": "45" })];
  start(living(HOUR));
  await pass(56 * MINUTE);
  assert.deepEqual(asked(), [55 * MINUTE, 55 * MINUTE + 45 * SECOND]);
});

test("a token the broker does not know is given up, until the app has another", async () => {
  answers = [refused("token_unknown", 401)];
  start(living(HOUR));
  await pass(2 * HOUR);
  await wakeUp();
  assert.deepEqual(asked(), [55 * MINUTE]);
  helper.update(living(HOUR));
  await pass(HOUR);
  assert.deepEqual(asked(), [55 * MINUTE, 2 * HOUR + 55 * MINUTE]);
});

test("a clock that is hours ahead costs an ask now and then, not a storm", async () => {
  answers = Array.from({ length: 40 }, () => json({ accessToken: token({}), accessTokenExpiresAt: START - HOUR }));
  start(token({ iat: START / SECOND - 7200, expiresAt: START - HOUR }));
  await pass(HOUR);
  assert.ok(asks.length <= 5 + 12, `asked ${asks.length} times in an hour`);
});

test("once stopped it neither asks nor wakes up, nor hands on what comes late", async () => {
  let say;
  answers = [new Promise((resolve) => (say = resolve))];
  start(living(HOUR));
  await pass(55 * MINUTE);
  helper.stop();
  say(fresh());
  await pass(2 * HOUR);
  await wakeUp();
  assert.deepEqual([asks.length, handed], [1, []]);
  assert.deepEqual(WAKES.flatMap((event) => getEventListeners(page, event)), []);
});

test("an answer for a token that the app has replaced meanwhile is dropped", async () => {
  let say;
  answers = [new Promise((resolve) => (say = resolve))];
  start(living(HOUR));
  await pass(55 * MINUTE);
  helper.update(living(HOUR, "after a login"));
  say(fresh());
  await pass(MINUTE);
  assert.deepEqual([asks.length, handed], [1, []]);
});

test("a page without a build step finds it in the window", () => assert.equal(globalThis.keepFresh, keepFresh));
