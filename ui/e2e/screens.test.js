// What the screens promise besides: the end of an alarm, who learns what, support, silence, and that
// everybody can use them.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { device, open } from './chromium.js';
import { County } from './county.js';

const shots = fileURLToPath(new URL('./shots/', import.meta.url));
const sizes = {
  '/': { width: 1280, height: 800 },
  '/kiosk': { width: 1280, height: 800 },
  '/patrol': { width: 390, height: 844 },
  '/dispatch': { width: 1600, height: 900 },
};

let county;
let browser;
const strangers = [];
const failures = [];

before(async () => {
  await mkdir(shots, { recursive: true });
  [county, browser] = await Promise.all([County.start(), open()]);
});

after(async () => {
  await browser?.close();
  await county?.stop();
});

/** Runs in the page before its own code: counts the notes that reach the loudspeaker. */
function countNotes() {
  window.notes = 0;
  const start = AudioScheduledSourceNode.prototype.start;
  AudioScheduledSourceNode.prototype.start = function (...when) {
    if (this.context.state === 'running') window.notes++;
    return start.apply(this, when);
  };
}

const notes = (p) => p.page.evaluate(() => window.notes);
const sounds = (p, before) => p.page.waitForFunction((n) => window.notes > n, before);
const shot = (p, name) => p.page.screenshot({ path: `${shots}${name}.png` });

/** A person's own device at a station's page, in that person's language. */
async function arrive(station, path, person, language = 'zh') {
  const page = await device(browser, { viewport: sizes[path] }, strangers);
  const frames = [];
  await page.addInitScript(countNotes);
  await page.addInitScript((chosen) => localStorage.setItem('hive.language', chosen), language);
  page.on('pageerror', (e) => failures.push(`${path} ${person ?? ''}: ${e}`));
  page.on('websocket', (s) => s.on('framereceived', ({ payload }) => frames.push(String(payload))));
  await page.goto(county.at(station, path + (person ? `?person=${person}` : '')));
  return { page, frames };
}

/** The same, with the sound unlocked by a touch. */
async function onWatch(station, path, person) {
  const p = await arrive(station, path, person);
  await p.page.getByRole('button', { name: '开始值守' }).click();
  await p.page.getByRole('button', { name: '听到了', exact: true }).click();
  return p;
}

const leave = (...people) => Promise.all(people.map((p) => p.page.context().close()));

async function raise(kiosk, category, { note, silent = false } = {}) {
  await kiosk.page.getByRole('button', { name: category }).click();
  const dialog = kiosk.page.getByRole('dialog');
  if (note) await dialog.getByLabel('情况（可不填）').fill(note);
  if (silent) await dialog.getByLabel('静默上报').check();
  await dialog.getByRole('button', { name: '确认上报' }).click();
}

const queue = (dispatch) => dispatch.page.getByRole('region', { name: '事件队列' });
const detail = (dispatch) => dispatch.page.getByRole('region', { name: '事件详情' });

test('what was noted reaches dispatch and never the public side; the end reaches all who were called', { timeout: 120_000 }, async () => {
  const secret = '李小花，家住村西三排';
  const kiosk = await onWatch('xinzhuang', '/kiosk');
  const neighbour = await onWatch('zhangyong', '/kiosk');
  const volunteer = await onWatch('zhangyong', '/patrol', 'vol-xu');
  const dispatch = await onWatch('hancun-post', '/dispatch', 'disp-li');
  const hear = [neighbour, volunteer, dispatch];
  const quiet = await Promise.all(hear.map(notes));

  await raise(kiosk, /疑似拐骗/, { note: secret });
  await Promise.all(hear.map((p, k) => sounds(p, quiet[k])));
  await neighbour.page.getByRole('alertdialog', { name: /疑似拐骗/ }).waitFor();
  await volunteer.page.getByRole('alertdialog', { name: /疑似拐骗/ }).waitFor();
  await shot(neighbour, 'kiosk-clue-card');

  await queue(dispatch).getByRole('button', { name: /疑似拐骗/ }).click();
  await detail(dispatch).getByText(secret).first().waitFor();
  await detail(dispatch).getByRole('button', { name: '解除告警' }).click();
  const decision = dispatch.page.getByRole('dialog');
  await decision.getByRole('textbox').fill('人已找到');
  await decision.getByRole('button', { name: '确定' }).click();
  await volunteer.page.getByRole('dialog', { name: '告警已解除' }).waitFor();
  await neighbour.page.getByRole('alertdialog').waitFor({ state: 'detached' });
  await kiosk.page.getByText('告警已解除').waitFor();
  await shot(volunteer, 'patrol-stood-down');

  // Not even unshown: no frame to a public device held it.
  const told = (p) => p.frames.some((f) => f.includes(secret));
  assert.ok(volunteer.frames.some((f) => f.includes('"alarm"')), 'the volunteer was sent an alarm');
  assert.deepEqual({ volunteer: told(volunteer), neighbour: told(neighbour), dispatch: told(dispatch) },
    { volunteer: false, neighbour: false, dispatch: true });
  await leave(kiosk, ...hear);
});

test('a call for support stands above every alarm at another station, and at dispatch', { timeout: 120_000 }, async () => {
  const kiosk = await onWatch('xinzhuang', '/kiosk');
  const officer = await onWatch('hancun-post', '/patrol', 'officer-wang');
  const colleague = await onWatch('caojiawu-post', '/patrol', 'officer-ma');
  const dispatch = await onWatch('caojiawu-post', '/dispatch', 'disp-zhao');

  await raise(kiosk, /治安警情/);
  await officer.page.getByRole('alertdialog', { name: /治安警情/ }).getByRole('button', { name: '接令' }).click();
  const quiet = await notes(colleague);
  await officer.page.getByRole('button', { name: /需要支援/ }).focus();
  await officer.page.keyboard.down('Enter');
  await officer.page.getByText('支援请求已发出').waitFor();
  await officer.page.keyboard.up('Enter');

  const call = colleague.page.getByRole('alertdialog', { name: '同事请求支援' });
  await call.getByText('王强').waitFor();
  await sounds(colleague, quiet);
  await shot(colleague, 'patrol-support');
  const banner = dispatch.page.getByRole('alert').filter({ hasText: '王强 请求支援' });
  await banner.getByRole('button', { name: '查看' }).click();
  await banner.waitFor({ state: 'detached' });
  await leave(kiosk, officer, colleague, dispatch);
});

test('a silent alert makes no sound and shows nothing at the station where it was raised', { timeout: 120_000 }, async () => {
  const kiosk = await onWatch('xinzhuang', '/kiosk');
  const second = await onWatch('xinzhuang', '/kiosk');
  const dispatch = await onWatch('hancun-post', '/dispatch', 'disp-li');
  const quiet = await notes(dispatch);
  const still = await Promise.all([kiosk, second].map(notes));

  await raise(kiosk, /走失/, { silent: true });
  await sounds(dispatch, quiet);
  await kiosk.page.getByText('已登记').waitFor();
  await queue(dispatch).getByRole('button', { name: /走失/ }).click();
  await dispatch.page.getByText('静默上报：不要回拨、不要在现场响铃').waitFor();
  assert.deepEqual(await Promise.all([kiosk, second].map(notes)), still);
  assert.equal(await second.page.getByRole('alertdialog').count(), 0);
  await leave(kiosk, second, dispatch);
});

test('axe finds nothing to object to on any page, in both languages', { timeout: 120_000 }, async () => {
  for (const language of ['zh', 'en']) {
    for (const [path, person] of [['/'], ['/kiosk'], ['/patrol', 'vol-lin'], ['/dispatch', 'disp-zhao']]) {
      const p = await arrive('caojiawu-post', path, person, language);
      await p.page.getByRole('button', { name: language === 'zh' ? 'English' : '中文' }).first().waitFor();
      await p.page.evaluate(axe.source);
      const { violations } = await p.page.evaluate(() => window.axe.run());
      const found = violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`);
      assert.deepEqual(found, [], `${path} in ${language}`);
      await leave(p);
    }
  }
});

/** Forms a cell of a township, as `hive cells form` does. */
async function formCell(cell, township) {
  const post = async (path, body, token) => {
    const answer = await fetch(county.at('hancun-post', path), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Prefer: 'wait=10', ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify(body),
    });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
    return answer.json();
  };
  const { token } = await post('/v1/session', { person: 'admin-yu' });
  const { kept } = await post('/v1/cells', { cell, townships: [township] }, token);
  assert.ok(kept.recorded, 'the cell is on the record');
}

test('a desk transfers a matter to another cell, which works it on to its end', { timeout: 120_000 }, async () => {
  const kiosk = await onWatch('xinzhuang', '/kiosk');
  const here = await onWatch('hancun-post', '/dispatch', 'disp-li');
  const there = await onWatch('caojiawu-post', '/dispatch', 'disp-zhao');
  await raise(kiosk, /火情/);
  await queue(here).getByRole('button', { name: /火情/ }).click();
  assert.equal(await detail(here).getByRole('button', { name: /^移交/ }).count(), 0, 'one cell: nowhere to go');
  await formCell('caojiawu', '曹家务乡');

  await detail(here).getByRole('button', { name: /^移交/ }).click();
  const dialog = here.page.getByRole('dialog', { name: '移交给哪个片区？' });
  await dialog.getByRole('radio', { name: /曹家务乡/ }).waitFor();
  await shot(here, 'dispatch-transfer');
  await dialog.getByRole('textbox', { name: '原因' }).fill('已过界');
  await dialog.getByRole('button', { name: '确定' }).click();

  await queue(there).getByRole('button', { name: /火情/ }).click();
  await detail(there).getByRole('definition').filter({ hasText: '曹家务乡' }).waitFor();
  await detail(there).getByText('移交给：曹家务乡').first().waitFor();
  await shot(there, 'dispatch-transferred');
  await detail(there).getByRole('button', { name: '办结' }).click();
  const end = there.page.getByRole('dialog');
  await end.getByRole('textbox').fill('隐患已除');
  await end.getByRole('button', { name: '确定' }).click();
  await detail(there).getByText('已办结').first().waitFor();
  await leave(kiosk, here, there);
});

test('a desk says in words what is wrong with the machines', { timeout: 60_000 }, async () => {
  const dispatch = await arrive('hancun-post', '/dispatch', 'disp-li');
  await dispatch.page.route('**/v1/mesh', async (route) => {
    const answer = await route.fetch();
    const mesh = await answer.json();
    mesh.disk = { ...mesh.disk, level: 'shed', free: 200 * 2 ** 20 };
    mesh.gone = [{ station: 'caojiawu-works', name: '曹家务家具厂站', why: 'expelled', at: new Date().toISOString() }];
    for (const cell of mesh.cells) cell.leader = '';
    await route.fulfill({ response: answer, json: mesh });
  });
  const strip = dispatch.page.getByRole('status', { name: '运行提示' });
  for (const said of ['曹家务家具厂站', '只剩 200 MB', '够不到多数站点']) await strip.getByText(said).first().waitFor();
  await shot(dispatch, 'dispatch-troubles');
  await dispatch.page.evaluate(axe.source);
  const { violations } = await dispatch.page.evaluate(() => window.axe.run());
  assert.deepEqual(violations.map((v) => v.id), []);
  await leave(dispatch);
});

test('no page failed, and none asked another host', () => {
  assert.deepEqual({ failures, strangers }, { failures: [], strangers: [] });
});
