import { device } from './storage';

/** A random UUID. crypto.randomUUID is absent on plain HTTP at a LAN name; getRandomValues is not. */
export function newID(): string {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = ((b[6] ?? 0) & 0x0f) | 0x40;
  b[8] = ((b[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A stable random name of this browser for one purpose, made once. */
export function deviceID(purpose: string): string {
  const key = `hive.device.${purpose}`;
  const have = device.read(key);
  if (have) return have;
  const made = newID();
  device.write(key, made);
  return made;
}
