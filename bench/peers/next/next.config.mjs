import path from "node:path";

// The packages are installed one folder up, for all peers.
export default { turbopack: { root: path.join(import.meta.dirname, "..") } };
