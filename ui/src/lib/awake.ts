let asked = false;

/** Keeps the screen on while the page is visible, where the browser can: a locked phone hears nothing. */
export async function stayAwake(): Promise<void> {
  if (!('wakeLock' in navigator)) return;
  if (!asked) {
    asked = true;
    // The browser lets go of the lock whenever the page is hidden.
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') void stayAwake();
    });
  }
  await navigator.wakeLock.request('screen').catch(() => undefined);
}
