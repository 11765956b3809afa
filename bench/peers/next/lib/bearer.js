export function bearerOf(request) {
  return request.headers.get("authorization")?.replace(/^Bearer /, "") ?? "";
}

export function answer(accessToken, status = 200) {
  return Response.json({ accessToken }, { status, headers: { "cache-control": "no-store" } });
}
