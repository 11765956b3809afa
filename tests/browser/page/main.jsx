// A page as a customer builds it: Cal.com's own provider, the broker's refresh endpoint and, where the test
// wants it, the broker's helper as the broker serves it. The test puts `settings` into the window before the
// page loads, and plays and reads `page`.
import { CalProvider, useAtomsContext, useMe } from "@calcom/atoms";
import * as React from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";

const { apiUrl, brokerUrl, clientId, accessToken, keepsFresh, margin } = window.settings;
const refreshUrl = `${brokerUrl}/refresh`;
const options = { apiUrl, refreshUrl };

/** What the provider has told the page of its refreshes, and the tokens the page has given the provider. */
const heard = { started: 0, succeeded: 0, failed: [] };
const given = [];
let client;

function Person() {
  const atoms = useAtomsContext();
  const me = useMe();
  client = atoms.getClient();
  return (
    <dl>
      <dt>User</dt>
      <dd id="user">{me.data?.data.email ?? "nobody yet"}</dd>
      <dt>Provider</dt>
      <dd id="provider">{atoms.error || (atoms.isAuth ? "signed in" : "not signed in")}</dd>
    </dl>
  );
}

function Provider({ token }) {
  React.useEffect(() => void given.push(token), [token]);
  return (
    <CalProvider
      clientId={clientId}
      accessToken={token}
      options={options}
      onTokenRefreshStart={() => (heard.started += 1)}
      onTokenRefreshSuccess={() => (heard.succeeded += 1)}
      onTokenRefreshError={(error) => heard.failed.push(String(error))}
    >
      <h1>{keepsFresh ? "With the helper" : "The client alone"}</h1>
      <Person />
    </CalProvider>
  );
}

async function pageWithHelper() {
  const { createUseFreshToken } = await import(/* @vite-ignore */ `${brokerUrl}/use-fresh-token.js`);
  const useFreshToken = createUseFreshToken(React);
  return () => <Provider token={useFreshToken({ refreshUrl, accessToken, margin })} />;
}

const Page = keepsFresh ? await pageWithHelper() : () => <Provider token={accessToken} />;
let root;

window.page = {
  heard: () => heard,
  /** Whether the provider is done with its check on mount: only then does it hear of a refused call. */
  ready: () => document.getElementById("provider")?.textContent === "signed in",
  given: () => given,
  /** Call the API as any part of the page would, through the provider's own client. */
  callMe: () =>
    client.get("/me").then(
      ({ status, data }) => ({ status, email: data.data.email }),
      (error) => ({ status: error.response?.status ?? 0, error: error.message }),
    ),
  /** The token that the provider's client sends at the moment. */
  token: () => client.getAuthorizationHeader().replace("Bearer ", ""),
  /** Put the provider into the page, as on the first day: with the token that the page was loaded with. */
  mount: () => {
    root = createRoot(document.getElementById("root"));
    flushSync(() => root.render(<Page />));
  },
  unmount: () => root.unmount(),
};
window.page.mount();
