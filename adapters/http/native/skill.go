package native

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// pluginWire is a plugin as the operator sees it.
type pluginWire struct {
	ID          string          `json:"id" doc:"plg_..."`
	Type        string          `json:"type" enum:"plugin"`
	Name        string          `json:"name" doc:"What agents and policies call it."`
	Kind        string          `json:"kind" enum:"skill,rule"`
	Version     *string         `json:"version" doc:"The author's."`
	Description string          `json:"description"`
	State       string          `json:"state" enum:"ready,building,failed" doc:"building and failed: a shipped plugin whose binary is not there."`
	Problem     *string         `json:"problem" doc:"Why it failed."`
	Enabled     bool            `json:"enabled"`
	Shipped     bool            `json:"shipped" doc:"It came with the server and follows its version."`
	SHA256      *string         `json:"sha256" doc:"Of the binary in force."`
	Size        int64           `json:"size" doc:"Bytes."`
	Schema      json.RawMessage `json:"schema" doc:"JSON Schema of a skill's input or of a rule's configuration; null is none."`
	Domains     []string        `json:"domains" nullable:"false" doc:"Hosts that a skill reaches."`
	Secrets     []string        `json:"secrets" nullable:"false" doc:"Names of secrets that a skill is given."`
	Inputs      []string        `json:"inputs" nullable:"false" doc:"What a rule is told of an act."`
	SigningKey  *string         `json:"signing_key" doc:"The operator's key that signed the manifest."`
	CreatedAt   stamp           `json:"created_at"`
	UpdatedAt   stamp           `json:"updated_at"`
}

func (f *face) showPlugin(p skill.Plugin) pluginWire {
	state, problem := f.deps.Skills.State(p)
	w := pluginWire{
		ID: p.ID.String(), Type: "plugin", Name: p.Name, Kind: string(p.Kind), Description: p.Description, State: string(state),
		Enabled: p.Enabled, Shipped: p.Shipped, Schema: json.RawMessage("null"), Domains: []string{}, Secrets: []string{}, Inputs: []string{},
		CreatedAt: stampOf(p.CreatedAt), UpdatedAt: stampOf(p.UpdatedAt),
	}
	if problem != nil {
		w.Problem = textOrNull(problem.Error())
	}
	if r := p.Release; r != nil {
		m := r.Manifest
		w.Version, w.SHA256, w.Size, w.SigningKey = textOrNull(m.Version), textOrNull(m.Digest), m.Size, textOrNull(r.Signature.Key)
		if len(m.Schema) > 0 {
			w.Schema = m.Schema
		}
		w.Domains, w.Secrets, w.Inputs = append(w.Domains, m.Needs.Domains...), append(w.Secrets, m.Needs.Secrets...), append(w.Inputs, m.Inputs...)
	}
	return w
}

// skillWire is a skill of any kind. It carries the names of both generations of the official client libraries.
type skillWire struct {
	ID              string          `json:"id" doc:"skill_..."`
	Type            string          `json:"type" enum:"skill"`
	Name            string          `json:"name"`
	DisplayName     string          `json:"display_name"`
	DisplayTitle    string          `json:"display_title" doc:"The same as display_name."`
	Description     string          `json:"description"`
	Kind            string          `json:"kind" enum:"instructions,plugin,structured"`
	Source          skillSourceWire `json:"source"`
	State           string          `json:"state" enum:"ready,building,failed"`
	Version         *string         `json:"version" doc:"The author's; of instructions the latest version's number."`
	LatestVersionID string          `json:"latest_version_id" doc:"Of a plugin the SHA-256 of the release in force; empty when there is none, never null."`
	LatestVersion   *string         `json:"latest_version" doc:"The same; of instructions the number."`
	Files           []skillFileWire `json:"files,omitempty" doc:"Of the latest version of instructions; left out of lists."`
	InputSchema     json.RawMessage `json:"input_schema" doc:"JSON Schema of a plugin's input; null until it is ready."`
	Domains         []string        `json:"domains" nullable:"false" doc:"Hosts that it reaches."`
	Secrets         []string        `json:"secrets" nullable:"false" doc:"Names of secrets that it is given."`
	CreatedAt       stamp           `json:"created_at"`
	UpdatedAt       stamp           `json:"updated_at"`
}

type skillSourceWire struct {
	Type string `json:"type" enum:"custom,anthropic,plugin,agent" doc:"custom was uploaded, anthropic comes with the server, agent was handed in by one and approved."`
}

func (f *face) showSkill(p skill.Plugin) skillWire {
	w := f.showPlugin(p)
	return skillWire{
		ID: p.Skill().String(), Type: "skill", Name: w.Name, DisplayName: w.Name, DisplayTitle: w.Name, Description: w.Description, Kind: "plugin",
		Source: skillSourceWire{"plugin"}, State: w.State, Version: w.Version, LatestVersion: w.SHA256, LatestVersionID: orEmpty(w.SHA256),
		InputSchema: w.Schema, Domains: w.Domains, Secrets: w.Secrets, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
	}
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// installedWire is a skill that an agent has.
type installedWire struct {
	ID          string  `json:"id" doc:"as_..."`
	Type        string  `json:"type" enum:"installed_skill"`
	AgentID     string  `json:"agent_id"`
	SkillID     string  `json:"skill_id"`
	Kind        string  `json:"kind" enum:"plugin,instructions,structured"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Enabled     bool    `json:"enabled" doc:"False while the agent is not offered the skill."`
	Problem     *string `json:"problem" doc:"Why it is not: disabled, in quarantine, or gone."`
	State       string  `json:"state" enum:"ready,building,failed"`
	Version     *string `json:"version" doc:"The author's, of what is pinned."`
	SHA256      *string `json:"sha256" doc:"What is pinned: a plugin's release, the content of others; null for a plugin that was not built yet."`
	TrustLevel  string  `json:"trust_level" enum:"verified,clawhub" doc:"clawhub: calls of a plugin wait for a confirmation and get no secrets, files of instructions do not come into the sandbox, and the agent pays with a confirmation only."`
	Outdated    bool    `json:"outdated" doc:"The marketplace has another content; installing again takes it."`
	CreatedAt   stamp   `json:"created_at"`
	UpdatedAt   stamp   `json:"updated_at" doc:"When it was installed last."`
}

func (f *face) showInstalled(h skill.Held) installedWire {
	w := installedWire{
		ID: h.ID.String(), Type: "installed_skill", AgentID: h.Agent.String(), SkillID: h.Skill.String(), Kind: string(h.Kind), Name: h.Name,
		Description: h.Description, Enabled: h.Problem == "", Problem: textOrNull(h.Problem), State: string(skill.StateReady),
		Version: textOrNull(h.Label), SHA256: textOrNull(h.Digest), TrustLevel: string(h.Trust()), Outdated: h.Outdated, CreatedAt: stampOf(h.CreatedAt), UpdatedAt: stampOf(h.UpdatedAt),
	}
	if h.Plugin != nil && h.Plugin.Release == nil {
		state, _ := f.deps.Skills.State(h.Plugin.Of)
		w.State = string(state)
	}
	return w
}

type verificationWire struct {
	Name   string  `json:"name"`
	SHA256 *string `json:"sha256" doc:"Of the release in force."`
	OK     bool    `json:"ok"`
	Reason *string `json:"reason" doc:"What is not as it was signed."`
}

func showVerification(v skill.Verification) verificationWire {
	return verificationWire{Name: v.Name, SHA256: textOrNull(v.Digest), OK: v.OK, Reason: textOrNull(v.Problem)}
}

type signingKeyWire struct {
	ID        string `json:"id"`
	Type      string `json:"type" enum:"plugin_key"`
	PublicKey []byte `json:"public_key" doc:"ed25519, in base64."`
	CreatedAt stamp  `json:"created_at"`
}

type listPluginsInput struct {
	httpx.PageQuery
	Kind   string `query:"kind" enum:"skill,rule" doc:"Only those."`
	Search string `query:"search" maxLength:"200" doc:"Part of the name or the description."`
}

type installPluginInput struct {
	SHA256 string `query:"sha256" required:"true" pattern:"^[0-9a-fA-F]{64}$" patternDescription:"64 hexadecimal digits" doc:"The digest that the file must have, in hexadecimal."`
	Name   string `query:"name" pattern:"^[a-z0-9_-]{1,64}$" patternDescription:"1 to 64 of the characters a-z, 0-9, _ and -" doc:"What to call it; the default is what it calls itself."`
}

type pluginInput struct {
	Name string `path:"name" doc:"The name or the id."`
}

type listSkillsInput struct {
	httpx.PageQuery
	Source string `query:"source" enum:"any,plugin,custom,anthropic,anthropic_example,agent" default:"any" doc:"Only skills from there."`
	Search string `query:"search" maxLength:"200" doc:"Part of the name or the description."`
}

type skillInput struct {
	SkillID string `path:"skill_id" doc:"The id or the name."`
}

type agentSkillsInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
}

type installSkillInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Body    struct {
		SkillID    string `json:"skill_id" minLength:"1" maxLength:"128" doc:"The id or the name of a skill of the marketplace."`
		TrustLevel string `json:"trust_level,omitempty" enum:"verified,clawhub" doc:"verified is a conflict for a skill that is not; clawhub keeps the skill from secrets, from sandboxes and from paying without a confirmation. The skill's own level when left out."`
	}
}

type agentSkillInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Skill   string `path:"skill" doc:"The skill's id or name, or the installation's id."`
}

func (f *face) registerPlugins() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listPlugins", Method: http.MethodGet, Path: "/v1/plugins", Tag: "plugins",
		Summary: "List the plugins of the server by name", Permission: account.Operator,
	}, func(ctx context.Context, in *listPluginsInput) (*output[httpx.List[pluginWire]], error) {
		pg, err := f.deps.Skills.List(ctx, httpx.Scope(ctx), skill.ListRequest{Kind: skill.Kind(in.Kind), Search: in.Search, Page: in.Request()})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(pg, f.showPlugin)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "installPlugin", Method: http.MethodPost, Path: "/v1/plugins", Tag: "plugins", Status: http.StatusCreated,
		Summary: "Install a plugin's binary", Permission: account.Operator, Upload: "application/octet-stream", Statuses: []int{http.StatusConflict},
		Description: "The body is the program. It is started once to learn what it is, and its manifest is signed. A plugin is the operator's " +
			"trusted code: it runs as a process of the server. Installing another binary under the same name makes it the one in force; agents " +
			"keep theirs until they install the skill again.",
	}, func(ctx context.Context, in *installPluginInput) (*output[pluginWire], error) {
		p, err := f.deps.Skills.Install(ctx, httpx.Scope(ctx), httpx.Body(ctx), skill.InstallRequest{SHA256: in.SHA256, Name: in.Name})
		if err != nil {
			return nil, err
		}
		return ok(f.showPlugin(p)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "installShippedPlugins", Method: http.MethodPost, Path: "/v1/plugins/install-shipped", Tag: "plugins",
		Summary: "Install the plugins that come with the server, removed ones too", Permission: account.Operator,
		Statuses:    []int{http.StatusServiceUnavailable},
		Description: "Where they have to be built from source the answer may take minutes. What is installed already stays as it is.",
	}, func(ctx context.Context, _ *struct{}) (*output[httpx.List[pluginWire]], error) {
		if err := f.deps.Skills.RestoreShipped(ctx, httpx.Scope(ctx)); err != nil {
			return nil, err
		}
		pg, err := f.deps.Skills.List(ctx, httpx.Scope(ctx), skill.ListRequest{})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(pg, f.showPlugin)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getPlugin", Method: http.MethodGet, Path: "/v1/plugins/{name}", Tag: "plugins",
		Summary: "Read a plugin", Permission: account.Operator,
	}, func(ctx context.Context, in *pluginInput) (*output[pluginWire], error) {
		return f.plugin(f.deps.Skills.Get(ctx, httpx.Scope(ctx), in.Name))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "enablePlugin", Method: http.MethodPost, Path: "/v1/plugins/{name}/enable", Tag: "plugins",
		Summary: "Let a plugin be used again", Permission: account.Operator,
	}, func(ctx context.Context, in *pluginInput) (*output[pluginWire], error) {
		return f.plugin(f.deps.Skills.Enable(ctx, httpx.Scope(ctx), in.Name))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "disablePlugin", Method: http.MethodPost, Path: "/v1/plugins/{name}/disable", Tag: "plugins",
		Summary: "Stop a plugin at once", Permission: account.Operator,
		Description: "A disabled skill is offered to no agent and its calls fail; a policy that names a disabled rule denies.",
	}, func(ctx context.Context, in *pluginInput) (*output[pluginWire], error) {
		return f.plugin(f.deps.Skills.Disable(ctx, httpx.Scope(ctx), in.Name))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "verifyPlugin", Method: http.MethodPost, Path: "/v1/plugins/{name}/verify", Tag: "plugins",
		Summary: "Check a plugin's stored binaries against their signed manifests", Permission: account.Operator,
	}, func(ctx context.Context, in *pluginInput) (*output[verificationWire], error) {
		v, err := f.deps.Skills.Verify(ctx, httpx.Scope(ctx), in.Name)
		if err != nil {
			return nil, err
		}
		return ok(showVerification(v[0])), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "removePlugin", Method: http.MethodDelete, Path: "/v1/plugins/{name}", Tag: "plugins",
		Summary: "Remove a plugin from the server and from every agent", Permission: account.Operator,
	}, func(ctx context.Context, in *pluginInput) (*output[httpx.Deleted], error) {
		if err := f.deps.Skills.Remove(ctx, httpx.Scope(ctx), in.Name); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: in.Name, Type: "plugin_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createPluginKey", Method: http.MethodPost, Path: "/v1/plugin_keys", Tag: "plugins", Status: http.StatusCreated,
		Summary: "Make a new key that signs plugins' manifests", Permission: account.Operator,
		Description: "It signs from now on; plugins that an older key signed stay valid. The private half never leaves the server.",
	}, func(ctx context.Context, _ *struct{}) (*output[signingKeyWire], error) {
		k, err := f.deps.Skills.NewKey(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		return ok(signingKeyWire{ID: k.ID, Type: "plugin_key", PublicKey: k.Public, CreatedAt: stampOf(k.CreatedAt)}), nil
	})
}

func (f *face) plugin(p skill.Plugin, err error) (*output[pluginWire], error) {
	if err != nil {
		return nil, err
	}
	return ok(f.showPlugin(p)), nil
}

func (f *face) registerSkills() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listSkills", Method: http.MethodGet, Path: "/v1/skills", Tag: "skills",
		Summary: "List the skills that agents can be given", Permission: account.Skills,
		Description: "Uploaded ones come first, newest first, then those that come with the server, then plugins by name, then what agents have handed in.",
	}, f.listSkills)

	httpx.Register(f.Face, httpx.Op{
		ID: "getSkill", Method: http.MethodGet, Path: "/v1/skills/{skill_id}", Tag: "skills",
		Summary: "Read a skill", Permission: account.Skills,
	}, func(ctx context.Context, in *skillInput) (*output[skillWire], error) {
		var missing error
		if f.deps.Library != nil {
			g, err := f.deps.Library.Get(ctx, httpx.Scope(ctx), in.SkillID)
			if err == nil {
				return ok(showGuideWhole(g)), nil
			}
			if missing = err; fault.KindOf(err) != fault.NotFound {
				return nil, err
			}
		}
		p, err := f.deps.Skills.Skill(ctx, httpx.Scope(ctx), in.SkillID)
		switch {
		case err == nil:
		case fault.KindOf(err) == fault.NotFound:
			o, oerr := f.deps.Market.Get(ctx, httpx.Scope(ctx), in.SkillID)
			switch {
			case oerr == nil:
				return ok(showListedSkill(o.Listing)), nil
			case fault.KindOf(oerr) != fault.NotFound:
				return nil, oerr
			case missing != nil:
				return nil, missing
			}
			return nil, err
		default:
			return nil, err
		}
		return ok(f.showSkill(p)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listAgentSkills", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/skills", Tag: "skills",
		Summary: "List the skills that an agent has, oldest first", Permission: account.Skills,
	}, func(ctx context.Context, in *agentSkillsInput) (*output[httpx.List[installedWire]], error) {
		agentID, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		have, err := f.deps.Market.Installed(ctx, httpx.Scope(ctx), agentID)
		if err != nil {
			return nil, err
		}
		l := httpx.List[installedWire]{Data: make([]installedWire, 0, len(have))}
		for _, in := range have {
			l.Data = append(l.Data, f.showInstalled(in))
		}
		return ok(l), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "installAgentSkill", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/skills", Tag: "skills", Status: http.StatusCreated,
		Example: `{"skill_id":"calculator"}`,
		Summary: "Give an agent a skill", Permission: account.Skills,
		Statuses: []int{http.StatusConflict},
		Description: "Of whatever kind. What is offered now is pinned: a later version or release does not change what the agent runs. Installing a " +
			"skill that it has takes what is offered now. Instructions and structured skills are read by the tool read_skill.",
	}, func(ctx context.Context, in *installSkillInput) (*output[installedWire], error) {
		agentID, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		level, err := skill.ParseTrust(in.Body.TrustLevel)
		if err != nil {
			return nil, err
		}
		made, err := f.deps.Market.InstallAt(ctx, httpx.Scope(ctx), agentID, in.Body.SkillID, level)
		if err != nil {
			return nil, err
		}
		return ok(f.showInstalled(made)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "uninstallAgentSkill", Method: http.MethodDelete, Path: "/v1/agents/{agent_id}/skills/{skill}", Tag: "skills",
		Summary: "Take a skill from an agent", Permission: account.Skills,
	}, func(ctx context.Context, in *agentSkillInput) (*output[httpx.Deleted], error) {
		agentID, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		if _, err := f.deps.Market.Uninstall(ctx, httpx.Scope(ctx), agentID, in.Skill); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: in.Skill, Type: "installed_skill_deleted"}), nil
	})
}
