import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

export default ts.config(
  { ignores: ['dist/', 'node_modules/'] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser } } },
  { files: ['*.config.{js,ts}'], languageOptions: { globals: { ...globals.node } } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: {
      parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'], svelteConfig },
    },
  },
  {
    rules: {
      'no-console': 'error',
      'no-undef': 'off',
      eqeqeq: 'error',
      // Most sets, maps and dates here are passing values that nothing watches.
      'svelte/prefer-svelte-reactivity': 'off',
      // Pages are plain files of this station; there is no router to resolve their addresses.
      'svelte/no-navigation-without-resolve': 'off',
    },
  },
);
