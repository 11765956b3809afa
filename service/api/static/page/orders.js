// What an operator can order for a user; what ends somebody's tokens is asked for twice.
import { ask, user } from "./api.js";
import { byId, h } from "./dom.js";

const FORCE_WORDS =
  "Upstream ends every token of this user at once and issues a new pair. Open tabs get the new token when they next ask; a call under way may fail.";

export const ORDERS = {
  refresh: {
    title: "Refresh",
    scope: "users:write",
    run: refresh,
    said: refreshed,
  },
  force: {
    title: "Force",
    scope: "users:write",
    tone: "bad",
    sure: FORCE_WORDS,
    run: (id) => post(id, "rotate", { force: true }),
    done: "All tokens were replaced.",
  },
  revoke: {
    title: "Revoke",
    scope: "users:write",
    tone: "bad",
    sure: "Every token handed out so far stops counting here and is ended upstream. Whoever holds one must get a new one from your app.",
    run: (id) => post(id, "revoke", {}),
    done: "Every token handed out so far is revoked.",
  },
  recover: {
    title: "Recover",
    scope: "admin",
    tone: "bad",
    sure: "Upstream is asked whether id and address are this user's; then all of its tokens are replaced. This is kept in the audit.",
    run: recover,
    done: "The user was recovered.",
  },
  pause: {
    title: "Pause",
    scope: "users:write",
    sure: "All work on this user stops, and nobody is given its token, until you resume it.",
    run: (id) => post(id, "pause", {}),
    done: "Work on the user is paused.",
  },
  resume: {
    title: "Resume",
    scope: "users:write",
    run: (id) => post(id, "resume", {}),
    done: "Work on the user goes on.",
  },
};

/** Refresh; a pair whose refresh token is spent is answered as it stands while it lives, so see what it was. */
async function refresh(id) {
  const before = await ask(user(id), { query: { client } });
  return { before, after: await post(id, "rotate", {}) };
}

function refreshed({ before, after }) {
  if (after.pair?.generation > before.pair?.generation) return ["good", "The pair was replaced."];
  const why = after.pair?.lastError ?? "no reason is known";
  return [
    "bad",
    `The pair was not replaced (${why}): it serves on while it lives. Force does without the refresh token.`,
  ];
}

const TOLD_FOR_MS = 15_000;
let client,
  scopes = new Set();

/** Act for this client, with what the caller may do. */
export function actAs(name, allowed) {
  client = name;
  scopes = new Set(allowed);
}

const post = (id, what, body) => ask(`${user(id)}/${what}`, { method: "POST", body, query: { client } });

async function recover(id) {
  const { calUserId, email } = await ask(user(id), { query: { client } });
  return ask(`${user(id)}/tokens`, {
    method: "PUT",
    body: { calUserId, email, recover: true },
    query: { client },
  });
}

/** Say what came of an order, for a while, wherever on the page somebody is. */
export function tell(tone, words) {
  const outcome = byId("outcome");
  clearTimeout(outcome.timer);
  outcome.dataset.tone = tone;
  outcome.textContent = words;
  outcome.timer = setTimeout(() => (outcome.textContent = ""), TOLD_FOR_MS);
}

/** Buttons for these orders, as far as the caller may give them; `told` hears [tone, words] of what came of one. */
export function orderButtons(id, names, told) {
  return names
    .filter((name) => scopes.has(ORDERS[name].scope))
    .map((name) => {
      const { title, tone } = ORDERS[name];
      return h(
        "button",
        {
          type: "button",
          class: "order",
          "data-tone": tone,
          "data-order": name,
          "aria-label": `${title} ${id}`,
          onclick: (event) => carryOut(id, ORDERS[name], event.currentTarget, told),
        },
        title,
      );
    });
}

async function carryOut(id, order, button, told) {
  if (order.sure && !(await sure(`${order.title} ${id}?`, order))) return;
  button.setAttribute("aria-disabled", "true");
  button.disabled = true;
  try {
    const answer = await order.run(id);
    told(...(order.said ? order.said(answer) : ["good", order.done]));
  } catch (refused) {
    told("bad", refused.message);
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-disabled");
    button.focus();
  }
}

/** Ask twice; resolves to whether the person means it. */
function sure(question, { title, sure: words }) {
  const dialog = byId("sure");
  dialog.returnValue = "";
  const close = (value) => () => dialog.close(value);
  dialog.replaceChildren(
    h("h2", { id: "sure-title" }, question),
    h("p", {}, words),
    h(
      "p",
      { class: "buttons" },
      h("button", { type: "button", class: "plain", autofocus: true, onclick: close("") }, "Leave it"),
      h("button", { type: "button", class: "main bad", onclick: close("yes") }, title),
    ),
  );
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }),
  );
}
