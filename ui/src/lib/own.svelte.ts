import type { Point } from './api';
import { device, readJSON, tab, writeJSON } from './storage';

export type PositionSource = 'none' | 'gps' | 'tap';

/**
 * Own is where this person is and whether on duty. Geolocation exists only in a secure context; elsewhere,
 * and in a schematic demo county, the person taps the map.
 */
export class Own {
  at = $state<Point>();
  source = $state<PositionSource>('none');
  duty = $state(true);
  /** Why there is no position from the device; empty while there is one or nobody asked. */
  trouble = $state<'' | 'insecure' | 'denied' | 'unavailable'>('');
  #watch: number | undefined;

  constructor(
    private readonly key: string,
    private readonly moved: (at: Point) => void,
  ) {
    this.at = readJSON<Point | undefined>(tab, `${key}.at`, undefined);
    if (this.at) this.source = 'tap';
    this.duty = readJSON<boolean>(device, `${key}.duty`, true);
  }

  /** Sets the position by hand. A tap outweighs the device's own until follow is called again. */
  set(at: Point): void {
    this.stopFollowing();
    this.#put(at, 'tap');
  }

  setDuty(duty: boolean): void {
    this.duty = duty;
    writeJSON(device, `${this.key}.duty`, duty);
    if (!duty) this.stopFollowing();
  }

  /** Follows the device's own position. */
  follow(): void {
    if (!window.isSecureContext || !('geolocation' in navigator)) {
      this.trouble = 'insecure';
      return;
    }
    this.stopFollowing();
    this.#watch = navigator.geolocation.watchPosition(
      (p) => {
        this.trouble = '';
        this.#put({ lon: p.coords.longitude, lat: p.coords.latitude }, 'gps');
      },
      (e) => {
        this.trouble = e.code === e.PERMISSION_DENIED ? 'denied' : 'unavailable';
      },
      { enableHighAccuracy: true, maximumAge: 10_000 },
    );
  }

  stopFollowing(): void {
    if (this.#watch !== undefined) navigator.geolocation.clearWatch(this.#watch);
    this.#watch = undefined;
  }

  #put(at: Point, source: PositionSource): void {
    this.at = at;
    this.source = source;
    writeJSON(tab, `${this.key}.at`, at);
    if (this.duty) this.moved(at);
  }
}
