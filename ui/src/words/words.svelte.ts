import { device } from '../lib/storage';
import { en } from './en';
import { zh } from './zh';

export type Language = 'zh' | 'en';
export type Key = keyof typeof zh;
export type Filling = Record<string, string | number>;

const catalogues: Record<Language, Record<Key, string>> = { zh, en };
const storeKey = 'hive.language';

/** The screen's language; Chinese until somebody chooses otherwise on this device. */
class Chosen {
  language = $state<Language>(device.read(storeKey) === 'en' ? 'en' : 'zh');

  constructor() {
    this.#mark();
  }

  toggle(): void {
    this.language = this.language === 'zh' ? 'en' : 'zh';
    device.write(storeKey, this.language);
    this.#mark();
  }

  /** A screen reader reads the page in the language that the page says it is in. */
  #mark(): void {
    document.documentElement.lang = this.language === 'zh' ? 'zh-CN' : 'en';
  }
}

export const chosen = new Chosen();

export function fill(pattern: string, filling: Filling): string {
  return pattern.replace(/\{(\w+)\}/g, (whole, name: string) => String(filling[name] ?? whole));
}

/** A word of the catalogue in the screen's language. */
export function say(key: Key, filling: Filling = {}): string {
  return fill(catalogues[chosen.language][key], filling);
}

/** The same word in the other language, for screens that show both. */
export function beside(key: Key, filling: Filling = {}): string {
  return fill(catalogues[chosen.language === 'zh' ? 'en' : 'zh'][key], filling);
}

export function isKey(key: string): key is Key {
  return key in zh;
}

/** The catalogue's word for a name the station made up, or the name itself where there is none. */
export function sayName(family: 'role' | 'status' | 'stepped' | 'step' | 'source' | 'level' | 'rating' | 'evidence' | 'clock', name: string): string {
  const key = `${family}.${name}` as Key;
  return key in zh ? say(key) : name;
}
