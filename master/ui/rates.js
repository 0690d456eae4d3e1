// How fast jobs read, from what is heard of them.

const WINDOW = 8000;

export class Rates {
  constructor() { this.jobs = new Map(); }

  note(job) {
    if (job.finished_at) {
      this.jobs.delete(job.id);
      return;
    }
    const { metrics } = job;
    const now = performance.now();
    const heard = this.jobs.get(job.id) ?? [];
    heard.push({
      at: now,
      rows: metrics.input_rows + metrics.shuffle_read_rows,
      bytes: metrics.input_bytes + metrics.shuffle_local_bytes + metrics.shuffle_remote_bytes,
    });
    while (heard.length > 2 && now - heard[0].at > WINDOW) heard.shift();
    this.jobs.set(job.id, heard);
  }

  /** Rows and bytes per second over the last seconds; over the whole job until enough is heard, and after its end. */
  of(job) {
    const heard = this.jobs.get(job.id) ?? [];
    const [first, last] = [heard[0], heard.at(-1)];
    const { metrics } = job;
    if (first && last.at - first.at > 2000) {
      const seconds = (last.at - first.at) / 1000;
      return { rows: Math.max(0, last.rows - first.rows) / seconds, bytes: Math.max(0, last.bytes - first.bytes) / seconds };
    }
    const seconds = Math.max(0.001, (job.duration_ms ?? 0) / 1000);
    return {
      rows: (metrics.input_rows + metrics.shuffle_read_rows) / seconds,
      bytes: (metrics.input_bytes + metrics.shuffle_local_bytes + metrics.shuffle_remote_bytes) / seconds,
    };
  }
}
