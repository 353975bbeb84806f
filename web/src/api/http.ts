/** Requests to the page's own server, and what can go wrong with them. */

/** The server answered with an error; `code` and `extra` are its own. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly extra: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/** No answer came: no connection, no server, or none in time. */
export class OfflineError extends Error {
  constructor() {
    super("The server does not answer.");
  }
}

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  json?: unknown;
  form?: FormData;
  signal?: AbortSignal | undefined;
  keepalive?: boolean;
  /** milliseconds to wait for the answer to begin */
  patience?: number;
}

/** The server's paths are resolved against the page's own place, so that it works below a sub-path. */
export function resolve(path: string): string {
  return new URL(path.replace(/^\/+/, ""), document.baseURI).href;
}

export async function request(path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = "GET", json, form, keepalive = false, patience = 60_000 } = options;
  const headers: Record<string, string> = {};
  if (method !== "GET") headers["X-Anymask"] = "1";
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const init: RequestInit = { method, headers, keepalive, signal: patienceOr(options.signal, patience) };
  if (form) init.body = form;
  else if (json !== undefined) init.body = JSON.stringify(json);
  let response: Response;
  try {
    response = await fetch(resolve(path), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new OfflineError();
  }
  if (!response.ok) throw await readError(response);
  return response;
}

export async function requestJson<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await request(path, options);
  try {
    return (await response.json()) as T;
  } catch {
    if (options.signal?.aborted) throw new DOMException("stopped", "AbortError");
    throw new OfflineError();
  }
}

function patienceOr(signal: AbortSignal | undefined, patience: number): AbortSignal {
  const late = AbortSignal.timeout(patience);
  return signal ? AbortSignal.any([signal, late]) : late;
}

async function readError(response: Response): Promise<Error> {
  // A proxy whose server is gone answers for it.
  if (response.status === 502 || response.status === 503 || response.status === 504) return new OfflineError();
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string } & Record<string, unknown> };
    const { code, message, ...extra } = error;
    return new ApiError(response.status, code, message, extra);
  } catch {
    return new ApiError(response.status, "unknown", `The server answered ${response.status} ${response.statusText}.`);
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
