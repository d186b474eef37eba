// Drives a server with the official client library for JavaScript, as its users would.
import { assert, all, connect, errors, load, older, one, rejects, say, step, textOf, toFile, turn, types } from './steps.mjs';

const client = connect();
const { beta } = client;
const made = {};

const customTool = {
  type: 'custom',
  name: 'get_weather',
  description: 'Get the weather of a city',
  input_schema: { type: 'object', properties: { city: { type: 'string', description: 'Name of the city' } }, required: ['city'] },
};

await step('environments', async () => {
  const env = await beta.environments.create({
    name: 'workbench',
    config: { type: 'cloud', networking: { type: 'limited', allowed_hosts: ['api.example.com'], allow_package_managers: true }, packages: { pip: ['requests==2.31.0'] } },
    metadata: { a: '1', b: '2' },
  });
  made.env = env.id;
  assert.deepEqual(env.config.packages.npm, []);
  assert.deepEqual(env.config.networking.allowed_hosts, ['api.example.com']);
  const updated = await beta.environments.update(env.id, { description: 'for tests', metadata: { a: null, c: '3' } });
  assert.deepEqual(updated.metadata, { b: '2', c: '3' });
  assert.equal(updated.config.networking.type, 'limited');
  assert.equal((await beta.environments.retrieve(env.id)).description, 'for tests');
  const other = await beta.environments.create({ name: 'spare' });
  assert.equal(other.config.networking.type, 'unrestricted');
  const ids = (await all(beta.environments.list({ limit: 1 }))).map((e) => e.id);
  assert.ok(ids.includes(env.id) && ids.includes(other.id) && new Set(ids).size === ids.length);
  assert.ok((await beta.environments.archive(other.id)).archived_at);
  assert.ok(!(await all(beta.environments.list())).some((e) => e.id === other.id));
  assert.ok((await all(beta.environments.list({ include_archived: true }))).some((e) => e.id === other.id));
  assert.equal((await beta.environments.delete(other.id)).type, 'environment_deleted');
  await rejects(beta.environments.retrieve(other.id), errors.NotFoundError, 'not_found_error');
  await rejects(
    beta.environments.create({ name: 'x', config: { type: 'cloud', networking: { type: 'limited' }, packages: { pip: ['requests'] } } }),
    errors.BadRequestError, 'invalid_request_error',
  );
});

await step('agents', async () => {
  const agent = await beta.agents.create({
    name: 'Assistant', model: { id: 'offline', speed: 'fast' }, system: 'You help.', description: 'first', metadata: { keep: 'x', drop: 'y' },
    tools: [
      { type: 'agent_toolset_20260401', default_config: { enabled: false }, configs: [{ type: 'bash', name: 'bash', enabled: true, permission_policy: { type: 'always_ask' } }] },
      customTool,
    ],
  });
  made.agent = agent.id;
  assert.equal(agent.version, 1);
  assert.equal(agent.tools[0].configs[0].permission_policy.type, 'always_ask');
  const second = await beta.agents.update(agent.id, { version: 1, description: null, metadata: { drop: null } });
  assert.equal(second.version, 2);
  assert.equal(second.description, null);
  assert.deepEqual(second.metadata, { keep: 'x' });
  assert.equal(second.tools.length, 2);
  assert.equal((await beta.agents.update(agent.id, { version: 2, name: 'Assistant' })).version, 2, 'a change of nothing makes no version');
  await rejects(beta.agents.update(agent.id, { version: 1, name: 'late' }), errors.ConflictError, 'conflict_error');
  assert.equal((await beta.agents.retrieve(agent.id, { version: 1 })).description, 'first');
  assert.deepEqual((await all(beta.agents.versions.list(agent.id, { limit: 1 }))).map((a) => a.version).sort(), [1, 2]);
  await rejects(beta.agents.retrieve('agent_nothing'), errors.NotFoundError, 'not_found_error');
  await rejects(
    beta.agents.create({ name: 'x', model: 'offline', mcp_servers: [{ type: 'url', name: 'docs', url: 'https://mcp.example.com' }] }),
    errors.BadRequestError, 'invalid_request_error',
  );
});

await step('a conflict is not tried again', async () => {
  let calls = 0;
  const counted = connect({ maxRetries: 2, fetch: (...args) => (calls++, fetch(...args)) });
  await rejects(counted.beta.agents.update(made.agent, { version: 1, name: 'late' }), errors.ConflictError);
  assert.equal(calls, 1);
});

await step('a turn', async () => {
  const agent = await beta.agents.create({ name: 'Plain', model: 'offline' });
  made.plain = agent.id;
  const session = await beta.sessions.create({ agent: agent.id, environment_id: made.env, title: 'chat', metadata: { a: '1' } });
  made.session = session.id;
  assert.equal(session.status, 'idle');
  assert.equal(session.agent.version, 1);
  const events = await turn(client, session.id, [say('Hello')]);
  const order = types(events).filter((t) => t !== 'session.usage');
  assert.deepEqual(
    order,
    ['user.message', 'session.status_running', 'span.model_request_start', 'agent.message', 'span.model_request_end', 'session.status_idle'],
  );
  assert.equal(one(events, 'session.status_idle').stop_reason.type, 'end_turn');
  assert.ok(events.every((e) => e.id && !Number.isNaN(Date.parse(e.processed_at))));
  // The older library leaves events out of streams that it does not know.
  const kept = async (params) => (await all(beta.sessions.events.list(session.id, params))).filter((e) => !older || e.type !== 'session.usage').map((e) => e.id);
  assert.deepEqual(await kept({ limit: 2 }), events.map((e) => e.id));
  assert.deepEqual(await kept({ order: 'desc', limit: 3 }), events.map((e) => e.id).reverse());
  const said = await all(beta.sessions.events.list(session.id, { types: ['agent.message'] }));
  assert.deepEqual(types(said), ['agent.message']);
  const later = await all(beta.sessions.events.list(session.id, { 'created_at[gt]': events.at(-1).processed_at }));
  assert.deepEqual(later, []);
  const after = await beta.sessions.retrieve(session.id);
  assert.equal(after.status, 'idle');
  assert.ok(after.usage.output_tokens > 0);
});

await step('a tool of the client', async () => {
  const session = await beta.sessions.create({ agent: made.agent, environment_id: made.env });
  const asked = await turn(client, session.id, [say('Use the get_weather tool for the city Paris')]);
  const use = one(asked, 'agent.custom_tool_use');
  assert.deepEqual(one(asked, 'session.status_idle').stop_reason, { type: 'requires_action', event_ids: [use.id] });
  const answered = await turn(client, session.id, [
    { type: 'user.custom_tool_result', custom_tool_use_id: use.id, content: [{ type: 'text', text: 'sunny, 21 degrees' }] },
  ]);
  assert.equal(one(answered, 'session.status_idle').stop_reason.type, 'end_turn');
  await rejects(
    beta.sessions.events.send(session.id, { events: [{ type: 'user.custom_tool_result', custom_tool_use_id: use.id, content: [] }] }),
    errors.APIError,
  );
});

await step('a tool that needs a confirmation', async () => {
  const plain = await beta.environments.create({ name: 'nothing to install' });
  const session = await beta.sessions.create({ agent: made.agent, environment_id: plain.id });
  for (const result of ['deny', 'allow']) {
    const asked = await turn(client, session.id, [say('Use the bash tool to run the command `echo hello`')]);
    const use = one(asked, 'agent.tool_use');
    assert.equal(use.name, 'bash');
    assert.equal(use.evaluated_permission, 'ask');
    const rest = await turn(client, session.id, [{ type: 'user.tool_confirmation', tool_use_id: use.id, result }]);
    const outcome = one(rest, 'agent.tool_result');
    assert.equal(outcome.tool_use_id, use.id);
    assert.equal(outcome.is_error, result === 'deny', textOf(outcome));
    assert.equal(one(rest, 'session.status_idle').stop_reason.type, 'end_turn');
  }
});

await step('an interrupt', async () => {
  const session = await beta.sessions.create({ agent: made.agent, environment_id: made.env });
  await turn(client, session.id, [say('Use the get_weather tool for the city Rome')]);
  const events = await turn(client, session.id, [{ type: 'user.interrupt' }]);
  assert.equal(one(events, 'session.status_idle').stop_reason.type, 'end_turn');
});

await step('sessions', async () => {
  const pinned = await beta.sessions.create({ agent: { type: 'agent', id: made.agent, version: 1 }, environment_id: made.env });
  assert.equal(pinned.agent.version, 1);
  assert.equal(pinned.title, null);
  const changed = await beta.sessions.update(made.session, { title: 'renamed', metadata: { a: null, b: '2' } });
  assert.equal(changed.title, 'renamed');
  assert.deepEqual(changed.metadata, { b: '2' });
  const listed = await all(beta.sessions.list({ agent_id: made.agent, limit: 1 }));
  assert.ok(listed.length >= 3 && listed.every((s) => s.agent.id === made.agent));
  await rejects(beta.environments.delete(made.env), errors.ConflictError);
  const archived = await beta.sessions.archive(pinned.id);
  assert.equal(archived.status, 'terminated');
  await rejects(beta.sessions.events.send(pinned.id, { events: [say('hello')] }), errors.APIError);
  assert.equal((await beta.sessions.delete(pinned.id)).type, 'session_deleted');
  await rejects(beta.sessions.retrieve(pinned.id), errors.NotFoundError, 'not_found_error');
  await rejects(beta.sessions.events.send(made.session, { events: [{ type: 'user.nonsense' }] }), errors.BadRequestError, 'invalid_request_error');
});

await step('files', async () => {
  const file = await beta.files.upload({ file: await toFile(Buffer.from('{"a":1}\n'), 'data.json', { type: 'application/json' }) });
  assert.equal(file.mime_type, 'application/json');
  assert.equal(file.size_bytes, 8);
  assert.equal((await beta.files.retrieveMetadata(file.id)).filename, 'data.json');
  assert.equal(await (await beta.files.download(file.id)).text(), '{"a":1}\n');
  assert.ok((await all(beta.files.list({ limit: 1 }))).some((f) => f.id === file.id));
  const session = await beta.sessions.create({ agent: made.plain, environment_id: made.env, resources: [{ type: 'file', file_id: file.id }] });
  assert.equal(session.resources[0].file_id, file.id);
  const more = await beta.sessions.resources.add(session.id, { type: 'file', file_id: file.id, mount_path: '/workspace/data.json' });
  assert.equal(more.mount_path, '/workspace/data.json');
  assert.equal((await all(beta.sessions.resources.list(session.id))).length, 2);
  assert.equal((await beta.sessions.resources.delete(more.id, { session_id: session.id })).type, 'session_resource_deleted');
  assert.equal((await beta.files.delete(file.id)).type, 'file_deleted');
  await rejects(beta.files.retrieveMetadata(file.id), errors.NotFoundError, 'not_found_error');
});

await step('skills', async () => {
  const text = (words) => toFile(Buffer.from(`---\nname: greeting\ndescription: ${words}\n---\n# Greeting\n`), 'greeting/SKILL.md', { type: 'text/markdown' });
  const name = older ? { display_title: 'Greeting' } : { display_name: 'Greeting' };
  const skill = await beta.skills.create({ ...name, files: [await text('How to greet')] });
  assert.equal(skill[older ? 'display_title' : 'display_name'], 'Greeting');
  assert.ok((await all(beta.skills.list())).some((s) => s.id === skill.id));
  const version = await beta.skills.versions.create(skill.id, { files: [await text('How to greet well')] });
  assert.equal(version.description, 'How to greet well');
  assert.equal((await all(beta.skills.versions.list(skill.id))).length, 2);
  const agent = await beta.agents.create({ name: 'Greeter', model: 'offline', skills: [{ type: 'custom', skill_id: skill.id, version: 'latest' }] });
  assert.equal(agent.skills[0].skill_id, skill.id);
  await rejects(beta.skills.create({ ...name, files: [await toFile(Buffer.from('x'), 'greeting/other.md')] }), errors.BadRequestError, 'invalid_request_error');
  for (const v of await all(beta.skills.versions.list(skill.id))) {
    assert.equal((await beta.skills.versions.delete(older ? v.version : v.id, { skill_id: skill.id })).type, 'skill_version_deleted');
  }
  assert.equal((await beta.skills.delete(skill.id)).type, 'skill_deleted');
});

await step('vaults', async () => {
  const vault = await beta.vaults.create({ display_name: 'Keys', metadata: { team: 'a' } });
  const credential = await beta.vaults.credentials.create(vault.id, {
    display_name: 'docs', auth: { type: 'static_bearer', token: 'a-very-secret-token', mcp_server_url: 'https://mcp.example.com/mcp' },
  });
  assert.equal(credential.auth.mcp_server_url, 'https://mcp.example.com/mcp');
  assert.ok(!JSON.stringify(credential).includes('very-secret'));
  await rejects(
    beta.vaults.credentials.create(vault.id, { auth: { type: 'static_bearer', token: 'another', mcp_server_url: 'https://mcp.example.com/mcp' } }),
    errors.ConflictError,
  );
  const rotated = await beta.vaults.credentials.update(credential.id, { vault_id: vault.id, auth: { type: 'static_bearer', token: 'a-second-secret' } });
  assert.ok(!JSON.stringify(rotated).includes('second-secret'));
  assert.equal((await all(beta.vaults.credentials.list(vault.id))).length, 1);
  assert.equal((await beta.vaults.update(vault.id, { display_name: 'More keys' })).display_name, 'More keys');
  const session = await beta.sessions.create({ agent: made.plain, environment_id: made.env, vault_ids: [vault.id] });
  assert.deepEqual(session.vault_ids, [vault.id]);
  assert.ok((await beta.vaults.credentials.archive(credential.id, { vault_id: vault.id })).archived_at);
  assert.equal((await beta.vaults.credentials.delete(credential.id, { vault_id: vault.id })).type, 'vault_credential_deleted');
  assert.ok((await beta.vaults.archive(vault.id)).archived_at);
  assert.equal((await beta.vaults.delete(vault.id)).type, 'vault_deleted');
});

await step('memory', async () => {
  const store = await beta.memoryStores.create({ name: 'Notes', description: 'What was learned' });
  const { memories, memoryVersions } = beta.memoryStores;
  const at = { memory_store_id: store.id };
  const note = await memories.create(store.id, { path: '/people/ann.md', content: 'Ann likes tea', view: 'full' });
  assert.equal(note.content, 'Ann likes tea');
  await rejects(memories.create(store.id, { path: '/people/ann.md', content: 'again' }), errors.ConflictError, 'memory_path_conflict_error');
  const changed = await memories.update(note.id, { ...at, content: 'Ann likes coffee', precondition: { type: 'content_sha256', content_sha256: note.content_sha256 } });
  assert.notEqual(changed.content_sha256, note.content_sha256);
  await rejects(
    memories.update(note.id, { ...at, content: 'x', precondition: { type: 'content_sha256', content_sha256: note.content_sha256 } }),
    errors.APIError, 'memory_precondition_failed_error',
  );
  await memories.create(store.id, { path: '/places/paris.md', content: 'Paris is in France' });
  assert.deepEqual((await all(memories.list(store.id, { path_prefix: '/people' }))).map((m) => m.path), ['/people/ann.md']);
  const versions = await all(memoryVersions.list(store.id, { memory_id: note.id }));
  assert.deepEqual(versions.map((v) => v.operation).sort(), ['created', 'modified']);
  const oldest = versions.find((v) => v.operation === 'created');
  assert.ok((await memoryVersions.redact(oldest.id, at)).redacted_at);
  assert.equal((await memories.delete(note.id, at)).type, 'memory_deleted');
  assert.ok((await beta.memoryStores.archive(store.id)).archived_at);
  assert.equal((await beta.memoryStores.delete(store.id)).type, 'memory_store_deleted');
});

if (!older) {
  await step('previews', async () => {
    const { accumulateManagedAgentsEvent } = await load('lib/sessions/accumulate.mjs');
    const events = await turn(client, made.session, [say('Say a few words about rivers.')], { params: { event_deltas: ['agent.message'] } });
    let shown;
    for (const event of events) {
      if (event.type === 'agent.message') break;
      if (event.type === 'event_start' || event.type === 'event_delta') shown = accumulateManagedAgentsEvent(shown, event);
    }
    const final = one(events, 'agent.message');
    assert.equal(shown.id, final.id);
    assert.equal(textOf(shown), textOf(final));
  });

  await step('the tool runner', async () => {
    const { betaTool } = await load('helpers/beta/json-schema.mjs');
    const session = await beta.sessions.create({ agent: made.agent, environment_id: made.env });
    const ran = [];
    const weather = betaTool({
      name: customTool.name, description: customTool.description, inputSchema: customTool.input_schema,
      run: (input) => (ran.push(input), 'rain'),
    });
    const runner = beta.sessions.events.toolRunner(session.id, { tools: [weather], maxIdleMs: 300 });
    await beta.sessions.events.send(session.id, { events: [say('Use the get_weather tool for the city Oslo')] });
    const calls = await all(runner);
    assert.equal(calls.length, 1);
    assert.equal(calls[0].posted, true);
    assert.equal(ran.length, 1);
    assert.equal((await beta.sessions.retrieve(session.id)).status, 'idle');
  });

  await step('overrides and budget', async () => {
    const session = await beta.sessions.create({
      agent: { type: 'agent_with_overrides', id: made.plain, system: 'Answer in French.' }, environment_id: made.env,
      budget: { type: 'limit', max_list_cost: { amount: '1.50', currency: 'USD' } },
      initial_events: [say('Hello')],
    });
    assert.equal(session.agent.system, 'Answer in French.');
    assert.equal(Number(session.budget.max_list_cost.amount), 1.5);
    const idle = async () => (await all(beta.sessions.events.list(session.id, { types: ['session.status_idle'] }))).length > 0;
    const until = Date.now() + 30_000;
    while (!(await idle())) assert.ok(Date.now() < until, 'the initial message has no answer');
    assert.equal((await beta.sessions.retrieve(session.id)).usage.list_cost.currency, 'USD');
    assert.equal((await beta.sessions.update(session.id, { budget: null })).budget, null);
  });

  await step('threads', async () => {
    const researcher = await beta.agents.create({ name: 'researcher', model: 'offline', description: 'Answers questions' });
    const lead = await beta.agents.create({ name: 'lead', model: 'offline', multiagent: { type: 'coordinator', agents: [{ type: 'agent', id: researcher.id }] } });
    const session = await beta.sessions.create({ agent: lead.id, environment_id: made.env });
    assert.equal(session.agent.multiagent.agents[0].description, 'Answers questions');
    const events = await turn(client, session.id, [say('Ask the researcher agent: what is 12 plus 30?')]);
    const created = one(events, 'session.thread_created');
    assert.equal(created.agent_name, 'researcher');
    const threads = await all(beta.sessions.threads.list(session.id));
    assert.equal(threads.length, 2);
    const child = await beta.sessions.threads.retrieve(created.session_thread_id, { session_id: session.id });
    assert.equal(child.agent.id, researcher.id);
    const inner = await all(beta.sessions.threads.events.list(created.session_thread_id, { session_id: session.id }));
    assert.ok(types(inner).includes('agent.message'), types(inner).join(' '));
  });

  await step('outcomes', async () => {
    const session = await beta.sessions.create({ agent: made.plain, environment_id: made.env });
    const events = await turn(client, session.id, [
      { type: 'user.define_outcome', description: 'Say hello', rubric: { type: 'text', content: 'The answer says hello' }, max_iterations: 1 },
    ], { until: (e) => e.type === 'span.outcome_evaluation_end' });
    assert.ok(['satisfied', 'max_iterations_reached', 'failed'].includes(one(events, 'span.outcome_evaluation_end').result));
    const [evaluation] = (await beta.sessions.retrieve(session.id)).outcome_evaluations;
    assert.equal(evaluation.type, 'outcome_evaluation');
  });
}

await step('a wrong key', () =>
  rejects(connect({ apiKey: 'not-a-key' }).beta.agents.list(), errors.AuthenticationError, 'authentication_error'));

await step('archive', async () => {
  assert.ok((await beta.agents.archive(made.agent)).archived_at);
  assert.ok(!(await all(beta.agents.list())).some((a) => a.id === made.agent));
  assert.ok((await all(beta.agents.list({ include_archived: true }))).some((a) => a.id === made.agent));
});

process.exit(0); // streams that a failed step has left open would keep it alive
