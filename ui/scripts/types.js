// Makes the types of the API from the schemas that the station's own documents state. With --check it only
// says whether they are in step.
import { compile } from 'json-schema-to-typescript';
import { readFile, writeFile } from 'node:fs/promises';

const lib = new URL('../src/lib/', import.meta.url);
const types = new URL('api.gen.ts', lib);

const schema = JSON.parse(await readFile(new URL('api.schema.json', lib), 'utf8'));
const made = await compile({ ...schema, type: 'object', additionalProperties: false }, 'Api', {
  bannerComment: '// Made by `npm run types` from api.schema.json. Do not edit.',
  unreachableDefinitions: true,
  style: { singleQuote: true, printWidth: 120 },
});
const text = made
  .replace(/\n \*\n \* This interface was referenced by [^]*?\n \*\//g, '\n */')
  .replace(/\/\*\*\n \* This interface was referenced by [^]*?\*\/\n/g, '')
  .replace('export interface Api {}\n', '');

if (!process.argv.includes('--check')) await writeFile(types, text);
else if ((await readFile(types, 'utf8')) !== text) {
  process.stderr.write('src/lib/api.gen.ts is not what api.schema.json makes: npm run types\n');
  process.exit(1);
}
