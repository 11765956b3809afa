// Node's http with ioredis: whose token is this, and which one is current, is kept in Redis by the token's hash.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import Redis from "ioredis";

const redis = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true });

const server = createServer(async (request, response) => {
  const old = request.headers.authorization?.replace(/^Bearer /, "");
  if (!old) return answer(response, 401, '{"accessToken":""}');
  try {
    const found = await redis.get(`token:${createHash("sha256").update(old).digest("hex")}`);
    answer(response, found ? 200 : 401, found ?? '{"accessToken":""}');
  } catch {
    answer(response, 503, '{"accessToken":""}');
  }
});

function answer(response, status, body) {
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  });
  response.end(body);
}

server.listen(Number(process.env.PORT), "127.0.0.1");
