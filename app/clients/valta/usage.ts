// What users of the package write; it only has to compile, under the strictest rules.
import ValtaDefault, {
  AgentFrozenError, isValtaError, ValtaClient, ValtaError, type Agent, type AgentRun, type AuditEntry, type PaginatedResponse, type Policy,
  type SpendResult, type WalletInfo,
} from 'valta-sdk'

declare const process: { env: Record<string, string | undefined> }

const valta = new ValtaClient({ apiKey: process.env.VALTA_API_KEY })
new ValtaDefault({ apiKey: 'k', baseUrl: 'https://bureau.example/compat/valta', timeout: 1000, maxRetries: 0, fetch })

const agent: Agent = await valta.agents.create({ name: 'Procurement Agent', description: 'Buys things.' })
const { data, total, page }: PaginatedResponse<Agent> = await valta.agents.list({ limit: 20, page: 1, status: 'active' })
for (const a of data) console.log(a.id, a.name, a.status, total, page)
const nextPage = await valta.agents.list({ limit: 20, page: 2 })
console.log(nextPage.data.length, agent.createdAt.length)
await valta.agents.update(agent.id, { name: 'v2' })

const run: AgentRun = await valta.agents.run(agent.id, { task: 'Renew.', context: 'Today.' })
if (run.status === 'completed') console.log(run.summary, run.durationMs)
const runs = await valta.agents.listRuns(agent.id, { limit: 10, status: 'failed' })
for (const r of runs.data) console.log(r.id, r.error)

const policy: Policy | null = await valta.policies.get(agent.id)
console.log(policy?.maxPerTransaction)
const wallet: WalletInfo = await valta.wallets.get(agent.id)
const spent: SpendResult = await valta.wallets.spend(agent.id, { amount: wallet.available })
if (spent.approved) console.log(spent.transactionId, spent.newBalance)
else if (spent.requestId !== null) console.log(spent.rule, spent.requiresApproval)
// @ts-expect-error: a refused payment has no balance
if (!spent.approved) console.log(spent.newBalance)
// @ts-expect-error: amounts are numbers
await valta.wallets.deposit(agent.id, { amount: '5' })
// @ts-expect-error: there is no such status
await valta.agents.list({ status: 'asleep' })

for await (const entry of valta.audit.export({ agentId: agent.id })) console.log(entry.action)
const entries: AuditEntry[] = await valta.audit.export()
console.log(entries.length, (await valta.auth.whoami()).creditsRemaining)

try {
  await valta.agents.delete(agent.id, { signal: AbortSignal.timeout(1000) })
} catch (e) {
  if (isValtaError(e, 'NOT_FOUND')) console.log(e.status, e.code, e.message)
  else if (e instanceof AgentFrozenError || e instanceof ValtaError) console.log(e.retryAfter)
  else throw e
}
