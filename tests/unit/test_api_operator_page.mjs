// What the operator page says first, the worst of what there is to know.
import assert from "node:assert/strict";
import { test } from "node:test";
import { verdict } from "../../service/api/static/page/standing.js";
import { away, duration } from "../../service/api/static/page/words.js";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const UP = { postgres: "up", redis: "up" };
const NOBODY = { fresh: 0, stale: 0, overdue: 0, idle: 0, paused: 0, dead: 0 };
const UNMARKED = { refused: 0, distrusted: 0, forcePending: 0, failing: 0, withoutToken: 0 };

function says({ users = {}, marks = {}, countedAgoS = 30, circuit = { open: false }, dependencies = UP, counted = true } = {}) {
  const countedAt = new Date(NOW - countedAgoS * 1000).toISOString();
  const standing = { countedAt, overdueSeconds: 300, users: { ...NOBODY, ...users }, marks: { ...UNMARKED, ...marks } };
  return verdict({ standing: counted ? standing : null, circuit, dependencies }, NOW);
}

const CASES = [
  ["all is well", { users: { fresh: 5 } }, "good", /All 5 users in use are fresh/],
  ["nobody is there", {}, "good", /All is well/],
  ["somebody is dead", { users: { fresh: 5, dead: 1 } }, "warn", /1 user needs a look/],
  ["Redis is down", { users: { fresh: 5 }, dependencies: { ...UP, redis: "down" } }, "warn", /Redis is down/],
  ["pairs are overdue", { users: { overdue: 2 } }, "warn", /2 pairs are overdue/],
  ["users lack a token", { users: { overdue: 2 }, marks: { withoutToken: 3 } }, "bad", /3 users have no live token/],
  ["nobody has counted", { counted: false }, "warn", /No worker has counted/],
  ["nobody counts any more", { countedAgoS: 600, marks: { withoutToken: 3 } }, "bad", /No worker is counting/],
  ["upstream refuses the client", { circuit: { open: true, reason: "secret" }, countedAgoS: 600 }, "bad", /refuses this OAuth client/],
  ["PostgreSQL is down", { circuit: { open: true }, dependencies: { ...UP, postgres: "down" } }, "bad", /PostgreSQL is down/],
];

for (const [when, stands, tone, sentence] of CASES) {
  test(`when ${when}`, () => {
    const [told, first, why] = says(stands);
    assert.equal(told, tone);
    assert.match(first, sentence);
    assert.ok(why);
  });
}

test("an instant is told by how far it is away", () => {
  assert.equal(away(NOW - 40_000, NOW), "40 s ago");
  assert.equal(away(NOW + 12 * 60_000, NOW), "in 12 min");
  assert.equal(away(NOW, NOW), "just now");
});

test("a duration is told in its largest unit", () => {
  assert.deepEqual([89, 91, 3 * 3600, 72 * 3600].map(duration), ["89 s", "2 min", "3 h", "3 days"]);
});

test("a refresh that replaced nothing is not told as one that did", async () => {
  globalThis.sessionStorage ??= { getItem: () => null };
  const { ORDERS } = await import("../../service/api/static/page/orders.js");
  const before = { pair: { generation: 1 } };
  const replaced = { pair: { generation: 2, lastError: "timeout" } }; // the error is kept, from an earlier try
  const spent = { pair: { generation: 1, lastError: "refresh_token_dead" } };
  assert.deepEqual(ORDERS.refresh.said({ before, after: replaced }), ["good", "The pair was replaced."]);
  const [tone, words] = ORDERS.refresh.said({ before, after: spent });
  assert.equal(tone, "bad");
  assert.match(words, /not replaced.*refresh_token_dead/);
});
