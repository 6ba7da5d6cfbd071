import { untrack } from 'svelte';

// The four tones, made by Web Audio so that nothing has to be fetched, and the rule for repeating them.

export type Tone = 'first' | 'other' | 'assigned' | 'lost';

/** Notes of a tone: frequency in Hz, start and length in seconds. */
const notes: Record<Tone, [number, number, number][]> = {
  first: [
    [880, 0, 0.22],
    [660, 0.24, 0.22],
    [880, 0.48, 0.22],
    [660, 0.72, 0.3],
  ],
  other: [
    [587, 0, 0.16],
    [784, 0.18, 0.24],
  ],
  assigned: [
    [523, 0, 0.14],
    [659, 0.16, 0.14],
    [784, 0.32, 0.3],
  ],
  lost: [
    [440, 0, 0.25],
    [311, 0.28, 0.45],
  ],
};

/** How often a tone repeats until it is answered, in milliseconds; 0: never. */
const repeat: Record<Tone, number> = { first: 5_000, other: 0, assigned: 10_000, lost: 0 };

/** Muting is shelving: never longer than this. */
export const longestMute = 10 * 60_000;

const volume = 0.5;

/** Sound plays tones once the person has unlocked audio by a gesture, and repeats those unanswered. */
export class Sound {
  /** Browsers play nothing before a gesture; while this is true the page shows a red bar. */
  locked = $state(true);
  mutedUntil = $state(0);
  muteReason = $state('');
  /** How many tones were due on this page, heard or not; tests and a person at a silent desk read it. */
  played = 0;
  #context: AudioContext | undefined;
  #ringing = new Map<string, ReturnType<typeof setInterval> | undefined>();

  /** Must be called from a gesture. */
  async unlock(): Promise<void> {
    const Context = window.AudioContext ?? (window as unknown as { webkitAudioContext?: typeof AudioContext }).webkitAudioContext;
    if (!Context) return;
    this.#context ??= new Context();
    await this.#context.resume();
    this.locked = this.#context.state !== 'running';
    this.#context.onstatechange = () => {
      this.locked = this.#context?.state !== 'running';
    };
  }

  /** May be called in an effect: it never depends on what this reads, else unlocking would play it again. */
  play(tone: Tone): void {
    untrack(() => this.#play(tone));
  }

  #play(tone: Tone): void {
    this.played++;
    document.documentElement.dataset['tone'] = tone;
    document.documentElement.dataset['tones'] = String(this.played);
    const context = this.#context;
    if (!context || this.locked || Date.now() < this.mutedUntil) return;
    for (const [frequency, start, length] of notes[tone]) this.#note(context, frequency, start, length);
    if (tone === 'first' || tone === 'assigned') vibrate([400, 150, 400]);
  }

  /** Sounds now and, where the tone repeats, until quiet is called; a name that rings already goes on. */
  ring(name: string, tone: Tone): void {
    if (this.#ringing.has(name)) return;
    this.play(tone);
    const every = repeat[tone];
    this.#ringing.set(name, every ? setInterval(() => this.play(tone), every) : undefined);
  }

  quiet(name: string): void {
    const timer = this.#ringing.get(name);
    if (timer !== undefined) clearInterval(timer);
    this.#ringing.delete(name);
  }

  /** Ends every ringing whose name is not among these. */
  keepOnly(names: Set<string>): void {
    for (const name of [...this.#ringing.keys()]) if (!names.has(name)) this.quiet(name);
  }

  mute(ms: number, reason: string): void {
    this.mutedUntil = Date.now() + Math.min(ms, longestMute);
    this.muteReason = reason;
  }

  unmute(): void {
    this.mutedUntil = 0;
  }

  #note(context: AudioContext, frequency: number, start: number, length: number): void {
    const at = context.currentTime + start;
    const tone = context.createOscillator();
    const gain = context.createGain();
    tone.type = 'triangle';
    tone.frequency.value = frequency;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(volume, at + 0.02);
    gain.gain.setValueAtTime(volume, at + length - 0.04);
    gain.gain.linearRampToValueAtTime(0, at + length);
    tone.connect(gain).connect(context.destination);
    tone.start(at);
    tone.stop(at + length);
  }
}

function vibrate(pattern: number[]): void {
  if ('vibrate' in navigator) navigator.vibrate(pattern);
}
