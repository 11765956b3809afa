// The endpoint that everybody writes: look up, refresh upstream, update.
import { answer, bearerOf } from "../../../lib/bearer";
import { db } from "../../../lib/db";

export const dynamic = "force-dynamic";

export async function GET(request) {
  const user = await db.user.findUnique({ where: { accessToken: bearerOf(request) } });
  if (!user) return answer("", 401);
  const refreshed = await fetch(`${process.env.CAL_API_URL}/oauth/${process.env.CAL_OAUTH_CLIENT_ID}/refresh`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-cal-secret-key": process.env.X_CAL_SECRET_KEY },
    body: JSON.stringify({ refreshToken: user.refreshToken }),
  });
  if (!refreshed.ok) return answer("", 502);
  const { data } = await refreshed.json();
  await db.user.update({
    where: { id: user.id },
    data: {
      accessToken: data.accessToken,
      currentToken: data.accessToken,
      refreshToken: data.refreshToken,
      expiresAt: new Date(data.accessTokenExpiresAt),
    },
  });
  return answer(data.accessToken);
}
