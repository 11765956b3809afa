// Stands in for an app's own sessions: whoever the cookie names is signed in.
import { cookies } from "next/headers";

export const currentUser = async () => {
  const id = (await cookies()).get("user")?.value;
  return id && { id, email: `${id}@example.com`, name: id };
};
