import { Accounts, Agents, Approvals, Audit, Auth, Policies, Wallets } from './resources.js';
import { Transport } from './transport.js';

/** Where the API is, and how it is called. */
export interface ValtaClientOptions {
  /** The API key; VALTA_API_KEY of the environment when left out. */
  apiKey?: string | undefined;
  /**
   * The address of the API, such as `https://bureau.example/compat/valta`; a server's address without a path gets that path.
   * VALTA_BASE_URL of the environment when left out, or else `http://127.0.0.1:8080/compat/valta`.
   */
  baseUrl?: string | undefined;
  /** Makes requests; the global fetch when left out. */
  fetch?: typeof fetch | undefined;
  /** Milliseconds for each attempt of a call; 30000 when left out. Runs get in addition what the server is asked to wait. */
  timeout?: number | undefined;
  /** How often a call is tried again after a failed connection, 429, or 5xx; 2 when left out, 0 never. */
  maxRetries?: number | undefined;
}

const defaultBaseUrl = 'http://127.0.0.1:8080/compat/valta';
const defaultTimeout = 30_000;
const defaultRetries = 2;

/** The client of the API. It holds no state beside its options, and may be used by many callers at once. */
export class ValtaClient {
  readonly agents: Agents;
  readonly policies: Policies;
  readonly wallets: Wallets;
  readonly approvals: Approvals;
  readonly audit: Audit;
  readonly account: Accounts;
  readonly auth: Auth;

  constructor(options: ValtaClientOptions = {}) {
    const apiKey = options.apiKey ?? environment('VALTA_API_KEY');
    if (apiKey === undefined || apiKey === '') {
      throw new TypeError('ValtaClient needs an apiKey, or VALTA_API_KEY in the environment');
    }
    const fetch = options.fetch ?? globalThis.fetch?.bind(globalThis);
    if (fetch === undefined) throw new TypeError('ValtaClient needs a fetch: there is no global one here');
    const transport = new Transport({
      apiKey,
      baseUrl: address(options.baseUrl ?? environment('VALTA_BASE_URL') ?? defaultBaseUrl),
      fetch,
      timeout: atLeast('timeout', 1, options.timeout ?? defaultTimeout),
      maxRetries: atLeast('maxRetries', 0, options.maxRetries ?? defaultRetries),
    });
    this.agents = new Agents(transport);
    this.policies = new Policies(transport);
    this.wallets = new Wallets(transport);
    this.approvals = new Approvals(transport);
    this.audit = new Audit(transport);
    this.account = new Accounts(transport);
    this.auth = new Auth(transport);
  }
}

/** A variable of the environment, where there is one: not in browsers. */
function environment(name: string): string | undefined {
  const host = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return host.process?.env?.[name] || undefined;
}

function address(text: string): string {
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError('baseUrl must begin with http:// or https://');
  if (url.search !== '' || url.hash !== '') throw new TypeError('baseUrl must have no query and no fragment');
  const path = url.pathname.replace(/\/+$/, '');
  return url.origin + (path === '' ? '/compat/valta' : path);
}

function atLeast(name: string, least: number, value: number): number {
  if (!Number.isFinite(value) || value < least) throw new RangeError(`${name} must be a number of at least ${least}`);
  return value;
}
