// What the drive programs share: they print "ok NAME" or "FAIL NAME: reason" for each step, which the Go test reads.
import assert from 'node:assert/strict';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

export { assert };

const { BUREAU_URL, BUREAU_KEY, BUREAU_CLIENTS, BUREAU_SDK } = process.env;
export const older = BUREAU_SDK === 'sdk-older';

export const load = (file) => import(pathToFileURL(path.join(BUREAU_CLIENTS, 'node_modules', BUREAU_SDK, file)));
const sdk = await load('index.mjs');
export const { toFile } = sdk;
export const errors = sdk;

export function connect(options = {}) {
  return new sdk.default({ apiKey: BUREAU_KEY, baseURL: BUREAU_URL, maxRetries: 0, timeout: 30_000, logLevel: 'off', ...options });
}

const patience = 60_000;

export async function step(name, run) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`nothing after ${patience} ms`)), patience); });
  try {
    await Promise.race([run(), late]);
    console.log(`ok ${name}`);
  } catch (e) {
    console.log(`FAIL ${name}: ${String(e?.stack ?? e).replace(/\s+/g, ' ').slice(0, 1500)}`);
  } finally {
    clearTimeout(timer);
  }
}

export async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

export function rejects(call, cls, type) {
  return assert.rejects(call, (e) => {
    assert.ok(e instanceof cls, `${e?.constructor?.name}: ${e?.message}`);
    if (type) assert.equal(e.error?.error?.type, type);
    return true;
  });
}

// turn sends events after the stream is open and reads it until the session is idle.
export async function turn(client, session, events, { params = {}, until = (e) => e.type === 'session.status_idle' } = {}) {
  const stream = await client.beta.sessions.events.stream(session, params);
  const seen = [];
  const timer = setTimeout(() => stream.controller.abort(), 60_000);
  try {
    await client.beta.sessions.events.send(session, { events });
    for await (const event of stream) {
      seen.push(event);
      if (until(event)) return seen;
    }
    throw new Error(`the stream ended early after ${seen.map((e) => e.type).join(' ')}`);
  } finally {
    clearTimeout(timer);
    stream.controller.abort();
  }
}

export const say = (text) => ({ type: 'user.message', content: [{ type: 'text', text }] });
export const types = (events) => events.map((e) => e.type);
export const one = (events, type) => {
  const found = events.filter((e) => e.type === type);
  assert.equal(found.length, 1, `${found.length} events ${type} in ${types(events).join(' ')}`);
  return found[0];
};
export const textOf = (event) => (event.content ?? []).map((b) => b.text ?? '').join('');
