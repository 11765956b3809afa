import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// @calcom/atoms says of all its modules that importing them does nothing. The one that extends its own
// copy of dayjs does: without it the page dies at "Cannot read properties of undefined (reading 'guess')".
const keepDayjsPlugins = {
  name: "keep-dayjs-plugins",
  enforce: "pre",
  async resolveId(source, importer, options) {
    if (!source.endsWith("vendor/dayjs/index.js")) return null;
    const found = await this.resolve(source, importer, { ...options, skipSelf: true });
    return found && { ...found, moduleSideEffects: true };
  },
};

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here("page"),
  plugins: [keepDayjsPlugins, react()],
  // The CommonJS half of react-use arrives without its default exports.
  resolve: { alias: [{ find: /^react-use\/lib\//, replacement: "react-use/esm/" }] },
  build: { outDir: here("dist"), emptyOutDir: true, reportCompressedSize: false, chunkSizeWarningLimit: 4096 },
});
