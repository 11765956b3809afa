// Runs keep-fresh.js in a world whose clock, timers, events and network belong to the test.
import assert from "node:assert/strict";
import test from "node:test";

const HOUR = 3600e3, MINUTE = 60e3;
let now = 1_700_000_000_000, numbers = 0, asked = [], answer;
const timers = new Map(), listeners = new Map();
Date.now = () => now;
globalThis.setTimeout = (wake, ms) => { timers.set(++numbers, { at: now + ms, wake }); return numbers; };
globalThis.clearTimeout = (number) => timers.delete(number);
globalThis.addEventListener = (event, wake) => listeners.set(event, wake);
globalThis.removeEventListener = (event) => listeners.delete(event);
globalThis.fetch = async (url, { headers }) => { asked.push({ at: now, url, bearer: headers.Authorization }); return answer(); };
AbortSignal.timeout = () => undefined;

const settle = async () => { for (let turn = 0; turn < 20; turn++) await null; };
const pass = async (ms) => {
  const until = now + ms;
  for (await settle(); ; await settle()) {
    const [number, due] = [...timers].sort((a, b) => a[1].at - b[1].at)[0] ?? [];
    if (!due || due.at > until) break;
    timers.delete(number), now = Math.max(now, due.at), due.wake();
  }
  now = until;
};
const part = (claims) => btoa(JSON.stringify(claims)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const token = (issued = now, life = HOUR) => `h.${part({ iat: issued / 1e3, expiresAt: issued + life })}.s`;
const says = (body, headers = {}) => () => ({ headers: new Headers(headers), json: async () => body });
const gives = (fresh, expiresAt) => says({ accessToken: fresh, accessTokenExpiresAt: expiresAt });
const refuses = (code, headers) => says({ accessToken: "", code }, headers);

const { keepFresh } = await import(process.env.KEEP_FRESH);
const given = [];
const keep = (accessToken, options = {}) => {
  asked = [], given.length = 0;
  return keepFresh({ refreshUrl: "/refresh", accessToken, onToken: (...fresh) => given.push(fresh), ...options });
};

test("asks half a margin before the end, with the token it holds, and hands the new one on", async () => {
  const held = token(), fresh = token(now + 55 * MINUTE);
  answer = gives(fresh, now + 115 * MINUTE);
  const kept = keep(held);
  await pass(55 * MINUTE - 1);
  assert.equal(asked.length, 0);
  await pass(1);
  assert.deepEqual(asked.map((ask) => ask.bearer), [`Bearer ${held}`]);
  assert.deepEqual(given, [[fresh, now + HOUR]]);
  await pass(54 * MINUTE);
  assert.equal(asked.length, 1);
  kept.stop();
});

test("takes the end from exp where there is nothing else, and a quarter of a short life as its lead", async () => {
  answer = refuses("token_unknown");
  const kept = keep(`h.${part({ iat: now / 1e3, exp: now / 1e3 + 20 })}.s`);
  await pass(14_999);
  assert.equal(asked.length, 0);
  await pass(1);
  assert.equal(asked.length, 1);
  kept.stop();
});

test("asks on wake-up when the token ended meanwhile", async () => {
  const kept = keep(token());
  answer = gives(token(now + 3 * HOUR), now + 4 * HOUR);
  timers.clear(), now += 3 * HOUR, listeners.get("visibilitychange")();
  await settle();
  assert.equal(asked.length, 1);
  kept.stop();
});

for (const [what, failing] of [
  ["an outage", refuses("upstream_unavailable")],
  ["no answer at all", () => { throw new TypeError("network"); }],
  ["an answer that is no JSON", () => ({ headers: new Headers(), json: async () => JSON.parse("<html>") })],
  ["tokens that are due at once because the clocks differ", () => gives(token(now - 2 * HOUR), now - HOUR)()],
]) {
  test(`asks again less and less often during ${what}`, async () => {
    answer = failing;
    const kept = keep(token(now - HOUR));
    await pass(HOUR);
    const gaps = asked.slice(1).map((ask, index) => ask.at - asked[index].at);
    assert.ok(asked.length > 5 && asked.length < 40, `${asked.length} requests in an hour`);
    assert.ok(Math.min(...gaps) >= 5e3 && Math.max(...gaps) <= 5 * MINUTE && gaps.at(-1) > gaps[0]);
    kept.stop();
  });
}

test("waits as long as it is told to", async () => {
  answer = refuses("too_many_requests", { "Retry-After": "90" });
  const kept = keep(token(now - HOUR));
  await pass(89_999);
  assert.equal(asked.length, 1);
  kept.stop();
});

test("a storm of wake-ups is one request in some seconds", async () => {
  answer = refuses("upstream_unavailable");
  const kept = keep(token(now - HOUR));
  for (let wake = 0; wake < 100; wake++) listeners.get("focus")(), await pass(100);
  assert.ok(asked.length <= 3);
  kept.stop();
});

test("stops asking with a token that is unknown, until it is given another", async () => {
  answer = refuses("token_unknown");
  const kept = keep(token(now - HOUR));
  await pass(24 * HOUR), listeners.get("online")(), await settle();
  assert.equal(asked.length, 1);
  const other = token();
  answer = gives(token(now + HOUR), now + 2 * HOUR), kept.update(other);
  await pass(HOUR);
  assert.equal(asked.at(-1).bearer, `Bearer ${other}`);
  kept.stop();
});

test("leaves nothing behind when it is stopped, and asks nothing without a token", async () => {
  answer = refuses("upstream_unavailable");
  keep(token()).stop(), keep(undefined).stop();
  await pass(24 * HOUR);
  assert.deepEqual([asked.length, timers.size, listeners.size], [0, 0, 0]);
});

test("is there for classic scripts as well", () => assert.equal(globalThis.keepFresh, keepFresh));
