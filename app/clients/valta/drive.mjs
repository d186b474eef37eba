// Drives a server with the TypeScript client of the Valta-compatible API, as its users would. It prints "ok NAME" or "FAIL NAME: reason"
// for each step, which the Go test reads.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { VALTA_SDK, VALTA_URL, VALTA_KEY } = process.env;
const sdk = await import(pathToFileURL(path.join(VALTA_SDK, 'dist/esm/index.js')));
const { ValtaClient, ValtaError, isValtaError } = sdk;
const valta = new ValtaClient({ apiKey: VALTA_KEY, baseUrl: `${VALTA_URL}/compat/valta` });

async function step(name, run) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (e) {
    console.log(`FAIL ${name}: ${String(e?.stack ?? e).replace(/\s+/g, ' ').slice(0, 1500)}`);
  }
}

const throws = (call, status, code, kind = ValtaError) => assert.rejects(call, (e) => {
  assert.ok(e instanceof kind && isValtaError(e, code), String(e?.stack ?? e));
  assert.deepEqual([e.status, e.code], [status, code]);
  assert.ok(e.message && e.requestId);
  return true;
});

const nobody = 'ag_00000000000000000000000001';
const payer = async (amount, policy) => {
  const agent = await valta.agents.create({ name: 'payer' });
  await valta.wallets.deposit(agent.id, { amount });
  await valta.policies.create(agent.id, policy);
  return agent;
};

await step('agents', async () => {
  const agent = await valta.agents.create({ name: 'Procurement Agent', description: 'Handles subscriptions.' });
  assert.match(agent.id, /^ag_/);
  assert.equal(agent.status, 'active');
  assert.ok(!Number.isNaN(Date.parse(agent.createdAt)));
  assert.deepEqual(await valta.agents.get(agent.id), agent);
  const updated = await valta.agents.update(agent.id, { name: 'v2', description: null });
  assert.deepEqual([updated.name, updated.description], ['v2', null]);
  await valta.agents.create({ name: 'another' });
  const { data, total, page, limit } = await valta.agents.list({ limit: 1, page: 2, status: 'active' });
  assert.deepEqual([data.length, page, limit], [1, 2, 1]);
  const all = await valta.agents.all();
  assert.equal(all.length, total);
  assert.ok(all.some((a) => a.id === agent.id));
  assert.deepEqual(await valta.agents.freeze(agent.id), { success: true, agentId: agent.id, status: 'frozen' });
  assert.deepEqual(await valta.agents.unfreeze(agent.id), { success: true, agentId: agent.id, status: 'active' });
  assert.deepEqual(await valta.agents.delete(agent.id), { success: true });
  await throws(valta.agents.get(agent.id), 404, 'NOT_FOUND', sdk.NotFoundError);
});

await step('runs', async () => {
  const agent = await valta.agents.create({ name: 'runner' });
  const run = await valta.agents.run(agent.id, { task: 'Say hello.', context: 'Briefly.' });
  assert.deepEqual([run.status, run.error, run.agentId], ['completed', null, agent.id]);
  assert.ok(run.summary && run.completedAt && run.durationMs >= 0);
  assert.deepEqual(await valta.agents.getRun(agent.id, run.id), run);
  const started = await valta.agents.run(agent.id, { task: 'Say hello.' }, { wait: 0 });
  assert.equal((await valta.agents.waitForRun(agent.id, started.id, { interval: 10 })).status, 'completed');
  const { data, total } = await valta.agents.listRuns(agent.id, { limit: 10, status: 'completed' });
  assert.deepEqual([data.map((r) => r.id), total], [[started.id, run.id], 2]);
  assert.deepEqual((await valta.agents.listRuns(agent.id, { limit: 10, status: 'failed' })).data, []);
});

await step('policies', async () => {
  const agent = await valta.agents.create({ name: 'ruled' });
  assert.equal(await valta.policies.get(agent.id), null);
  const limits = { maxPerTransaction: 50, dailyLimit: 100.5, monthlyLimit: null, requireApprovalAbove: 25, blockedCategories: ['gambling'], allowedDomains: [], blockedDomains: [] };
  const policy = await valta.policies.create(agent.id, limits);
  for (const [name, value] of Object.entries(limits)) assert.deepEqual(policy[name], value);
  assert.deepEqual(await valta.policies.get(agent.id), policy);
  assert.equal((await valta.policies.update(agent.id, { dailyLimit: 75 })).dailyLimit, 75);
  await throws(valta.policies.update(agent.id, { dailyLimit: -1 }), 400, 'INVALID_REQUEST', sdk.InvalidRequestError);
  assert.deepEqual(await valta.policies.delete(agent.id), { success: true });
  assert.equal(await valta.policies.get(agent.id), null);
});

await step('wallets', async () => {
  const agent = await payer(100.000001, { maxPerTransaction: 30 });
  const paid = await valta.wallets.spend(agent.id, { amount: 29.99, payee: 'vendor.example', category: 'software' });
  assert.deepEqual([paid.approved, paid.newBalance], [true, 70.010001]);
  const refused = await valta.wallets.spend(agent.id, { amount: 31 });
  assert.deepEqual([refused.approved, refused.rule, refused.requiresApproval, refused.requestId], [false, 'maxPerTransaction', false, null]);
  const wallet = await valta.wallets.get(agent.id);
  assert.deepEqual([wallet.balance, wallet.held, wallet.available, wallet.currency, wallet.status], [70.010001, 0, 70.010001, 'USDC', 'active']);
  const other = await valta.agents.create({ name: 'receiver' });
  const moved = await valta.wallets.transfer({ fromAgentId: agent.id, toAgentId: other.id, amount: 10 });
  assert.deepEqual([moved.fromBalance, moved.toBalance], [60.010001, 10]);
  await assert.rejects(valta.wallets.transfer({ fromAgentId: other.id, toAgentId: agent.id, amount: 1 }), (e) => e instanceof sdk.ForbiddenError && /noPolicy/.test(e.message));
  const { data, total } = await valta.wallets.transactions(agent.id, { limit: 2 });
  assert.deepEqual([data.map((t) => t.type), total], [['transfer_out', 'payment'], 3]);
});

await step('approvals', async () => {
  const agent = await payer(100, { requireApprovalAbove: 50 });
  const ask = async () => {
    const parked = await valta.wallets.spend(agent.id, { amount: 50 });
    assert.deepEqual([parked.approved, parked.requiresApproval], [false, true]);
    return parked.requestId;
  };
  const one = await ask();
  assert.equal((await valta.approvals.get(one)).status, 'pending');
  assert.deepEqual((await valta.approvals.list({ status: 'pending', agentId: agent.id })).data.map((a) => a.id), [one]);
  assert.equal((await valta.approvals.approve(one)).status, 'approved');
  assert.equal((await valta.wallets.get(agent.id)).balance, 50);
  await throws(valta.approvals.approve(one), 409, 'CONFLICT', sdk.ConflictError);
  assert.deepEqual(await valta.approvals.deny(await ask(), { reason: 'not now' }).then((a) => [a.status, a.note]), ['denied', 'not now']);
  assert.equal((await valta.approvals.deny(await ask())).status, 'denied');
});

await step('audit', async () => {
  const agent = await payer(300, { maxPerTransaction: 5 });
  for (let i = 0; i < 105; i += 5) await Promise.all(Array.from({ length: 5 }, () => valta.wallets.spend(agent.id, { amount: 1 })));
  const { data, total } = await valta.audit.list({ agentId: agent.id, limit: 5 });
  assert.equal(data.length, 5);
  const ids = [];
  for await (const entry of valta.audit.export({ agentId: agent.id })) ids.push(entry.id);
  assert.equal(ids.length, total);
  assert.equal(new Set(ids).size, total);
  assert.ok(total > 105);
  assert.deepEqual(await valta.audit.get(data[0].id), data[0]);
  assert.deepEqual([data[0].action, data[0].metadata.amount], ['transaction_completed', 1]);
  const report = await valta.audit.verify();
  assert.deepEqual([report.valid, report.firstBroken], [true, null]);
});

await step('account', async () => {
  const account = await valta.account.get();
  assert.deepEqual([account.plan, account.creditsRemaining, account.creditsTotal], ['unlimited', -1, -1]);
  assert.deepEqual(await valta.auth.whoami(), account);
});

await step('errors', async () => {
  const agent = await payer(5, { dailyLimit: 5 });
  await throws(new ValtaClient({ apiKey: 'wrong', baseUrl: VALTA_URL }).agents.list(), 401, 'UNAUTHORISED', sdk.UnauthorisedError);
  await throws(valta.agents.create({ name: '' }), 400, 'INVALID_REQUEST', sdk.InvalidRequestError);
  await throws(valta.agents.run(nobody, { task: 'x' }), 404, 'NOT_FOUND', sdk.NotFoundError);
  await throws(valta.wallets.spend(agent.id, { amount: 0 }), 400, 'INVALID_REQUEST');
  await valta.agents.freeze(agent.id);
  await throws(valta.agents.run(agent.id, { task: 'x' }), 403, 'AGENT_FROZEN', sdk.AgentFrozenError);
  await throws(valta.wallets.spend(agent.id, { amount: 1 }), 403, 'AGENT_FROZEN', sdk.AgentFrozenError);
});

// Lets requests through and loses the answers of the first few, as networks do.
async function flaky(losses) {
  let left = losses;
  const proxy = createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += chunk;
    const headers = Object.fromEntries(Object.entries(req.headers).filter(([name]) => !['host', 'connection', 'content-length', 'transfer-encoding'].includes(name)));
    const answer = await fetch(VALTA_URL + req.url, { method: req.method, headers, ...(body ? { body } : {}) });
    const text = await answer.text();
    if (left-- > 0) {
      req.socket.destroy();
      return;
    }
    res.writeHead(answer.status, { 'content-type': 'application/json' });
    res.end(text);
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const client = new ValtaClient({ apiKey: VALTA_KEY, baseUrl: `http://127.0.0.1:${proxy.address().port}`, maxRetries: 2 });
  return { client, close: () => { proxy.closeAllConnections(); proxy.close(); } };
}

await step('a lost answer pays once', async () => {
  const agent = await payer(100, { maxPerTransaction: 50 });
  const other = await valta.agents.create({ name: 'receiver' });
  for (const call of [
    (c) => c.wallets.spend(agent.id, { amount: 5 }), (c) => c.wallets.deposit(agent.id, { amount: 5 }),
    (c) => c.wallets.transfer({ fromAgentId: agent.id, toAgentId: other.id, amount: 5 }),
  ]) {
    const { client, close } = await flaky(2);
    try {
      assert.ok((await call(client)).transactionId);
    } finally {
      close();
    }
  }
  assert.equal((await valta.wallets.get(agent.id)).balance, 95);
  assert.equal((await valta.wallets.get(other.id)).balance, 5);
  assert.equal((await valta.wallets.transactions(agent.id)).total, 4);
});

await step('one agent, one run, for a lost answer', async () => {
  const { client, close } = await flaky(1);
  try {
    const before = (await valta.agents.list()).total;
    const agent = await client.agents.create({ name: 'once' });
    assert.equal((await valta.agents.list()).total, before + 1);
    const again = await flaky(1);
    await again.client.agents.run(agent.id, { task: 'Say hello.' });
    again.close();
    assert.equal((await valta.agents.listRuns(agent.id)).total, 1);
    const last = await flaky(1);
    assert.deepEqual(await last.client.agents.delete(agent.id), { success: true });
    last.close();
  } finally {
    close();
  }
});

await step('an idempotency key of one\'s own', async () => {
  const agent = await payer(100, { maxPerTransaction: 50 });
  const pay = (amount) => valta.wallets.spend(agent.id, { amount, idempotencyKey: 'invoice-7' });
  assert.deepEqual(await pay(5), await pay(5));
  await throws(pay(6), 409, 'CONFLICT', sdk.ConflictError);
  assert.equal((await valta.wallets.get(agent.id)).balance, 95);
});
