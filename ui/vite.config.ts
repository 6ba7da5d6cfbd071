import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Old kiosk computers stay in service for years; this is the oldest browser that a screen must run in.
const oldest = ['chrome87', 'firefox78', 'safari14'];

export default defineConfig({
  plugins: [svelte()],
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
