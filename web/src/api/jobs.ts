/** Long work on the server, followed by its events, or by asking now and then where these do not get through. */

import type { Follow } from "./backend";
import { ApiError, requestJson, resolve } from "./http";
import type { Job } from "./types";

const ASK_AGAIN_MS = 1000;

/** Wait for the job's end. Raises ApiError where it failed; an abort cancels the job. */
export async function followJob(id: string, { onJob, signal }: Follow): Promise<Job> {
  const cancel = (): void => void requestJson(`api/jobs/${id}`, { method: "DELETE" }).catch(() => undefined);
  signal.addEventListener("abort", cancel, { once: true });
  try {
    const job = await lastOf(id, onJob, signal);
    if (job.state !== "done") throw new ApiError(500, job.state, job.message || `The job was ${job.state}.`);
    return job;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

function lastOf(id: string, onJob: (job: Job) => void, signal: AbortSignal): Promise<Job> {
  return new Promise((done, fail) => {
    const source = new EventSource(resolve(`api/jobs/${id}/events`));
    const stop = (): void => {
      source.close();
      fail(new DOMException("stopped", "AbortError"));
    };
    signal.addEventListener("abort", stop, { once: true });
    const take = (job: Job): boolean => {
      onJob(job);
      if (job.state === "running") return false;
      source.close();
      signal.removeEventListener("abort", stop);
      done(job);
      return true;
    };
    source.addEventListener("job", (event) => take(JSON.parse((event as MessageEvent<string>).data) as Job));
    source.onerror = () => {
      source.close();
      if (!signal.aborted) poll(id, take, signal).catch(fail);
    };
  });
}

async function poll(id: string, take: (job: Job) => boolean, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !take(await requestJson<Job>(`api/jobs/${id}`, { signal }))) {
    await new Promise((resume) => setTimeout(resume, ASK_AGAIN_MS));
  }
}
