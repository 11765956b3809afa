// Keeps a page's access token fresh: asks the refresh endpoint shortly before the token ends, and on wake-up.
//   import { keepFresh } from "/keep-fresh.js", or <script type="module" src="/keep-fresh.js"> and window.keepFresh.
// `margin` is the broker's REFRESH_MARGIN in seconds. Returns update(token), for after a login or token_unknown, and stop().
const PAUSE = 5e3, LONGEST = 3e5, WAKES = ["visibilitychange", "online", "pageshow", "focus"];
const decode = (part) => JSON.parse(atob(part.replace(/-/g, "+").replace(/_/g, "/")));
const claimsOf = (token) => { try { return decode(token.split(".")[1]); } catch { return {}; } };
export function keepFresh({ refreshUrl, accessToken, accessTokenExpiresAt, margin = 600, onToken }) {
  let token, dueAt, timer, asking = false, askedAt = -PAUSE, failures = 0;
  const hold = (next, expiresAt) => {
    const { iat, exp = 0, expiresAt: end = exp * 1e3 } = claimsOf(next), endsAt = expiresAt ?? end;
    const lifetime = Math.max(endsAt - (iat ? iat * 1e3 : Date.now()), 0);
    [token, dueAt] = [next, next ? endsAt - Math.min(margin * 500, lifetime / 4) : Infinity];
  };
  const wakeIn = (ms) => { clearTimeout(timer); if (ms < Infinity) timer = setTimeout(wake, Math.min(ms, 2 ** 31 - 1)); };
  const wake = () => {
    const early = Math.max(dueAt, askedAt + PAUSE) - Date.now();
    if (!asking) early > 0 ? wakeIn(early) : ask();
  };
  const ask = async () => {
    const asked = token, headers = { Authorization: `Bearer ${asked}` };
    let [answer, after] = [{}, 0];
    [asking, askedAt] = [true, Date.now()];
    try {
      const response = await fetch(refreshUrl, { headers, signal: AbortSignal.timeout?.(6e4) });
      [after, answer] = [response.headers.get("Retry-After") * 1e3 || 0, await response.json()];
    } catch { /* no answer that can be read: asked again below */ }
    asking = false;
    if (asked !== token) return wake(); // stopped or updated meanwhile
    if (answer.accessToken) hold(answer.accessToken, answer.accessTokenExpiresAt);
    if (answer.code === "token_unknown") dueAt = Infinity; // of no use to ask again with this token
    failures = dueAt > Date.now() ? 0 : failures + 1; // a token that is due at once counts too: clocks may differ
    wakeIn(failures ? Math.max(after, Math.min(PAUSE * 2 ** failures, LONGEST) * (1 + Math.random()) / 2) : dueAt - Date.now());
    if (answer.accessToken) onToken(answer.accessToken, answer.accessTokenExpiresAt);
  };
  const start = (next, expiresAt) => { hold(next, expiresAt), failures = 0, wake(); };
  WAKES.forEach((event) => addEventListener(event, wake));
  start(accessToken, accessTokenExpiresAt);
  return { update: start, stop: () => { WAKES.forEach((event) => removeEventListener(event, wake)), start(); } };
}
globalThis.keepFresh = keepFresh;
