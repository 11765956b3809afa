// Node's http with pg: the user is looked up by the token that is presented.
import { createServer } from "node:http";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const FIND = { name: "find", text: 'SELECT "currentToken", "expiresAt" FROM "User" WHERE "accessToken" = $1' };

const server = createServer(async (request, response) => {
  const old = request.headers.authorization?.replace(/^Bearer /, "");
  if (!old) return answer(response, 401, { accessToken: "" });
  try {
    const { rows } = await pool.query({ ...FIND, values: [old] });
    if (rows.length === 0) return answer(response, 401, { accessToken: "" });
    const { currentToken, expiresAt } = rows[0];
    answer(response, 200, { accessToken: currentToken, accessTokenExpiresAt: expiresAt.getTime() });
  } catch {
    answer(response, 503, { accessToken: "" });
  }
});

function answer(response, status, value) {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  });
  response.end(body);
}

server.listen(Number(process.env.PORT), "127.0.0.1");
