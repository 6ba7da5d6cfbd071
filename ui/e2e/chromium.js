// Debian's Chromium, driven headless; nothing is downloaded.
import { chromium } from 'playwright-core';

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const open = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags });

/** A device of its own: its own storage, and nothing it asks for may be elsewhere than at this machine. */
export async function device(browser, options, strangers) {
  const context = await browser.newContext({ locale: 'zh-CN', timezoneId: 'Asia/Shanghai', ...options });
  context.setDefaultTimeout(20_000);
  await context.route(
    (url) => url.hostname !== '127.0.0.1',
    (route) => route.abort(),
  );
  const page = await context.newPage();
  const note = (url) => {
    if (/^(https?|wss?):/.test(url) && new URL(url).hostname !== '127.0.0.1') strangers.push(url);
  };
  page.on('request', (r) => note(r.url()));
  page.on('websocket', (s) => note(s.url()));
  return page;
}
