// Calls an agent of a server with @a2a-js/sdk, of either generation and over either binding: finds its card, sends, follows, cancels, and has changes
// posted to a receiver. It prints "ok STEP" or "FAIL STEP: why" for each step; see a2a_calls_test.go.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const { BUREAU_URL, BUREAU_KEY, BUREAU_AGENT, BUREAU_CLIENTS, BUREAU_SDK, BUREAU_BINDING } = process.env;
const require = createRequire(`${BUREAU_CLIENTS}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const sdk = await load(BUREAU_SDK);
const client = await load(`${BUREAU_SDK}/client`);
const older = BUREAU_SDK === 'a2a-older';
const base = `${BUREAU_URL}/a2a/${BUREAU_AGENT}/`; // the library resolves the card's name against it

const withKey = client.createAuthenticatingFetchWithRetry(fetch, {
  headers: async () => ({ Authorization: `Bearer ${BUREAU_KEY}` }),
  shouldRetryWithHeaders: async () => undefined,
});

let failed = false;
async function step(name, fn) {
  try {
    await fn();
    console.log(`ok ${name}`);
  } catch (err) {
    failed = true;
    console.log(`FAIL ${name}: ${String(err?.stack ?? err).split('\n').slice(0, 4).join(' | ')}`);
  }
}

// What the generations spell differently.
const words = older
  ? {
      text: (text, of) => ({ kind: 'message', messageId: crypto.randomUUID(), role: 'user', parts: [{ kind: 'text', text }], ...of }),
      send: (message, configuration) => ({ message, configuration }),
      state: (task) => task.status.state,
      said: (artifact) => artifact.parts.map((p) => p.text).join(''),
      event: (e) => (e.kind === 'task' ? { task: e } : e.kind === 'status-update' ? { status: e.status.state } : { artifact: e }),
      states: { done: 'completed', waits: 'input-required', canceled: 'canceled' },
      here: { blocking: false },
      push: (url) => ({ pushNotificationConfig: { id: 'mine', url, token: 't0ken', authentication: { schemes: ['Bearer'], credentials: 'cr3d' } } }),
      transports: [new client.JsonRpcTransportFactory({ fetchImpl: withKey }), new client.RestTransportFactory({ fetchImpl: withKey })],
    }
  : {
      text: (text, of) => ({
        messageId: crypto.randomUUID(), contextId: '', taskId: '', role: sdk.Role.ROLE_USER, metadata: undefined, extensions: [], referenceTaskIds: [],
        parts: [{ content: { $case: 'text', value: text }, metadata: undefined, filename: '', mediaType: 'text/plain' }], ...of,
      }),
      send: (message, configuration) => ({
        tenant: '', message, metadata: undefined,
        configuration: { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately: false, ...configuration },
      }),
      state: (task) => task.status.state,
      said: (artifact) => artifact.parts.map((p) => p.content.value).join(''),
      event: ({ payload: p }) =>
        p.$case === 'task' ? { task: p.value } : p.$case === 'statusUpdate' ? { status: p.value.status.state } : { artifact: p.value },
      states: { done: sdk.TaskState.TASK_STATE_COMPLETED, waits: sdk.TaskState.TASK_STATE_INPUT_REQUIRED, canceled: sdk.TaskState.TASK_STATE_CANCELED },
      here: { returnImmediately: true },
      push: (url) => ({
        taskPushNotificationConfig: { tenant: '', id: 'mine', taskId: '', url, token: 't0ken', authentication: { scheme: 'Bearer', credentials: 'cr3d' } },
      }),
      transports: [new client.JsonRpcTransportFactory({ fetchImpl: withKey }), new client.RestTransportFactory({ fetchImpl: withKey })],
    };

const factory = new client.ClientFactory({
  transports: words.transports, preferredTransports: [BUREAU_BINDING], cardResolver: new client.DefaultAgentCardResolver(),
});
let agent;
await step('card', async () => {
  agent = await factory.createFromUrl(base);
  const card = await agent.getAgentCard(); // with a key: the extended one
  assert.equal(card.name, 'Clerk');
  assert.ok(card.skills.some((s) => s.id === 'order'), JSON.stringify(card.skills));
});

await step('send', async () => {
  const task = await agent.sendMessage(words.send(words.text('What is 6*7?')));
  assert.equal(words.state(task), words.states.done);
  assert.match(words.said(task.artifacts[0]), /6\*7/);
  const again = await agent.getTask({ tenant: '', id: task.id });
  assert.equal(words.said(again.artifacts[0]), words.said(task.artifacts[0]));
});

async function follow(events) {
  const seen = { states: [], said: '' };
  for await (const e of events) {
    const { task, status, artifact } = words.event(e);
    if (task) seen.task = task;
    if (status) seen.states.push(status);
    if (artifact) seen.said += words.said(artifact.artifact); // the older library drops what says whether a piece goes on with the one before
  }
  return seen;
}

await step('stream', async () => {
  const seen = await follow(agent.sendMessageStream(words.send(words.text('What is 12*12?'))));
  assert.ok(seen.task.id);
  assert.match(seen.said, /12\*12/);
  assert.equal(seen.states.at(-1), words.states.done);
});

await step('context', async () => {
  const first = await agent.sendMessage(words.send(words.text('What is 2+2?')));
  const next = await agent.sendMessage(words.send(words.text('What is 3+3?', { contextId: first.contextId })));
  assert.equal(next.contextId, first.contextId);
  assert.notEqual(next.id, first.id);
});

await step('subscribe and cancel', async () => {
  const task = await agent.sendMessage(words.send(words.text('Use the order tool to order a book')));
  assert.equal(words.state(task), words.states.waits);
  const events = agent.resubscribeTask({ tenant: '', id: task.id })[Symbol.asyncIterator]();
  await events.next(); // the task as it is: from now on nothing is missed
  const end = follow({ [Symbol.asyncIterator]: () => events });
  assert.equal(words.state(await agent.cancelTask({ tenant: '', id: task.id, metadata: undefined })), words.states.canceled);
  assert.equal((await end).states.at(-1), words.states.canceled);
});

await step('push', async () => {
  const got = [];
  let arrived;
  const all = new Promise((resolve) => (arrived = resolve));
  const receiver = createServer((req, res) => {
    let body = '';
    req.on('data', (b) => (body += b));
    req.on('end', () => {
      got.push({ headers: req.headers, body: JSON.parse(body) });
      res.writeHead(204).end();
      if (/completed/i.test(body)) arrived();
    });
  });
  await new Promise((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${receiver.address().port}/hook`;
    const task = await agent.sendMessage(words.send(words.text('What is 5*5?'), { ...words.here, ...words.push(url) }));
    await all;
    assert.equal(got[0].headers.authorization, 'Bearer cr3d');
    assert.equal(got[0].headers['x-a2a-notification-token'], 't0ken');
    const last = got.at(-1).body;
    if (older) {
      assert.equal(last.kind, 'task');
      assert.equal(last.id, task.id);
      assert.match(last.artifacts[0].parts[0].text, /5\*5/);
    } else {
      assert.equal(last.statusUpdate.taskId, task.id);
      assert.match(got.at(-2).body.artifactUpdate.artifact.parts[0].text, /5\*5/);
    }
    await configurations(task.id, url);
  } finally {
    receiver.close();
  }
});

async function configurations(task, url) {
  if (older) {
    const made = await agent.setTaskPushNotificationConfig({ taskId: task, pushNotificationConfig: { id: 'two', url } });
    assert.equal(made.pushNotificationConfig.id, 'two');
    const one = await agent.getTaskPushNotificationConfig({ id: task, pushNotificationConfigId: 'two' });
    assert.equal(one.pushNotificationConfig.url, url);
    assert.equal((await agent.listTaskPushNotificationConfig({ id: task })).length, 2);
    await agent.deleteTaskPushNotificationConfig({ id: task, pushNotificationConfigId: 'two' });
    assert.equal((await agent.listTaskPushNotificationConfig({ id: task })).length, 1);
    return;
  }
  const made = await agent.createTaskPushNotificationConfig({ tenant: '', id: 'two', taskId: task, url, token: '', authentication: undefined });
  assert.equal(made.id, 'two');
  assert.equal((await agent.getTaskPushNotificationConfig({ tenant: '', taskId: task, id: 'two' })).url, url);
  const listed = async () => (await agent.listTaskPushNotificationConfig({ tenant: '', taskId: task, pageSize: 0, pageToken: '' })).configs.length;
  assert.equal(await listed(), 2);
  await agent.deleteTaskPushNotificationConfig({ tenant: '', taskId: task, id: 'two' });
  assert.equal(await listed(), 1);
}

process.exit(failed ? 1 : 0);
