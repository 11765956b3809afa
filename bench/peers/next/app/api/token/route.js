// Only the look-up: what the hand-written route would cost if upstream never had to be asked.
import { answer, bearerOf } from "../../../lib/bearer";
import { db } from "../../../lib/db";

export const dynamic = "force-dynamic";

export async function GET(request) {
  const user = await db.user.findUnique({ where: { accessToken: bearerOf(request) } });
  return user ? answer(user.currentToken) : answer("", 401);
}
