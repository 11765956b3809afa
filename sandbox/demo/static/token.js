// What can be said of an access token without asking anybody: its claims, its name, its color.

const decode = (part) => JSON.parse(atob(part.replace(/-/g, "+").replace(/_/g, "/")));

/** The instants of a token's life, in milliseconds: what it states of itself, else what came with it. */
export function lifeOf(token, expiresAt, lifetimeMs) {
  let claims = {};
  try { claims = decode(token.split(".")[1]); } catch { /* opaque: the answer's own instant is all there is */ }
  const endsAt = claims.expiresAt ?? expiresAt ?? (claims.exp ? claims.exp * 1000 : Date.now() + lifetimeMs);
  return { endsAt, lifetime: claims.iat ? endsAt - claims.iat * 1000 : lifetimeMs };
}

/** The name journals give a token: the first 16 hex digits of its SHA-256. */
export async function nameOf(token) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return Array.from(new Uint8Array(digest).slice(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A color that is the same wherever the same token is shown. */
export const colorOf = (name) => `hsl(${parseInt(name.slice(0, 4), 16) % 360} 60% 50%)`;
