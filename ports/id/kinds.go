package id

// The kinds of ids. Each XKind type is a marker that is never instantiated; use the alias X.
type (
	// TenantKind marks the id of an isolated customer of the server.
	TenantKind struct{}
	// APIKeyKind marks the id of an API key.
	APIKeyKind struct{}
	// UserKind marks the id of a person.
	UserKind struct{}
	// AgentKind marks the id of an agent.
	AgentKind struct{}
	// SessionKind marks the id of a session.
	SessionKind struct{}
	// EventKind marks the id of an entry of a session's log.
	EventKind struct{}
	// TurnKind marks the id of one turn of a session.
	TurnKind struct{}
	// RunKind marks the id of a task given to an agent, with an outcome.
	RunKind struct{}
	// EnvironmentKind marks the id of an environment template.
	EnvironmentKind struct{}
	// ActKind marks the id of one act that passed, or was stopped by, the gate.
	ActKind struct{}
	// DecisionKind marks the id of a decision of the gate.
	DecisionKind struct{}
	// PolicyKind marks the id of a policy.
	PolicyKind struct{}
	// ApprovalKind marks the id of an approval that an act waits for.
	ApprovalKind struct{}
	// WalletKind marks the id of a wallet.
	WalletKind struct{}
	// LedgerEntryKind marks the id of a balanced entry of the ledger.
	LedgerEntryKind struct{}
	// HoldKind marks the id of money reserved in a wallet.
	HoldKind struct{}
	// AuditEntryKind marks the id of an entry of the audit trail.
	AuditEntryKind struct{}
	// UsageKind marks the id of a usage row.
	UsageKind struct{}
	// KnowledgeKind marks the id of a knowledge entry.
	KnowledgeKind struct{}
	// SkillKind marks the id of a skill of the marketplace.
	SkillKind struct{}
	// InstalledSkillKind marks the id of a skill installed on an agent.
	InstalledSkillKind struct{}
	// PluginKind marks the id of a plugin binary known to the host.
	PluginKind struct{}
	// SwarmKind marks the id of a group of agents.
	SwarmKind struct{}
	// VaultKind marks the id of a collection of credentials.
	VaultKind struct{}
	// CredentialKind marks the id of a credential in a vault.
	CredentialKind struct{}
	// FileKind marks the id of an uploaded or produced file.
	FileKind struct{}
	// ResourceKind marks the id of what is mounted into a session.
	ResourceKind struct{}
	// ThreadKind marks the id of a thread of a session: its own, or a subagent's.
	ThreadKind struct{}
	// MemoryStoreKind marks the id of a memory store.
	MemoryStoreKind struct{}
	// MemoryKind marks the id of an entry of a memory store.
	MemoryKind struct{}
	// MemoryVersionKind marks the id of one version of a memory.
	MemoryVersionKind struct{}
	// SkillVersionKind marks the id of one version of an uploaded skill.
	SkillVersionKind struct{}
	// ModelCardKind marks the id of a tenant's own credentials for a model.
	ModelCardKind struct{}
	// OutcomeKind marks the id of what a session was asked to reach.
	OutcomeKind struct{}
	// InstallationKind marks the id of an integration's installation in a workspace.
	InstallationKind struct{}
	// PublicationKind marks the id of the binding of an agent to a workspace.
	PublicationKind struct{}
	// DeliveryKind marks the id of an event that an integration was told of.
	DeliveryKind struct{}
	// PostKind marks the id of what an integration has to say in a workspace.
	PostKind struct{}
	// EvalRunKind marks the id of a run of an evaluation.
	EvalRunKind struct{}
	// WebhookKind marks the id of an address that is told what happens.
	WebhookKind struct{}
	// NoticeKind marks the id of something that webhooks are told.
	NoticeKind struct{}
	// AttemptKind marks the id of the delivery of a notice to a webhook.
	AttemptKind struct{}
	// PaymentKind marks the id of a payment over a rail.
	PaymentKind struct{}
	// ReportKind marks the id of an event that an agent reported.
	ReportKind struct{}
	// AgentMessageKind marks the id of a message from one agent to another.
	AgentMessageKind struct{}
	// FeedbackKind marks the id of what a user thought of an agent's work.
	FeedbackKind struct{}
	// AgentLinkKind marks the id of the link of a user to an agent.
	AgentLinkKind struct{}
	// BudgetKind marks the id of a budget for the costs of models.
	BudgetKind struct{}
	// PriceKind marks the id of a price of a model.
	PriceKind struct{}
	// RerateKind marks the id of a re-rating of usage.
	RerateKind struct{}
	// SwarmMemberKind marks the id of the membership of a person in a swarm.
	SwarmMemberKind struct{}
	// RemoteAgentKind marks the id of an agent elsewhere that was registered by its card.
	RemoteAgentKind struct{}
	// CardReportKind marks the id of what a validation of an agent card found.
	CardReportKind struct{}
	// AgentCardKind marks the id of an agent card that a tenant has had validated.
	AgentCardKind struct{}
	// CardBatchKind marks the id of a validation of several agent cards at once.
	CardBatchKind struct{}
)

// One alias per kind.
type (
	// Tenant is the id of an isolated customer of the server: "tnt_...".
	Tenant = ID[TenantKind]
	// APIKey is the id of an API key: "key_...".
	APIKey = ID[APIKeyKind]
	// User is the id of a person: "user_...".
	User = ID[UserKind]
	// Agent is the id of an agent: "agent_...".
	Agent = ID[AgentKind]
	// Session is the id of a session: "sesn_...".
	Session = ID[SessionKind]
	// Event is the id of an entry of a session's log: "sevt_...".
	Event = ID[EventKind]
	// Turn is the id of one turn of a session: "turn_...".
	Turn = ID[TurnKind]
	// Run is the id of a task given to an agent, with an outcome: "run_...".
	Run = ID[RunKind]
	// Environment is the id of an environment template: "env_...".
	Environment = ID[EnvironmentKind]
	// Act is the id of one act that passed, or was stopped by, the gate: "act_...".
	Act = ID[ActKind]
	// Decision is the id of a decision of the gate: "dec_...".
	Decision = ID[DecisionKind]
	// Policy is the id of a policy: "pol_...".
	Policy = ID[PolicyKind]
	// Approval is the id of an approval that an act waits for: "apr_...".
	Approval = ID[ApprovalKind]
	// Wallet is the id of a wallet: "wal_...".
	Wallet = ID[WalletKind]
	// LedgerEntry is the id of a balanced entry of the ledger: "tx_...".
	LedgerEntry = ID[LedgerEntryKind]
	// Hold is the id of money reserved in a wallet: "hold_...".
	Hold = ID[HoldKind]
	// AuditEntry is the id of an entry of the audit trail: "ae_...".
	AuditEntry = ID[AuditEntryKind]
	// Usage is the id of a usage row: "usg_...".
	Usage = ID[UsageKind]
	// Knowledge is the id of a knowledge entry: "know_...".
	Knowledge = ID[KnowledgeKind]
	// Skill is the id of a skill of the marketplace: "skill_...".
	Skill = ID[SkillKind]
	// InstalledSkill is the id of a skill installed on an agent: "as_...".
	InstalledSkill = ID[InstalledSkillKind]
	// Plugin is the id of a plugin binary known to the host: "plg_...".
	Plugin = ID[PluginKind]
	// Swarm is the id of a group of agents: "swarm_...".
	Swarm = ID[SwarmKind]
	// Vault is the id of a collection of credentials: "vlt_...".
	Vault = ID[VaultKind]
	// Credential is the id of a credential in a vault: "vcrd_...".
	Credential = ID[CredentialKind]
	// File is the id of an uploaded or produced file: "file_...".
	File = ID[FileKind]
	// Resource is the id of what is mounted into a session: "sesrsc_...".
	Resource = ID[ResourceKind]
	// Thread is the id of a thread of a session: its own, or a subagent's: "sthr_...".
	Thread = ID[ThreadKind]
	// MemoryStore is the id of a memory store: "memstore_...".
	MemoryStore = ID[MemoryStoreKind]
	// Memory is the id of an entry of a memory store: "mem_...".
	Memory = ID[MemoryKind]
	// MemoryVersion is the id of one version of a memory: "memver_...".
	MemoryVersion = ID[MemoryVersionKind]
	// SkillVersion is the id of one version of an uploaded skill: "skillver_...".
	SkillVersion = ID[SkillVersionKind]
	// ModelCard is the id of a tenant's own credentials for a model: "mcard_...".
	ModelCard = ID[ModelCardKind]
	// Outcome is the id of what a session was asked to reach: "outc_...".
	Outcome = ID[OutcomeKind]
	// Installation is the id of an integration's installation in a workspace: "inst_...".
	Installation = ID[InstallationKind]
	// Publication is the id of the binding of an agent to a workspace: "pub_...".
	Publication = ID[PublicationKind]
	// Delivery is the id of an event that an integration was told of: "dlv_...".
	Delivery = ID[DeliveryKind]
	// Post is the id of what an integration has to say in a workspace: "post_...".
	Post = ID[PostKind]
	// EvalRun is the id of a run of an evaluation: "evrun_...".
	EvalRun = ID[EvalRunKind]
	// Webhook is the id of an address that is told what happens: "whk_...".
	Webhook = ID[WebhookKind]
	// Notice is the id of something that webhooks are told: "ntc_...".
	Notice = ID[NoticeKind]
	// Attempt is the id of the delivery of a notice to a webhook: "att_...".
	Attempt = ID[AttemptKind]
	// Payment is the id of a payment over a rail: "pay_...".
	Payment = ID[PaymentKind]
	// Report is the id of an event that an agent reported, in telemetry: "rep_...".
	Report = ID[ReportKind]
	// AgentMessage is the id of a message from one agent to another: "amsg_...".
	AgentMessage = ID[AgentMessageKind]
	// Feedback is the id of what a user thought of an agent's work: "fbk_...".
	Feedback = ID[FeedbackKind]
	// AgentLink is the id of the link of a user to an agent: "alnk_...".
	AgentLink = ID[AgentLinkKind]
	// Budget is the id of a budget for the costs of models: "bdg_...".
	Budget = ID[BudgetKind]
	// Price is the id of a price of a model: "prc_...".
	Price = ID[PriceKind]
	// Rerate is the id of a re-rating of usage: "rrt_...".
	Rerate = ID[RerateKind]
	// SwarmMember is the id of the membership of a person in a swarm: "smem_...".
	SwarmMember = ID[SwarmMemberKind]
	// RemoteAgent is the id of an agent elsewhere that was registered by its card: "remote_...".
	RemoteAgent = ID[RemoteAgentKind]
	// CardReport is the id of what a validation of an agent card found: "rpt_...".
	CardReport = ID[CardReportKind]
	// AgentCard is the id of an agent card that a tenant has had validated: "card_...".
	AgentCard = ID[AgentCardKind]
	// CardBatch is the id of a validation of several agent cards at once: "batch_...".
	CardBatch = ID[CardBatchKind]
)

func (TenantKind) spec() kindSpec         { return kindSpec{"tenant", "tnt", nil} }
func (APIKeyKind) spec() kindSpec         { return kindSpec{"api_key", "key", []string{"ak"}} }
func (UserKind) spec() kindSpec           { return kindSpec{"user", "user", nil} }
func (AgentKind) spec() kindSpec          { return kindSpec{"agent", "agent", []string{"ag"}} }
func (SessionKind) spec() kindSpec        { return kindSpec{"session", "sesn", []string{"sess"}} }
func (EventKind) spec() kindSpec          { return kindSpec{"event", "sevt", []string{"evt"}} }
func (TurnKind) spec() kindSpec           { return kindSpec{"turn", "turn", nil} }
func (RunKind) spec() kindSpec            { return kindSpec{"run", "run", nil} }
func (EnvironmentKind) spec() kindSpec    { return kindSpec{"environment", "env", nil} }
func (ActKind) spec() kindSpec            { return kindSpec{"act", "act", nil} }
func (DecisionKind) spec() kindSpec       { return kindSpec{"decision", "dec", nil} }
func (PolicyKind) spec() kindSpec         { return kindSpec{"policy", "pol", nil} }
func (ApprovalKind) spec() kindSpec       { return kindSpec{"approval", "apr", nil} }
func (WalletKind) spec() kindSpec         { return kindSpec{"wallet", "wal", []string{"wl"}} }
func (LedgerEntryKind) spec() kindSpec    { return kindSpec{"transaction", "tx", nil} }
func (HoldKind) spec() kindSpec           { return kindSpec{"hold", "hold", nil} }
func (AuditEntryKind) spec() kindSpec     { return kindSpec{"audit_entry", "ae", nil} }
func (UsageKind) spec() kindSpec          { return kindSpec{"usage", "usg", nil} }
func (KnowledgeKind) spec() kindSpec      { return kindSpec{"knowledge_entry", "know", nil} }
func (SkillKind) spec() kindSpec          { return kindSpec{"skill", "skill", nil} }
func (InstalledSkillKind) spec() kindSpec { return kindSpec{"installed_skill", "as", nil} }
func (PluginKind) spec() kindSpec         { return kindSpec{"plugin", "plg", nil} }
func (SwarmKind) spec() kindSpec          { return kindSpec{"swarm", "swarm", nil} }
func (VaultKind) spec() kindSpec          { return kindSpec{"vault", "vlt", []string{"vault"}} }
func (CredentialKind) spec() kindSpec     { return kindSpec{"vault_credential", "vcrd", []string{"cred"}} }
func (FileKind) spec() kindSpec           { return kindSpec{"file", "file", nil} }
func (ResourceKind) spec() kindSpec       { return kindSpec{"session_resource", "sesrsc", nil} }
func (ThreadKind) spec() kindSpec         { return kindSpec{"session_thread", "sthr", nil} }
func (MemoryStoreKind) spec() kindSpec    { return kindSpec{"memory_store", "memstore", nil} }
func (MemoryKind) spec() kindSpec         { return kindSpec{"memory", "mem", nil} }
func (MemoryVersionKind) spec() kindSpec  { return kindSpec{"memory_version", "memver", nil} }
func (SkillVersionKind) spec() kindSpec   { return kindSpec{"skill_version", "skillver", nil} }
func (ModelCardKind) spec() kindSpec      { return kindSpec{"model_card", "mcard", nil} }
func (OutcomeKind) spec() kindSpec        { return kindSpec{"outcome", "outc", nil} }
func (InstallationKind) spec() kindSpec   { return kindSpec{"installation", "inst", nil} }
func (PublicationKind) spec() kindSpec    { return kindSpec{"publication", "pub", nil} }
func (DeliveryKind) spec() kindSpec       { return kindSpec{"delivery", "dlv", nil} }
func (PostKind) spec() kindSpec           { return kindSpec{"post", "post", nil} }
func (EvalRunKind) spec() kindSpec        { return kindSpec{"eval_run", "evrun", []string{"eval"}} }
func (WebhookKind) spec() kindSpec        { return kindSpec{"webhook", "whk", nil} }
func (NoticeKind) spec() kindSpec         { return kindSpec{"notice", "ntc", nil} }
func (AttemptKind) spec() kindSpec        { return kindSpec{"webhook_delivery", "att", nil} }
func (PaymentKind) spec() kindSpec        { return kindSpec{"payment", "pay", nil} }
func (ReportKind) spec() kindSpec         { return kindSpec{"event", "rep", []string{"evt", "event"}} }
func (AgentMessageKind) spec() kindSpec   { return kindSpec{"agent_message", "amsg", []string{"msg"}} }
func (FeedbackKind) spec() kindSpec       { return kindSpec{"feedback", "fbk", []string{"fb"}} }
func (AgentLinkKind) spec() kindSpec      { return kindSpec{"agent_link", "alnk", []string{"link"}} }
func (BudgetKind) spec() kindSpec         { return kindSpec{"budget", "bdg", nil} }
func (PriceKind) spec() kindSpec          { return kindSpec{"price", "prc", nil} }
func (RerateKind) spec() kindSpec         { return kindSpec{"usage_rerate", "rrt", nil} }
func (SwarmMemberKind) spec() kindSpec    { return kindSpec{"swarm_member", "smem", nil} }
func (RemoteAgentKind) spec() kindSpec    { return kindSpec{"remote_agent", "remote", nil} }
func (CardReportKind) spec() kindSpec     { return kindSpec{"card_report", "rpt", nil} }
func (AgentCardKind) spec() kindSpec      { return kindSpec{"agent_card", "card", nil} }
func (CardBatchKind) spec() kindSpec      { return kindSpec{"card_batch", "batch", nil} }
