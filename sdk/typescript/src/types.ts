/** One page of a list. */
export interface PaginatedResponse<T> {
  data: T[];
  /** How many items there are on all pages. */
  total: number;
  /** Which page this is, from 1. */
  page: number;
  limit: number;
}

/** Which page of a list. */
export interface PageParams {
  /** From 1; 1 when left out. */
  page?: number | undefined;
  /** Items on a page, 100 at most; 20 when left out. */
  limit?: number | undefined;
}

export type AgentStatus = 'active' | 'frozen' | 'inactive';

export interface Agent {
  /** ag_... */
  id: string;
  name: string;
  description: string | null;
  status: AgentStatus;
  walletId: string;
  /** ISO 8601, as all times are. */
  createdAt: string;
  updatedAt: string;
}

export interface CreateAgentParams {
  name: string;
  description?: string | null | undefined;
}

export interface UpdateAgentParams {
  name?: string | undefined;
  /** null removes it. */
  description?: string | null | undefined;
}

export interface ListAgentsParams extends PageParams {
  status?: AgentStatus | undefined;
}

export interface FreezeResult {
  success: true;
  agentId: string;
  status: 'frozen' | 'active';
}

export interface Success {
  success: true;
}

export type AgentRunStatus = 'running' | 'completed' | 'failed' | 'waiting_approval';

export interface AgentRun {
  /** run_... */
  id: string;
  agentId: string;
  status: AgentRunStatus;
  /** What the agent did; null while it runs. */
  summary: string | null;
  /** Why the run failed; it names the rule when one stopped it. */
  error: string | null;
  startedAt: string;
  completedAt: string | null;
  durationMs: number | null;
}

export interface RunParams {
  /** What the agent should do. */
  task: string;
  /** What else it should know. */
  context?: string | null | undefined;
}

export interface ListRunsParams extends PageParams {
  status?: AgentRunStatus | undefined;
}

/**
 * What an agent may spend. null and empty lists limit nothing. Amounts are in units of the wallet's currency, with six decimal places at
 * most.
 */
export interface Policy {
  id: string;
  agentId: string;
  /** The most that one payment or transfer may move; no approval lifts it. */
  maxPerTransaction: number | null;
  /** Per calendar day, UTC. */
  dailyLimit: number | null;
  /** Per calendar month, UTC. */
  monthlyLimit: number | null;
  /** At or above this amount a person must approve. Not over maxPerTransaction. */
  requireApprovalAbove: number | null;
  blockedCategories: string[];
  /** When not empty, every other payee is denied. */
  allowedDomains: string[];
  /** They beat allowedDomains. */
  blockedDomains: string[];
  createdAt: string;
  updatedAt: string;
}

export interface PolicyParams {
  maxPerTransaction?: number | null | undefined;
  dailyLimit?: number | null | undefined;
  monthlyLimit?: number | null | undefined;
  requireApprovalAbove?: number | null | undefined;
  blockedCategories?: string[] | null | undefined;
  allowedDomains?: string[] | null | undefined;
  blockedDomains?: string[] | null | undefined;
}

export interface WalletInfo {
  walletId: string;
  agentId: string;
  /** All that the agent owns. */
  balance: number;
  /** What of it is set aside for payments that have begun. */
  held: number;
  /** What can be spent. */
  available: number;
  currency: string;
  status: AgentStatus;
}

export interface DepositParams {
  amount: number;
  description?: string | null | undefined;
}

export interface DepositResult {
  transactionId: string;
  balance: number;
}

export interface SpendParams {
  amount: number;
  description?: string | null | undefined;
  /** Whom to pay: a host name, a URL, an e-mail address or a name. */
  payee?: string | null | undefined;
  category?: string | null | undefined;
  /** The same key with the same payment pays once. Without one, each call is a payment of its own, and its repetitions are not. */
  idempotencyKey?: string | undefined;
}

export interface SpendApproved {
  approved: true;
  transactionId: string;
  newBalance: number;
}

export interface SpendRefused {
  approved: false;
  reason: string;
  /** What decided, such as dailyLimit or insufficientFunds. */
  rule: string;
  /** Whether a person may still approve it. */
  requiresApproval: boolean;
  /** The approval that it waits for. */
  requestId: string | null;
}

export type SpendResult = SpendApproved | SpendRefused;

export interface TransferParams {
  fromAgentId: string;
  toAgentId: string;
  amount: number;
  description?: string | null | undefined;
  idempotencyKey?: string | undefined;
}

export interface TransferResult {
  transactionId: string;
  fromBalance: number;
  toBalance: number;
}

export interface Transaction {
  /** tx_...; both sides of a transfer have the same. */
  id: string;
  agentId: string;
  type: 'deposit' | 'payment' | 'refund' | 'transfer_in' | 'transfer_out' | 'sweep' | (string & {});
  /** Above zero; the type says in which direction it went. */
  amount: number;
  currency: string;
  payee: string | null;
  category: string | null;
  description: string | null;
  balanceAfter: number;
  createdAt: string;
}

export type ApprovalStatus = 'pending' | 'approved' | 'denied' | 'expired';

export interface Approval {
  id: string;
  agentId: string;
  /** payment, transfer, tool_call or run_start. */
  action: string;
  amount: number | null;
  payee: string | null;
  description: string | null;
  /** What asked for the approval. */
  rule: string;
  reason: string;
  status: ApprovalStatus;
  decidedBy: string | null;
  decidedAt: string | null;
  note: string | null;
  expiresAt: string;
  createdAt: string;
}

export interface ListApprovalsParams extends PageParams {
  status?: ApprovalStatus | undefined;
  agentId?: string | undefined;
}

export interface AuditEntry {
  /** ae_... */
  id: string;
  action: string;
  agentId: string | null;
  /** The id of the API key that did it; null is the server itself. */
  userId: string | null;
  metadata: Record<string, unknown>;
  /** SHA-256 over the stored entry and the hash before it. */
  hash: string;
  previousHash: string | null;
  createdAt: string;
}

export interface ListAuditParams extends PageParams {
  /** Deleted agents included. */
  agentId?: string | undefined;
}

export interface AuditReport {
  valid: boolean;
  /** How many entries the chain has. */
  count: number;
  /** The hash of the last one. */
  head: string | null;
  firstBroken: { index: number; id: string | null; reason: string } | null;
}

export interface Account {
  plan: 'free' | 'pro' | 'team' | 'unlimited' | (string & {});
  /** -1 is unlimited. */
  creditsRemaining: number;
  /** Per month; -1 is unlimited. */
  creditsTotal: number;
  resetsAt: string;
}
