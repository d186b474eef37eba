import { errorOf, isValtaError, type ValtaError } from './errors.js';

/** What one call may decide for itself. */
export interface RequestOptions {
  /** Ends the call when it is aborted; the call throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for each attempt; the client's when left out. */
  timeout?: number | undefined;
  /** How often to try again; the client's when left out. */
  maxRetries?: number | undefined;
}

/** RequestOptions of a call that changes something. */
export interface WriteOptions extends RequestOptions {
  /** Makes repeating the call safe. A call without one gets a fresh one, which its own repetitions share. */
  idempotencyKey?: string | undefined;
}

/** How requests are made. */
export interface TransportOptions {
  apiKey: string;
  baseUrl: string;
  fetch: typeof fetch;
  timeout: number;
  maxRetries: number;
}

export type Query = { [name: string]: string | number | undefined };

export interface Call {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  query?: Query | undefined;
  body?: unknown;
  options?: WriteOptions | undefined;
  /** How much longer than the timeout an answer may take, in milliseconds: the server was asked to wait. */
  patience?: number | undefined;
}

// Back-off doubles from the first pause to the longest; a server that names another pause is believed up to a minute.
const firstPause = 250;
const longestPause = 8_000;
const longestNamedPause = 60_000;

/** Sends requests, and sends them again when that is safe and may help. */
export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  async send<T>(call: Call): Promise<T> {
    const { signal, maxRetries = this.#options.maxRetries } = call.options ?? {};
    // Every POST has a key: one that was carried out and whose answer was lost is answered once more, not done once more.
    const key = call.method === 'POST' ? checkedKey(call.options?.idempotencyKey ?? newKey()) : undefined;
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      try {
        return await this.#attempt<T>(call, key);
      } catch (error) {
        if (!isValtaError(error)) throw error;
        if (call.method === 'DELETE' && attempt > 0 && error.status === 404) {
          return { success: true } as T; // the attempt before had done it
        }
        if (attempt >= maxRetries || !worthwhile(error)) throw error;
        await pause(delay(attempt, error.retryAfter), signal);
      }
    }
  }

  async #attempt<T>(call: Call, key: string | undefined): Promise<T> {
    const { apiKey, baseUrl, fetch, timeout } = this.#options;
    const { signal } = call.options ?? {};
    const headers: Record<string, string> = { accept: 'application/json', 'x-api-key': apiKey };
    if (key !== undefined) headers['idempotency-key'] = key;
    if (call.body !== undefined) headers['content-type'] = 'application/json';

    const limit = (call.options?.timeout ?? timeout) + (call.patience ?? 0);
    const controller = new AbortController();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      controller.abort();
    }, limit);
    const forward = () => controller.abort();
    signal?.addEventListener('abort', forward, { once: true });
    try {
      const init: RequestInit = { method: call.method, headers, signal: controller.signal };
      if (call.body !== undefined) init.body = JSON.stringify(call.body);
      const response = await fetch(baseUrl + call.path + queryOf(call.query), init);
      const text = await response.text();
      if (!response.ok) throw failure(response, text);
      return parse<T>(response, text);
    } catch (error) {
      signal?.throwIfAborted();
      if (isValtaError(error)) throw error;
      if (late) throw errorOf(0, 'TIMEOUT', `no answer to ${call.method} ${call.path} within ${limit} ms`, { cause: error });
      throw errorOf(0, 'CONNECTION_ERROR', `${call.method} ${call.path}: ${reasonOf(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', forward);
    }
  }
}

function queryOf(query: Query | undefined): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) params.set(name, String(value));
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

function parse<T>(response: Response, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw errorOf(response.status, 'INTERNAL_ERROR', 'the answer is not JSON: is the base URL right?', {
      requestId: response.headers.get('request-id') ?? undefined,
      cause: error,
    });
  }
}

/** Reads the envelope of an error; whatever else stands between may answer without one. */
function failure(response: Response, text: string): ValtaError {
  let envelope: { code?: unknown; message?: unknown; error?: unknown } = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) envelope = parsed;
  } catch {
    // not ours
  }
  const { status } = response;
  const code = typeof envelope.code === 'string' ? envelope.code : status >= 500 ? 'INTERNAL_ERROR' : `HTTP_${status}`;
  const message = [envelope.message, envelope.error].find((m): m is string => typeof m === 'string' && m !== '');
  return errorOf(status, code, message ?? `the server answered with status ${status}`, {
    requestId: response.headers.get('request-id') ?? undefined,
    retryAfter: secondsOf(response.headers.get('retry-after')),
  });
}

/** Reads Retry-After: seconds, or a date. */
function secondsOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  if (header.trim() !== '' && Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

/** Reports whether trying again may help. Whether it is safe is settled before: what changes something has a key. */
function worthwhile(error: ValtaError): boolean {
  switch (error.status) {
    case 0:
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return true;
    case 409:
      return error.retryAfter !== undefined; // the first attempt is still being answered
    default:
      return false;
  }
}

function delay(attempt: number, retryAfter: number | undefined): number {
  const backOff = Math.min(firstPause * 2 ** attempt, longestPause) * (0.75 + Math.random() / 2);
  if (retryAfter === undefined) return backOff;
  return Math.min(Math.max(retryAfter * 1000, backOff), longestNamedPause);
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    };
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error as { cause?: unknown }).cause : undefined;
  for (const e of [cause, error]) {
    if (e instanceof Error && e.message !== '') return e.message;
  }
  return String(error);
}

/** Refuses a key that no header can carry. */
function checkedKey(key: string): string {
  if (!/^[ -~]{1,255}$/.test(key)) throw new TypeError('idempotencyKey must be 1 to 255 printable ASCII characters');
  return key;
}

/** A key that nobody else has. Where there is no Web Crypto (Node.js 18, pages without TLS) it is not secret, which it need not be. */
function newKey(): string {
  const crypto = globalThis.crypto as Crypto | undefined;
  if (typeof crypto?.randomUUID === 'function') return crypto.randomUUID();
  let key = Date.now().toString(16);
  while (key.length < 40) key += Math.floor(Math.random() * 16).toString(16);
  return key;
}
