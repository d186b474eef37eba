import { Listing } from './listing.js';
import type { Query, RequestOptions, Transport, WriteOptions } from './transport.js';
import type * as t from './types.js';

// Items on a page where all pages are read.
const wholePage = 100;

/** An id as a part of a path. An empty one would name the collection. */
function part(name: string, id: string): string {
  if (typeof id !== 'string' || id === '') throw new TypeError(`${name} must be a non-empty string`);
  return encodeURIComponent(id);
}

const query = (params: object | undefined): Query => ({ ...params }) as Query;

/** How long to wait for a run's outcome. */
export interface RunOptions extends WriteOptions {
  /** Seconds that the server waits at most, up to 600; 60 when left out, 0 answers at once. */
  wait?: number | undefined;
}

/** How to wait for a run. */
export interface WaitForRunOptions extends RequestOptions {
  /** Milliseconds between two looks; 1000 when left out. */
  interval?: number | undefined;
}

export class Agents {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Creates an agent with a wallet of its own. 403 FORBIDDEN when the plan has no room for another one. */
  create(params: t.CreateAgentParams, options?: WriteOptions): Promise<t.Agent> {
    return this.#transport.send({ method: 'POST', path: '/agents', body: params, options });
  }

  /** One page of the agents, newest first. */
  list(params?: t.ListAgentsParams, options?: RequestOptions): Promise<t.PaginatedResponse<t.Agent>> {
    return this.#transport.send({ method: 'GET', path: '/agents', query: query(params), options });
  }

  /** All agents, over all pages. */
  all(params?: Omit<t.ListAgentsParams, 'page' | 'limit'>, options?: RequestOptions): Listing<t.Agent> {
    return new Listing((page) => this.list({ ...params, page, limit: wholePage }, options));
  }

  get(agentId: string, options?: RequestOptions): Promise<t.Agent> {
    return this.#transport.send({ method: 'GET', path: `/agents/${part('agentId', agentId)}`, options });
  }

  /** Changes what is given; the rest stays. */
  update(agentId: string, params: t.UpdateAgentParams, options?: RequestOptions): Promise<t.Agent> {
    return this.#transport.send({ method: 'PATCH', path: `/agents/${part('agentId', agentId)}`, body: params, options });
  }

  /** Deletes an agent for good. Its audit entries stay, and are found by its id. */
  delete(agentId: string, options?: RequestOptions): Promise<t.Success> {
    return this.#transport.send({ method: 'DELETE', path: `/agents/${part('agentId', agentId)}`, options });
  }

  /**
   * Gives an agent a task, and returns the run in the state that it reached while waited for. 402 CREDITS_EXHAUSTED without credits,
   * 403 AGENT_FROZEN for a frozen agent.
   */
  run(agentId: string, params: t.RunParams, options: RunOptions = {}): Promise<t.AgentRun> {
    const { wait } = options;
    return this.#transport.send({
      method: 'POST', path: `/agents/${part('agentId', agentId)}/runs`, query: { wait }, body: params, options, patience: (wait ?? 60) * 1000,
    });
  }

  /** One page of an agent's runs, newest first. */
  listRuns(agentId: string, params?: t.ListRunsParams, options?: RequestOptions): Promise<t.PaginatedResponse<t.AgentRun>> {
    return this.#transport.send({ method: 'GET', path: `/agents/${part('agentId', agentId)}/runs`, query: query(params), options });
  }

  getRun(agentId: string, runId: string, options?: RequestOptions): Promise<t.AgentRun> {
    const path = `/agents/${part('agentId', agentId)}/runs/${part('runId', runId)}`;
    return this.#transport.send({ method: 'GET', path, options });
  }

  /** Reads a run until it is completed or failed, or waits for an approval. Give a signal to bound that. */
  async waitForRun(agentId: string, runId: string, options: WaitForRunOptions = {}): Promise<t.AgentRun> {
    const { interval = 1000, signal } = options;
    for (;;) {
      const run = await this.getRun(agentId, runId, options);
      if (run.status !== 'running') return run;
      await new Promise<void>((resolve) => setTimeout(resolve, interval));
      signal?.throwIfAborted();
    }
  }

  /** Freezes an agent: once this returns, no money of it moves and no run starts. */
  freeze(agentId: string, options?: WriteOptions): Promise<t.FreezeResult> {
    return this.#transport.send({ method: 'POST', path: `/agents/${part('agentId', agentId)}/freeze`, options });
  }

  unfreeze(agentId: string, options?: WriteOptions): Promise<t.FreezeResult> {
    return this.#transport.send({ method: 'POST', path: `/agents/${part('agentId', agentId)}/unfreeze`, options });
  }
}

export class Policies {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Sets an agent's policy; one that it has is replaced. */
  create(agentId: string, params: t.PolicyParams, options?: WriteOptions): Promise<t.Policy> {
    return this.#transport.send({ method: 'POST', path: policyPath(agentId), body: params, options });
  }

  /** The agent's policy, or null when it has none: then it may not pay, unless the server allows that by default. */
  get(agentId: string, options?: RequestOptions): Promise<t.Policy | null> {
    return this.#transport.send({ method: 'GET', path: policyPath(agentId), options });
  }

  /** Changes what is given; null removes, the rest stays. */
  update(agentId: string, params: t.PolicyParams, options?: RequestOptions): Promise<t.Policy> {
    return this.#transport.send({ method: 'PATCH', path: policyPath(agentId), body: params, options });
  }

  delete(agentId: string, options?: RequestOptions): Promise<t.Success> {
    return this.#transport.send({ method: 'DELETE', path: policyPath(agentId), options });
  }
}

const policyPath = (agentId: string) => `/agents/${part('agentId', agentId)}/policy`;

export class Wallets {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get(agentId: string, options?: RequestOptions): Promise<t.WalletInfo> {
    return this.#transport.send({ method: 'GET', path: walletPath(agentId), options });
  }

  /** Puts money into an agent's wallet, on your word that it is there. */
  deposit(agentId: string, params: t.DepositParams, options?: WriteOptions): Promise<t.DepositResult> {
    return this.#transport.send({ method: 'POST', path: `${walletPath(agentId)}/deposit`, body: params, options });
  }

  /**
   * Pays out of an agent's wallet, at most once however often it has to be tried. A refusal is a result, too: look at `approved`. A frozen
   * agent throws AGENT_FROZEN.
   */
  spend(agentId: string, params: t.SpendParams, options?: WriteOptions): Promise<t.SpendResult> {
    const { idempotencyKey, ...body } = params;
    return this.#transport.send({
      method: 'POST', path: `${walletPath(agentId)}/spend`, body, options: { ...options, ...keyed(idempotencyKey) },
    });
  }

  /** Moves money between two agents' wallets, at most once. What a policy denies throws FORBIDDEN and names the rule. */
  transfer(params: t.TransferParams, options?: WriteOptions): Promise<t.TransferResult> {
    const { idempotencyKey, ...body } = params;
    return this.#transport.send({ method: 'POST', path: '/wallet/transfer', body, options: { ...options, ...keyed(idempotencyKey) } });
  }

  /** One page of a wallet's transactions, newest first. */
  transactions(agentId: string, params?: t.PageParams, options?: RequestOptions): Promise<t.PaginatedResponse<t.Transaction>> {
    return this.#transport.send({ method: 'GET', path: `${walletPath(agentId)}/transactions`, query: query(params), options });
  }
}

const walletPath = (agentId: string) => `/agents/${part('agentId', agentId)}/wallet`;

const keyed = (idempotencyKey: string | undefined) => (idempotencyKey === undefined ? {} : { idempotencyKey });

export class Approvals {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** One page of the approvals, newest first. */
  list(params?: t.ListApprovalsParams, options?: RequestOptions): Promise<t.PaginatedResponse<t.Approval>> {
    return this.#transport.send({ method: 'GET', path: '/approvals', query: query(params), options });
  }

  get(approvalId: string, options?: RequestOptions): Promise<t.Approval> {
    return this.#transport.send({ method: 'GET', path: `/approvals/${part('approvalId', approvalId)}`, options });
  }

  /** Approves what waits: it is judged once more and done. 409 CONFLICT when it has been decided already. */
  approve(approvalId: string, options?: WriteOptions): Promise<t.Approval> {
    return this.#transport.send({ method: 'POST', path: `/approvals/${part('approvalId', approvalId)}/approve`, options });
  }

  /** Denies what waits. 409 CONFLICT when it has been decided already. */
  deny(approvalId: string, params?: { reason?: string | undefined }, options?: WriteOptions): Promise<t.Approval> {
    return this.#transport.send({ method: 'POST', path: `/approvals/${part('approvalId', approvalId)}/deny`, body: params ?? {}, options });
  }
}

export class Audit {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** One page of the audit entries, newest first. */
  list(params?: t.ListAuditParams, options?: RequestOptions): Promise<t.PaginatedResponse<t.AuditEntry>> {
    return this.#transport.send({ method: 'GET', path: '/audit', query: query(params), options });
  }

  get(entryId: string, options?: RequestOptions): Promise<t.AuditEntry> {
    return this.#transport.send({ method: 'GET', path: `/audit/${part('entryId', entryId)}`, options });
  }

  /** Has the server recompute every hash of the trail. A broken trail is a result, not an error. */
  verify(options?: RequestOptions): Promise<t.AuditReport> {
    return this.#transport.send({ method: 'GET', path: '/audit/verify', options });
  }

  /** All entries, over all pages, newest first: of one agent, deleted ones included, or of the account. */
  export(params?: { agentId?: string | undefined }, options?: RequestOptions): Listing<t.AuditEntry> {
    return new Listing((page) => this.list({ ...params, page, limit: wholePage }, options));
  }
}

export class Accounts {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The plan and its credits. */
  get(options?: RequestOptions): Promise<t.Account> {
    return this.#transport.send({ method: 'GET', path: '/account', options });
  }
}

export class Auth {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Whose key this is: the plan and its credits, or UNAUTHORISED. */
  whoami(options?: RequestOptions): Promise<t.Account> {
    return this.#transport.send({ method: 'GET', path: '/account', options });
  }
}
