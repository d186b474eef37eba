export { ValtaClient, type ValtaClientOptions } from './client.js';
export {
  AgentFrozenError,
  ConflictError,
  ConnectionError,
  CreditsExhaustedError,
  ForbiddenError,
  InvalidRequestError,
  isValtaError,
  NotFoundError,
  RateLimitError,
  UnauthorisedError,
  ValtaError,
  type ValtaErrorCode,
} from './errors.js';
export type { Listing } from './listing.js';
export type { Accounts, Agents, Approvals, Audit, Auth, Policies, RunOptions, WaitForRunOptions, Wallets } from './resources.js';
export type { RequestOptions, WriteOptions } from './transport.js';
export type * from './types.js';
export { ValtaClient as default } from './client.js';
