// Drives the built client against servers of its own that answer as badly as networks do.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { test } from 'node:test';

import * as sdk from '../dist/esm/index.js';

const { ValtaClient, ValtaError, isValtaError } = sdk;

/** Serves answers in turn, the last one for ever, and notes the requests. */
async function serve(t, ...answers) {
  const requests = [];
  let arrived;
  const arrival = new Promise((resolve) => { arrived = resolve; });
  const server = createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += chunk;
    arrived();
    requests.push({ method: req.method, url: req.url, headers: req.headers, body: body === '' ? undefined : JSON.parse(body) });
    const answer = answers[Math.min(requests.length, answers.length) - 1];
    if (answer === 'hang') return;
    if (answer === 'reset') {
      req.socket.destroy();
      return;
    }
    const [status, content, headers = {}] = answer;
    res.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_test', ...headers });
    res.end(typeof content === 'string' ? content : JSON.stringify(content));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => { server.closeAllConnections(); server.close(); });
  const url = `http://127.0.0.1:${server.address().port}`;
  return { requests, arrival, url, client: (options) => new ValtaClient({ apiKey: 'k', baseUrl: url, ...options }) };
}

const refusal = (code, message = 'no') => ({ code, message, error: message });
const approved = { approved: true, transactionId: 'tx_1', newBalance: 1.5 };

test('requests are what the API documents', async (t) => {
  const s = await serve(t, [201, { id: 'ag_1' }]);
  const valta = s.client();
  await valta.agents.create({ name: 'A', description: 'B' });
  await valta.agents.list({ page: 2, limit: 10, status: undefined });
  await valta.agents.run('ag_1', { task: 'x' }, { wait: 0 });
  await valta.policies.update('ag/1', { dailyLimit: null });
  await valta.wallets.spend('ag_1', { amount: 0.1, idempotencyKey: 'order-7' });
  const [create, list, run, policy, spend] = s.requests;
  assert.deepEqual([create.method, create.url, create.headers['x-api-key'], create.body], ['POST', '/compat/valta/agents', 'k', { name: 'A', description: 'B' }]);
  assert.deepEqual([list.method, list.url, list.body], ['GET', '/compat/valta/agents?page=2&limit=10', undefined]);
  assert.equal(list.headers['idempotency-key'], undefined);
  assert.equal(run.url, '/compat/valta/agents/ag_1/runs?wait=0');
  assert.deepEqual([policy.method, policy.url, policy.body], ['PATCH', '/compat/valta/agents/ag%2F1/policy', { dailyLimit: null }]);
  assert.deepEqual([spend.headers['idempotency-key'], spend.body], ['order-7', { amount: 0.1 }]);
  assert.match(create.headers['idempotency-key'], /.{30,}/);
  assert.notEqual(create.headers['idempotency-key'], run.headers['idempotency-key']);
});

test('errors have status, code, message and class', async (t) => {
  const kinds = {
    INVALID_REQUEST: [400, 'InvalidRequestError'], UNAUTHORISED: [401, 'UnauthorisedError'], CREDITS_EXHAUSTED: [402, 'CreditsExhaustedError'],
    FORBIDDEN: [403, 'ForbiddenError'], AGENT_FROZEN: [403, 'AgentFrozenError'], NOT_FOUND: [404, 'NotFoundError'],
    CONFLICT: [409, 'ConflictError'], PAYLOAD_TOO_LARGE: [413, 'ValtaError'], __proto__x: [418, 'ValtaError'],
  };
  for (const [code, [status, name]] of Object.entries(kinds)) {
    const s = await serve(t, [status, refusal(code, 'the words')]);
    await assert.rejects(s.client().agents.get('ag_1'), (e) => {
      assert.ok(e instanceof ValtaError && e instanceof sdk[name] && e instanceof Error);
      assert.deepEqual([e.status, e.code, e.message, e.name, e.requestId], [status, code, 'the words', name, 'req_test']);
      assert.ok(isValtaError(e) && isValtaError(e, code) && !isValtaError(e, 'OTHER') && !isValtaError(new Error('x')));
      return true;
    });
    assert.equal(s.requests.length, 1, `${code} is not tried again`);
  }
});

test('an answer without the envelope is an error all the same', async (t) => {
  const s = await serve(t, [404, '<html>nothing</html>'], [200, 'not json'], [403, { error: 'old words' }]);
  await assert.rejects(s.client().agents.get('a'), { status: 404, code: 'HTTP_404' });
  await assert.rejects(s.client({ maxRetries: 0 }).agents.get('a'), { status: 200, code: 'INTERNAL_ERROR' });
  await assert.rejects(s.client().agents.get('a'), { status: 403, message: 'old words' });
});

test('a payment is tried again under one key', async (t) => {
  const s = await serve(t, 'reset', [503, refusal('SERVICE_UNAVAILABLE')], [200, approved]);
  assert.deepEqual(await s.client().wallets.spend('ag_1', { amount: 1 }), approved);
  const keys = new Set(s.requests.map((r) => r.headers['idempotency-key']));
  assert.equal(s.requests.length, 3);
  assert.equal(keys.size, 1);
  assert.ok([...keys][0]);
});

test('tries are counted, and may be none', async (t) => {
  const s = await serve(t, [500, refusal('INTERNAL_ERROR')]);
  await assert.rejects(s.client({ maxRetries: 1 }).agents.get('a'), { status: 500 });
  assert.equal(s.requests.length, 2);
  await assert.rejects(s.client({ maxRetries: 0 }).agents.get('a'), { status: 500 });
  await assert.rejects(s.client().agents.get('a', { maxRetries: 0 }), { status: 500 });
  assert.equal(s.requests.length, 4);
});

test('Retry-After is waited for', async (t) => {
  const s = await serve(t, [429, refusal('RATE_LIMIT_EXCEEDED'), { 'retry-after': '1' }], [200, { id: 'ag_1' }]);
  const before = Date.now();
  await s.client().agents.get('ag_1');
  assert.ok(Date.now() - before >= 990);
  const refused = await serve(t, [429, refusal('RATE_LIMIT_EXCEEDED'), { 'retry-after': '7' }]);
  await assert.rejects(refused.client({ maxRetries: 0 }).agents.get('a'), { status: 429, code: 'RATE_LIMIT_EXCEEDED', retryAfter: 7 });
});

test('a conflict is tried again only while the first attempt is being answered', async (t) => {
  const s = await serve(t, [409, refusal('CONFLICT'), { 'retry-after': '0' }], [200, approved]);
  assert.equal((await s.client().wallets.spend('ag_1', { amount: 1 })).approved, true);
  const other = await serve(t, [409, refusal('CONFLICT')]);
  await assert.rejects(other.client().wallets.spend('ag_1', { amount: 1 }), { code: 'CONFLICT' });
  assert.equal(other.requests.length, 1);
});

test('a deletion whose answer was lost is done', async (t) => {
  const s = await serve(t, 'reset', [404, refusal('NOT_FOUND')]);
  assert.deepEqual(await s.client().agents.delete('ag_1'), { success: true });
  await assert.rejects(s.client().agents.delete('ag_1'), { code: 'NOT_FOUND' });
});

test('a failed connection and a late answer are errors of their own', async (t) => {
  const s = await serve(t, 'hang');
  await assert.rejects(s.client({ timeout: 50, maxRetries: 0 }).agents.get('a'), { status: 0, code: 'TIMEOUT', name: 'ConnectionError' });
  const gone = new ValtaClient({ apiKey: 'k', baseUrl: 'http://127.0.0.1:1', maxRetries: 0 });
  await assert.rejects(gone.agents.get('a'), (e) => e.code === 'CONNECTION_ERROR' && e.status === 0 && e.cause instanceof Error);
});

test('a signal ends a call, also between two attempts', async (t) => {
  const s = await serve(t, 'hang');
  const hanging = new AbortController();
  const call = s.client().agents.get('a', { signal: hanging.signal });
  s.arrival.then(() => hanging.abort());
  await assert.rejects(call, { name: 'AbortError' });
  await assert.rejects(s.client().agents.get('a', { signal: AbortSignal.abort(new Error('mine')) }), { message: 'mine' });
  assert.equal(s.requests.length, 1);

  const busy = await serve(t, [429, refusal('RATE_LIMIT_EXCEEDED'), { 'retry-after': '30' }]);
  const pausing = new AbortController();
  const paused = busy.client().agents.get('a', { signal: pausing.signal });
  busy.arrival.then(() => setTimeout(() => pausing.abort(new Error('enough')), 50)); // it is being answered, or waits already
  await assert.rejects(paused, { message: 'enough' });
});

test('a listing reads all pages, and gives nothing twice', async (t) => {
  const full = Array.from({ length: 100 }, (_, i) => ({ id: `ae_${i}` }));
  const pages = [[200, { data: full, total: 101, page: 1, limit: 100 }], [200, { data: [full[99], { id: 'ae_100' }], total: 102, page: 2, limit: 100 }]];
  const s = await serve(t, ...pages, ...pages);
  const seen = [];
  for await (const entry of s.client().audit.export({ agentId: 'ag_1' })) seen.push(entry.id);
  assert.equal(seen.length, 101);
  assert.deepEqual(s.requests.map((r) => r.url), ['/compat/valta/audit?agentId=ag_1&page=1&limit=100', '/compat/valta/audit?agentId=ag_1&page=2&limit=100']);
  assert.equal((await s.client().audit.export({ agentId: 'ag_1' })).length, 101);
  for await (const entry of s.client().agents.all()) { assert.ok(entry.id); break; }
});

test('what cannot be meant is refused before it is sent', async (t) => {
  assert.throws(() => new ValtaClient({ apiKey: '' }), TypeError);
  for (const baseUrl of ['', 'nowhere', 'ftp://x', 'http://x/?a=b']) assert.throws(() => new ValtaClient({ apiKey: 'k', baseUrl }));
  assert.throws(() => new ValtaClient({ apiKey: 'k', timeout: 0 }), RangeError);
  const s = await serve(t, [200, {}]);
  assert.throws(() => s.client().agents.get(''), TypeError);
  assert.throws(() => s.client().agents.get(undefined), TypeError);
  await assert.rejects(s.client().wallets.spend('a', { amount: 1, idempotencyKey: 'ключ' }), TypeError);
  assert.equal(s.requests.length, 0);
});

test('the address may have a path or none', async (t) => {
  const s = await serve(t, [200, {}]);
  for (const [path, want] of [['', '/compat/valta/account'], ['/', '/compat/valta/account'], ['/compat/valta/', '/compat/valta/account'], ['/behind/valta', '/behind/valta/account']]) {
    await new ValtaClient({ apiKey: 'k', baseUrl: s.url + path }).account.get();
    assert.equal(s.requests.at(-1).url, want);
  }
});

test('the environment gives what the options leave out', async (t) => {
  const s = await serve(t, [200, { plan: 'team' }]);
  t.after(() => { delete process.env.VALTA_API_KEY; delete process.env.VALTA_BASE_URL; });
  process.env.VALTA_API_KEY = 'from-env';
  process.env.VALTA_BASE_URL = s.url;
  assert.equal((await new ValtaClient().auth.whoami()).plan, 'team');
  assert.equal(s.requests[0].headers['x-api-key'], 'from-env');
});

test('a fetch of one\'s own is used', async () => {
  const asked = [];
  const valta = new ValtaClient({ apiKey: 'k', baseUrl: 'https://elsewhere.example', fetch: async (url, init) => { asked.push([url, init.method]); return new Response('null'); } });
  assert.equal(await valta.policies.get('ag_1'), null);
  assert.deepEqual(asked, [['https://elsewhere.example/compat/valta/agents/ag_1/policy', 'GET']]);
});

test('the package can be required', () => {
  const cjs = createRequire(import.meta.url)('../dist/cjs/index.js');
  assert.equal(typeof cjs.ValtaClient, 'function');
  assert.deepEqual(Object.keys(cjs).sort(), Object.keys(sdk).sort());
});
