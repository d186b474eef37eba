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
