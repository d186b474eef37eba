// An agent on the official JavaScript library: serve.mjs 1.0|0.3 prints its address. It asks for a colour and then paints in pieces; told to
// be slow it works until it is cancelled, which it prints.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [version] = process.argv.slice(2);
const require = createRequire(`${process.env.BUREAU_CLIENTS}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { default: express } = await load('express');
const lib = version === '1.0' ? 'a2a' : 'a2a-older';
const { DefaultRequestHandler, InMemoryTaskStore, AgentEvent } = await load(`${lib}/server`);
const { jsonRpcHandler, restHandler, UserBuilder } = await load(`${lib}/server/express`);
const { TaskState, Role } = await load(lib);

const one = version === '1.0';
const text = (value) => (one ? { content: { $case: 'text', value }, metadata: undefined, filename: '', mediaType: '' } : { kind: 'text', text: value });
const said = (m) => m.parts.map((p) => (one ? p.content?.value : p.text)).join('');
const state = (name) => (one ? TaskState['TASK_STATE_' + name.toUpperCase().replace('-', '_')] : name);
const now = () => new Date().toISOString();

class Painter {
  waiting = new Map();

  execute = async ({ taskId, contextId, userMessage, task }, bus) => {
    const ids = { taskId, contextId };
    const message = (value) => (one
      ? { messageId: randomUUID(), ...ids, role: Role.ROLE_AGENT, parts: [text(value)], metadata: undefined, extensions: [], referenceTaskIds: [] }
      : { kind: 'message', messageId: randomUUID(), ...ids, role: 'agent', parts: [text(value)] });
    const status = (name, value) => {
      const s = { state: state(name), timestamp: now(), message: value ? message(value) : undefined };
      bus.publish(one ? AgentEvent.statusUpdate({ ...ids, status: s, metadata: undefined })
        : { kind: 'status-update', ...ids, status: s, final: !['submitted', 'working'].includes(name) });
    };
    const piece = (value, append) => {
      const artifact = { artifactId: 'picture', name: 'picture', description: '', parts: [text(value)], metadata: undefined, extensions: [] };
      bus.publish(one ? AgentEvent.artifactUpdate({ ...ids, artifact, append, lastChunk: append, metadata: undefined })
        : { kind: 'artifact-update', ...ids, artifact: { artifactId: 'picture', parts: [text(value)] }, append, lastChunk: append });
    };
    const whole = task ?? {
      id: taskId, contextId, status: { state: state('submitted'), timestamp: now(), message: undefined }, artifacts: [], history: [userMessage],
      ...(one ? { metadata: undefined } : { kind: 'task' }),
    };
    bus.publish(one ? AgentEvent.task(whole) : whole);
    if (!task && said(userMessage) === 'be slow') {
      status('working');
      piece('begun', false);
      await new Promise((resolve) => { this.waiting.set(taskId, () => { status('canceled'); resolve(); }); });
    } else if (!task) {
      status('working', 'thinking');
      status('input-required', 'Which colour for ' + said(userMessage) + '?');
    } else {
      piece('Painted ', false);
      piece(said(userMessage), true);
      status('completed');
    }
    bus.finished();
  };

  cancelTask = async (id) => {
    const task = typeof id === 'string' ? id : id.taskId ?? id.id;
    console.log('canceled');
    this.waiting.get(task)?.();
  };
}

const app = express();
const server = createServer(app).listen(0, '127.0.0.1', () => {
  const base = `http://127.0.0.1:${server.address().port}`;
  for (const [path, binding, handler] of [['/rpc', 'JSONRPC', jsonRpcHandler], ['/rest', 'HTTP+JSON', restHandler]]) {
    const card = {
      name: 'Painter', description: 'Paints.', version: '1', capabilities: { streaming: true, pushNotifications: false },
      defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'], skills: [{ id: 'paint', name: 'Paint', description: 'Paints.', tags: ['paint'] }],
      ...(one ? { supportedInterfaces: [{ url: base + path, protocolBinding: binding, protocolVersion: '1.0' }] }
        : { url: base + path, preferredTransport: binding, protocolVersion: '0.3.0' }),
    };
    const full = one ? { ...card, securitySchemes: {}, securityRequirements: [], signatures: [],
      supportedInterfaces: [{ ...card.supportedInterfaces[0], tenant: '' }],
      capabilities: { ...card.capabilities, extensions: [], extendedAgentCard: false },
      skills: card.skills.map((s) => ({ ...s, examples: [], inputModes: [], outputModes: [], securityRequirements: [] })) } : card;
    const requestHandler = new DefaultRequestHandler(full, new InMemoryTaskStore(), new Painter());
    app.get(path + '/.well-known/agent-card.json', (_, res) => res.json(card));
    app.use(path, handler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
  }
  console.log(base);
});
process.stdin.on('end', () => process.exit(0)).resume();
