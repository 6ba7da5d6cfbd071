// The demo county as a process of its own, on free ports and in a directory of its own.
import { spawn } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Stations in the order of their ports. */
export const stations = ['hancun-post', 'xinzhuang', 'caojiawu-post', 'zhangyong', 'caojiawu-works'];
/** A station's mesh port lies so far above its HTTP port. */
const meshGap = 1000;
const hive = fileURLToPath(new URL('../../bin/hive', import.meta.url));

const isFree = (port) =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

async function freeBase() {
  for (let tries = 0; tries < 50; tries++) {
    const base = 20_000 + 10 * Math.floor(Math.random() * 1000);
    const ports = stations.flatMap((_, k) => [base + k, base + k + meshGap]);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return base;
  }
  throw new Error('no free ports for five stations');
}

export class County {
  #process;
  #dir;
  #said = '';

  static async start() {
    await access(hive).catch(() => {
      throw new Error('bin/hive is not there: make build');
    });
    const county = new County();
    county.base = await freeBase();
    county.#dir = await mkdtemp(join(tmpdir(), 'hive-e2e-'));
    county.#process = spawn(hive, ['demo', '--port', String(county.base), '--dir', join(county.#dir, 'county')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const out of [county.#process.stdout, county.#process.stderr]) {
      out.on('data', (text) => (county.#said = (county.#said + text).slice(-20_000)));
    }
    try {
      await county.#ready();
    } catch (e) {
      await county.stop();
      throw e;
    }
    return county;
  }

  /** The address of a page or route at a station. */
  at(station, path) {
    return `http://127.0.0.1:${this.base + stations.indexOf(station)}${path}`;
  }

  async #ready() {
    const deadline = Date.now() + 40_000;
    for (const station of stations) {
      for (;;) {
        if (this.#process.exitCode !== null) throw new Error(`hive demo ended: ${this.#said}`);
        const why = await fetch(this.at(station, '/readyz'))
          .then(async (r) => (r.ok ? '' : await r.text()))
          .catch((e) => String(e));
        if (!why) break;
        if (Date.now() > deadline) throw new Error(`${station} is not ready: ${why}\n${this.#said}`);
        await wait(100);
      }
    }
  }

  /** Ends the county as Ctrl-C does and resolves to its exit code. */
  async stop() {
    const code = await new Promise((resolve) => {
      if (this.#process.exitCode !== null) return resolve(this.#process.exitCode);
      const kill = setTimeout(() => this.#process.kill('SIGKILL'), 20_000);
      this.#process.once('exit', (c) => {
        clearTimeout(kill);
        resolve(c);
      });
      this.#process.kill('SIGINT');
    });
    await rm(this.#dir, { recursive: true, force: true });
    return code;
  }
}
