// Local and session storage that never throw: private windows and full disks must not stop a screen.
// What could not be kept is simply not there after a reload.

export interface Shelf {
  read(key: string): string | null;
  write(key: string, value: string): void;
  drop(key: string): void;
}

function shelf(of: () => Storage): Shelf {
  const attempt = <T>(f: (s: Storage) => T, otherwise: T): T => {
    try {
      return f(of());
    } catch {
      return otherwise;
    }
  };
  return {
    read: (key) => attempt((s) => s.getItem(key), null),
    write: (key, value) => attempt((s) => s.setItem(key, value), undefined),
    drop: (key) => attempt((s) => s.removeItem(key), undefined),
  };
}

/** Shared by all tabs of this origin; survives a restart. */
export const device = shelf(() => window.localStorage);

/** This tab's own; survives a reload. */
export const tab = shelf(() => window.sessionStorage);

export function readJSON<T>(from: Shelf, key: string, otherwise: T): T {
  const text = from.read(key);
  if (text === null) return otherwise;
  try {
    return JSON.parse(text) as T;
  } catch {
    return otherwise;
  }
}

export function writeJSON(to: Shelf, key: string, value: unknown): void {
  to.write(key, JSON.stringify(value));
}
