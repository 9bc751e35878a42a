import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const HOST = process.env.TENURE_SERVER ?? 'http://127.0.0.1:8321';
// The host takes commands from its own pages only, so what passes through here comes from its address.
const proxied = { target: HOST, changeOrigin: true, headers: { origin: HOST } };

// The console is served by a Tenure host at `/`; its files go into the Python package.
export default defineConfig({
  base: '/',
  plugins: [svelte()],
  build: {
    outDir: '../src/tenure/http/console_files',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    // The licences of what is bundled go wherever the bundle goes.
    license: { fileName: 'licenses.md' },
    // On a busy machine everything is slow; that is no finding about a plugin.
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  // `npm run dev` shows a console that is rebuilt as one types, in front of a server that runs already.
  server: { proxy: { '/v1': proxied, '/sign-in/': proxied, '/docs': proxied } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
