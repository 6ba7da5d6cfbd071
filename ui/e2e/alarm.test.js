// The main job in real browsers: a kiosk raises, a volunteer's screen at another station sounds and answers,
// and dispatch at a third sees both.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { device, open } from './chromium.js';
import { County } from './county.js';

const shots = fileURLToPath(new URL('./shots/', import.meta.url));
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true };
const desk = { viewport: { width: 1440, height: 900 } };
/** Some 400 m from the kiosk that raises: in the first ring, so the alarm comes at once. */
const westEnd = { longitude: 116.49559, latitude: 39.32036 };

let county;
let browser;
const strangers = [];

before(async () => {
  await mkdir(shots, { recursive: true });
  [county, browser] = await Promise.all([County.start(), open()]);
});

after(async () => {
  await browser?.close();
  if (county) assert.equal(await county.stop(), 0, 'the county stops cleanly');
});

const shot = (page, name) => {
  const { width, height } = page.viewportSize();
  return page.screenshot({ path: `${shots}${name}-${width}x${height}.png` });
};

/** A browser plays nothing before a touch, so a shift begins with one. */
async function beginShift(page) {
  await page.getByRole('button', { name: '开始值守' }).click();
  await page.getByRole('button', { name: '听到了' }).click();
}

const tones = (page) => page.evaluate(() => Number(document.documentElement.dataset.tones ?? 0));

const until = (page, n) => page.waitForFunction((least) => Number(document.documentElement.dataset.tones ?? 0) >= least, n);

test('an alert raised at a kiosk sounds at another station, is answered there, and dispatch sees it', { timeout: 120_000 }, async () => {
  const kiosk = await device(browser, desk, strangers);
  const patrol = await device(browser, { ...phone, geolocation: westEnd, permissions: ['geolocation'] }, strangers);
  const dispatch = await device(browser, desk, strangers);
  await Promise.all([
    kiosk.goto(county.at('xinzhuang', '/kiosk')),
    patrol.goto(county.at('zhangyong', '/patrol?person=vol-xu')),
    dispatch.goto(county.at('hancun-post', '/dispatch?person=disp-li')),
  ]);
  await beginShift(patrol);
  await beginShift(dispatch);
  await patrol.getByRole('button', { name: '使用设备定位' }).click();
  await patrol.getByText('位置：设备定位').waitFor();
  await patrol.getByText('已连接').waitFor();
  const before = { patrol: await tones(patrol), dispatch: await tones(dispatch) };
  assert.equal(before.patrol, 1, 'only the tone that asks whether it is heard');
  const queue = dispatch.getByRole('region', { name: '事件队列' });
  await queue.getByText('没有未结事件').waitFor();
  await Promise.all([shot(kiosk, 'kiosk'), shot(patrol, 'patrol-quiet')]);

  // Two touches raise it.
  await kiosk.getByRole('button', { name: /疑似拐骗/ }).click();
  const confirm = kiosk.getByRole('dialog', { name: /疑似拐骗/ });
  await confirm.waitFor();
  await shot(kiosk, 'kiosk-confirm');
  await confirm.getByRole('button', { name: '确认上报' }).click();

  // It sounds elsewhere, named for what it is.
  const alarm = patrol.getByRole('alertdialog', { name: /疑似拐骗/ });
  await alarm.waitFor();
  await until(patrol, before.patrol + 1);
  await until(dispatch, before.dispatch + 1);
  await shot(patrol, 'patrol-alarm');
  await alarm.getByText('不要追赶', { exact: false }).first().waitFor();

  // Who raised it is told the truth, up to the record and the devices reached.
  await kiosk.getByRole('heading', { name: '已收到您的上报' }).waitFor();
  await kiosk.getByText(/已入县记录/).waitFor();
  await kiosk.getByText(/已送达 [1-9]/).waitFor();

  const row = queue.getByRole('button', { name: /疑似拐骗/ });
  await row.waitFor();
  await row.getByText('无人应答').waitFor();
  await row.click();
  await shot(dispatch, 'dispatch-raised');

  // An answer ends the alarm at that device, and everybody learns of it.
  await alarm.getByRole('button', { name: '接令' }).click();
  await alarm.waitFor({ state: 'detached' });
  await patrol.getByRole('heading', { name: /疑似拐骗/ }).waitFor();
  await row.getByText(/赶赴 1\//).waitFor();
  const detail = dispatch.getByRole('region', { name: '事件详情' });
  await detail.getByRole('listitem').filter({ hasText: '徐芳' }).filter({ hasText: '已接令' }).first().waitFor();
  await kiosk.getByText('1 人正在赶来').waitFor();
  await Promise.all([shot(patrol, 'patrol-accepted'), shot(dispatch, 'dispatch-accepted'), shot(kiosk, 'kiosk-receipt')]);

  // Loaded anew, and at another station, the device does not sound again for the same wave.
  const other = await patrol.context().newPage();
  await other.goto(county.at('caojiawu-works', '/patrol?person=vol-xu'));
  await other.getByText('疑似拐骗').first().waitFor();
  assert.equal(await other.getByRole('alertdialog').count(), 0, 'an answered alarm does not come back');
});

test('an officer who is sent hears it, finds it among his own, and his button goes on with each step', { timeout: 120_000 }, async () => {
  const dispatch = await device(browser, desk, strangers);
  const patrol = await device(browser, phone, strangers);
  await Promise.all([
    dispatch.goto(county.at('hancun-post', '/dispatch?person=disp-li')),
    patrol.goto(county.at('caojiawu-post', '/patrol?person=officer-ma')),
  ]);
  await beginShift(dispatch);
  await beginShift(patrol);
  await dispatch.getByRole('button', { name: /新建事件/ }).click();
  const form = dispatch.getByRole('dialog');
  await form.getByLabel(/^类别/).selectOption({ label: '公共设施' });
  await form.getByLabel(/^网格/).selectOption({ index: 1 });
  await form.getByRole('button', { name: '建立事件' }).click();
  const row = dispatch.getByRole('region', { name: '事件队列' }).getByRole('button', { name: /公共设施/ });
  await row.click();
  await dispatch.getByRole('region', { name: '事件详情' }).getByRole('button', { name: /^派遣/ }).click();
  const whom = dispatch.getByRole('dialog', { name: '派遣谁？' });
  await whom.getByLabel('姓名、角色或编号').fill('马军');
  await whom.getByRole('button', { name: /马军/ }).click();

  await patrol.waitForFunction(() => document.documentElement.dataset.tone === 'assigned');
  const mine = patrol.getByRole('region', { name: '我的任务' });
  await mine.getByText('已派遣').waitFor();
  await shot(patrol, 'patrol-assigned');
  await mine.getByRole('button', { name: /公共设施/ }).click();
  for (const [press, then] of [['接令', '出发'], ['出发', '到场'], ['到场', '处置完']]) {
    await patrol.getByRole('button', { name: press, exact: true }).click();
    await patrol.getByRole('button', { name: then, exact: true }).waitFor();
  }
  await shot(patrol, 'patrol-on-scene');
  // Loaded anew, the page still knows how far he is: it is the station that says so, not the page.
  await patrol.reload();
  await patrol.getByRole('region', { name: '我的任务' }).getByText('已到场').waitFor();
  await Promise.all([dispatch.context().close(), patrol.context().close()]);
});

test('a narrow kiosk and a narrow dispatch desk fit their screens', { timeout: 60_000 }, async () => {
  for (const [name, station, path, ready] of [
    ['kiosk', 'caojiawu-works', '/kiosk', '发生了什么？'], // out of reach of what was raised before
    ['dispatch', 'hancun-post', '/dispatch?person=disp-li', '事件队列'],
    ['start', 'hancun-post', '/', '本县站点'],
  ]) {
    const page = await device(browser, phone, strangers);
    await page.goto(county.at(station, path));
    await page.getByText(ready).first().waitFor();
    await shot(page, name);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(over <= 0, `${name} is ${over} px wider than a phone`);
    await page.context().close();
  }
});

test('no page asks for anything beyond this machine', () => {
  assert.deepEqual(strangers, []);
});
