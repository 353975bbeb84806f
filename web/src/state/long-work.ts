/** Work that takes a while, of which there is one at a time: what it is, how far it is, and how it is stopped. */

import { signal } from "@preact/signals";
import { isAbort } from "../api/http";
import type { Job } from "../api/types";

export class LongWork {
  readonly current = signal<{ what: string; job: Job | null; stop: AbortController } | null>(null);

  constructor(private readonly complain: (error: unknown) => void) {}

  /** Do it; what was going on before is stopped. */
  async during(what: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.stop();
    const stop = new AbortController();
    this.current.value = { what, job: null, stop };
    try {
      await work(stop.signal);
    } catch (error) {
      if (!isAbort(error)) this.complain(error);
    } finally {
      if (this.current.peek()?.stop === stop) this.current.value = null;
    }
  }

  readonly onJob = (job: Job): void => {
    const current = this.current.peek();
    if (current) this.current.value = { ...current, job };
  };

  stop(): void {
    this.current.peek()?.stop.abort();
  }
}
