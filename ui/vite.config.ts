import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

// Old kiosk computers stay in service for years; this is the oldest browser that a screen must run in.
const oldest = ['chrome87', 'firefox78', 'safari14'];

/**
 * Svelte scopes the later parts of a selector by :where(.svelte-…), which Chrome knows from 88 on: an older
 * one drops the whole rule. Without :where a rule weighs a class more, in every component alike.
 */
function withoutWhere(): Plugin {
  return {
    name: 'without-where',
    transform: {
      order: 'pre',
      handler: (code, id) =>
        id.includes('type=style') ? { code: code.replace(/:where\((\.svelte-[\w-]+)\)/g, '$1'), map: null } : undefined,
    },
  };
}

export default defineConfig({
  plugins: [svelte(), withoutWhere()],
  build: {
    target: oldest,
    cssTarget: oldest,
    outDir: 'dist/app',
    emptyOutDir: true,
    // The content security policy allows files of this station only, so nothing is inlined.
    assetsInlineLimit: 0,
    rollupOptions: {
      input: ['index.html', 'kiosk.html', 'patrol.html', 'dispatch.html'],
    },
  },
  resolve: process.env.VITEST ? { conditions: ['browser'] } : {},
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.ts'],
  },
});
