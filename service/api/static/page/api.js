// Asks this broker, with the key that the person gave; it is kept for this tab and nowhere else.
const KEPT_AS = "token-broker-key";
const WITHIN_MS = 40_000;
let key = sessionStorage.getItem(KEPT_AS);

export const hasKey = () => Boolean(key);

export function keepKey(given) {
  key = given;
  sessionStorage.setItem(KEPT_AS, given);
}

export function forgetKey() {
  key = null;
  sessionStorage.removeItem(KEPT_AS);
}

/** What the broker refused, with its own words; `status` is 0 when nobody answered. */
export class Refused extends Error {
  constructor(status, code, words) {
    super(words);
    this.status = status;
    this.code = code;
  }
}

/** Ask and return the answer; throws Refused. */
export async function ask(path, { method = "GET", body, query = {} } = {}) {
  const given = Object.entries(query).filter(([, value]) => value != null && value !== "");
  const target = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  if (!/^[\x21-\x7e]+$/.test(key)) throw new Refused(401, "key_unknown", "No caller has this key.");
  const headers = { Authorization: `Bearer ${key}` };
  if (body) headers["Content-Type"] = "application/json";
  let answer, said;
  try {
    answer = await fetch(target, {
      method,
      headers,
      body: body && JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    said = answer.status === 204 ? null : await answer.json();
  } catch {
    throw new Refused(0, "unreachable", "The broker does not answer.");
  }
  if (!answer.ok) throw new Refused(answer.status, said.code, wordsOf(said));
  return said;
}

const wordsOf = ({ detail, errors = [] }) =>
  [detail, ...errors.map(({ field, message }) => `${field} ${message}`)].filter(Boolean).join(" ");

export const user = (id) => `/v1/users/${encodeURIComponent(id)}`;
