package native

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

type memoryStoreWire struct {
	ID          string            `json:"id" doc:"memstore_..."`
	Type        string            `json:"type" enum:"memory_store"`
	Name        string            `json:"name"`
	Description string            `json:"description" doc:"Empty when there is none."`
	AgentID     *string           `json:"agent_id" doc:"Whose own store it is: it is offered in all sessions of that agent."`
	Metadata    map[string]string `json:"metadata"`
	MemoryCount int               `json:"memory_count"`
	CreatedAt   stamp             `json:"created_at"`
	UpdatedAt   stamp             `json:"updated_at" doc:"Of the store, not of what is in it."`
	ArchivedAt  *stamp            `json:"archived_at"`
}

func showMemoryStore(s memory.Store) memoryStoreWire {
	w := memoryStoreWire{
		ID: s.ID.String(), Type: "memory_store", Name: s.Name, Description: s.Description, AgentID: textOrNull(s.Agent.String()), Metadata: s.Metadata,
		MemoryCount: s.Memories, CreatedAt: stampOf(s.CreatedAt), UpdatedAt: stampOf(s.UpdatedAt), ArchivedAt: stampPtr(s.ArchivedAt),
	}
	if w.Metadata == nil {
		w.Metadata = map[string]string{}
	}
	return w
}

// MemoryWire is a memory on the wire. Its type is exported because others embed it.
type MemoryWire struct {
	ID               string  `json:"id" doc:"mem_..."`
	Type             string  `json:"type" enum:"memory"`
	MemoryStoreID    string  `json:"memory_store_id"`
	MemoryVersionID  string  `json:"memory_version_id" doc:"The version that it is at."`
	Path             string  `json:"path"`
	Content          *string `json:"content" doc:"null with view=basic."`
	ContentSHA256    string  `json:"content_sha256"`
	ContentSizeBytes int     `json:"content_size_bytes"`
	CreatedAt        stamp   `json:"created_at"`
	UpdatedAt        stamp   `json:"updated_at"`
}

func showMemory(m memory.Memory, full bool) MemoryWire {
	w := MemoryWire{
		ID: m.ID.String(), Type: "memory", MemoryStoreID: m.Store.String(), MemoryVersionID: m.Version.String(), Path: m.Path,
		ContentSHA256: m.Digest.String(), ContentSizeBytes: m.Size, CreatedAt: stampOf(m.CreatedAt), UpdatedAt: stampOf(m.UpdatedAt),
	}
	if full {
		w.Content = &m.Content
	}
	return w
}

func showWholeMemory(m memory.Memory) MemoryWire { return showMemory(m, true) }

// memoryPrefixWire stands for the memories below a folder.
type memoryPrefixWire struct {
	Type string `json:"type" enum:"memory_prefix"`
	Path string `json:"path" doc:"With its last slash; a path_prefix."`
}

// memoryItemWire is an entry of a list of memories.
type memoryItemWire struct{ item any }

// MarshalJSON implements json.Marshaler.
func (w memoryItemWire) MarshalJSON() ([]byte, error) { return json.Marshal(w.item) }

// Schema implements huma.SchemaProvider.
func (memoryItemWire) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{refOf[MemoryWire](r), refOf[memoryPrefixWire](r)}}
}

func showMemoryItem(full bool) func(memory.Item) memoryItemWire {
	return func(i memory.Item) memoryItemWire {
		if i.Prefix != "" {
			return memoryItemWire{memoryPrefixWire{"memory_prefix", i.Prefix}}
		}
		return memoryItemWire{showMemory(i.Memory, full)}
	}
}

// actorWire is who changed something.
type actorWire struct {
	Type      string `json:"type" enum:"api_actor,session_actor"`
	APIKeyID  string `json:"api_key_id,omitempty" doc:"Of api_actor."`
	SessionID string `json:"session_id,omitempty" doc:"Of session_actor: its agent."`
}

func showActor(a memory.Actor) *actorWire {
	switch {
	case !a.Session.IsZero():
		return &actorWire{Type: "session_actor", SessionID: a.Session.String()}
	case !a.Key.IsZero():
		return &actorWire{Type: "api_actor", APIKeyID: a.Key.String()}
	}
	return nil
}

type memoryVersionWire struct {
	ID               string     `json:"id" doc:"memver_..."`
	Type             string     `json:"type" enum:"memory_version"`
	MemoryID         string     `json:"memory_id"`
	MemoryStoreID    string     `json:"memory_store_id"`
	Operation        string     `json:"operation" enum:"created,modified,deleted" doc:"Only versions that did this."`
	Path             *string    `json:"path" doc:"null when redacted."`
	Content          *string    `json:"content" doc:"null with view=basic, of a deletion, and when redacted."`
	ContentSHA256    *string    `json:"content_sha256" doc:"null of a deletion, and when redacted."`
	ContentSizeBytes *int       `json:"content_size_bytes" doc:"null of a deletion, and when redacted."`
	CreatedBy        *actorWire `json:"created_by" doc:"null when the server itself did it."`
	CreatedAt        stamp      `json:"created_at"`
	RedactedAt       *stamp     `json:"redacted_at"`
	RedactedBy       *actorWire `json:"redacted_by"`
}

func showMemoryVersion(full bool) func(memory.Version) memoryVersionWire {
	return func(v memory.Version) memoryVersionWire {
		w := memoryVersionWire{
			ID: v.ID.String(), Type: "memory_version", MemoryID: v.Memory.String(), MemoryStoreID: v.Store.String(), Operation: string(v.Operation),
			Path: textOrNull(v.Path), CreatedBy: showActor(v.By), CreatedAt: stampOf(v.CreatedAt), RedactedAt: stampPtr(v.RedactedAt),
			RedactedBy: showActor(v.RedactedBy),
		}
		if v.Stated {
			digest := v.Digest.String()
			w.ContentSHA256, w.ContentSizeBytes = &digest, &v.Size
			if full {
				w.Content = &v.Content
			}
		}
		return w
	}
}

// memoryHitWire is a memory with its score.
type memoryHitWire struct {
	MemoryWire
	Score float64 `json:"score" doc:"Cosine similarity of the query and the part of the content that is most like it, from -1 to 1."`
}

type memoryHitsWire struct {
	Data []memoryHitWire `json:"data" nullable:"false" doc:"Best first."`
}

// MemoryStoreInput is the input of calls about one store. It is exported because others embed it.
type MemoryStoreInput struct {
	MemoryStoreID string `path:"memory_store_id" doc:"The store's id."`
}

func (in *MemoryStoreInput) store() (id.MemoryStore, error) {
	return id.Parse[id.MemoryStoreKind](in.MemoryStoreID)
}

// MemoryInput is the input of calls about one memory. It is exported because others embed it.
type MemoryInput struct {
	MemoryStoreInput
	MemoryID string `path:"memory_id" doc:"The memory's id."`
}

func (in *MemoryInput) memory() (id.MemoryStore, id.Memory, error) {
	store, err := in.store()
	if err != nil {
		return id.MemoryStore{}, id.Memory{}, err
	}
	m, err := id.Parse[id.MemoryKind](in.MemoryID)
	return store, m, err
}

// MemoryVersionInput is the input of calls about one version. It is exported because others embed it.
type MemoryVersionInput struct {
	MemoryStoreInput
	MemoryVersionID string `path:"memory_version_id" doc:"The version's id."`
}

func (in *MemoryVersionInput) version() (id.MemoryStore, id.MemoryVersion, error) {
	store, err := in.store()
	if err != nil {
		return id.MemoryStore{}, id.MemoryVersion{}, err
	}
	v, err := id.Parse[id.MemoryVersionKind](in.MemoryVersionID)
	return store, v, err
}

// BriefView is embedded where contents are left out unless they are asked for, FullView where they are there.
type BriefView struct {
	View string `query:"view" enum:"basic,full" default:"basic" doc:"full gives contents, and at most 20 items on a page of a list."`
}

// FullView is BriefView the other way round.
type FullView struct {
	View string `query:"view" enum:"basic,full" default:"full" doc:"basic leaves the content out."`
}

// CreatedRange is embedded where a list is bounded by the time of creation.
type CreatedRange struct {
	GTE time.Time `query:"created_at[gte]" doc:"Created at or after. Times are compared by the millisecond, as they are shown."`
	LTE time.Time `query:"created_at[lte]" doc:"Created at or before."`
}

// bounds returns the range with its last millisecond whole.
func (r CreatedRange) bounds() (from, to time.Time) {
	from, to = r.GTE, r.LTE
	if !to.IsZero() {
		to = to.Truncate(time.Millisecond).Add(time.Millisecond - time.Microsecond)
	}
	return from, to
}

type createMemoryStoreInput struct {
	Body struct {
		Name        string            `json:"name" minLength:"1" maxLength:"255" pattern:"^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$" patternDescription:"one line with more than blanks" doc:"Its folder in sandboxes is called after it."`
		Description httpx.Opt[string] `json:"description,omitempty" maxLength:"1024" doc:"What is in it, for the agents that are given it."`
		AgentID     httpx.Opt[string] `json:"agent_id,omitempty" doc:"Offers it in all sessions of that agent."`
		Metadata    metadataParam     `json:"metadata,omitempty"`
	}
}

type updateMemoryStoreInput struct {
	MemoryStoreInput
	Body struct {
		Name        httpx.Opt[string]        `json:"name,omitempty" minLength:"1" maxLength:"255" pattern:"^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$" patternDescription:"one line with more than blanks" doc:"null leaves it."`
		Description httpx.Opt[string]        `json:"description,omitempty" maxLength:"1024" doc:"An empty text clears it, null leaves it."`
		AgentID     httpx.Opt[string]        `json:"agent_id,omitempty" doc:"null makes it nobody's own."`
		Metadata    httpx.Opt[metadataPatch] `json:"metadata,omitempty" doc:"A patch: null removes a key."`
	}
}

type listMemoryStoresInput struct {
	httpx.PageQuery
	CreatedRange
	AgentID         string `query:"agent_id" doc:"That agent's own only."`
	Archived        bool   `query:"archived" doc:"Archived ones, too."`
	IncludeArchived bool   `query:"include_archived" doc:"Another name of archived."`
}

type listEntriesInput struct {
	MemoryStoreInput
	httpx.PageQuery
}

type searchMemoriesInput struct {
	MemoryStoreInput
	Body struct {
		Query string `json:"query" minLength:"1" maxLength:"4000" pattern:"\\S" patternDescription:"more than blanks"`
		Limit int    `json:"limit,omitempty" minimum:"1" maximum:"100" default:"10"`
	}
}

type createMemoryInput struct {
	MemoryStoreInput
	BriefView
	Body struct {
		Path    string            `json:"path" minLength:"1" maxLength:"1024" pattern:"^/[^\\x00]*$" patternDescription:"a path that begins with /" doc:"/notes/a.md: begins with / and has up to 20 segments and 1,024 bytes."`
		Content httpx.Opt[string] `json:"content" doc:"Up to 102,400 bytes; null is an empty text."`
	}
}

type listMemoriesInput struct {
	MemoryStoreInput
	BriefView
	httpx.PageQuery
	PathPrefix string `query:"path_prefix" maxLength:"1025" pattern:"^(/[^\\x00]*)?$" patternDescription:"a path that begins with /" doc:"/notes/ lists what lies below that folder."`
	Depth      int    `query:"depth" minimum:"0" maximum:"20" doc:"How many segments below path_prefix are listed; what lies deeper appears as a memory_prefix. 0 lists everything."`
}

type getMemoryInput struct {
	MemoryInput
	FullView
}

type updateMemoryInput struct {
	MemoryInput
	BriefView
	Body struct {
		Content      httpx.Opt[string]            `json:"content,omitempty" doc:"Up to 102,400 bytes; null leaves it."`
		Path         httpx.Opt[string]            `json:"path,omitempty" minLength:"1" maxLength:"1024" pattern:"^/[^\\x00]*$" patternDescription:"a path that begins with /" doc:"Moves the memory; null leaves it where it is."`
		Precondition httpx.Opt[preconditionParam] `json:"precondition,omitempty" doc:"What must hold for the memory; otherwise it is not changed."`
	}
}

type preconditionParam struct {
	Type          string `json:"type" enum:"content_sha256"`
	ContentSHA256 string `json:"content_sha256" pattern:"^[0-9a-f]{64}$" patternDescription:"64 lower-case hexadecimal digits" doc:"Of the content that is to be changed."`
}

type deleteMemoryInput struct {
	MemoryInput
	Expected string `query:"expected_content_sha256" pattern:"^[0-9a-f]{64}$" patternDescription:"64 lower-case hexadecimal digits" doc:"Deletes only what has this content."`
}

type listMemoryVersionsInput struct {
	MemoryStoreInput
	BriefView
	httpx.PageQuery
	CreatedRange
	MemoryID         string `query:"memory_id" doc:"Of this memory, also when it was deleted."`
	Operation        string `query:"operation" enum:"created,modified,deleted" doc:"Only versions that did this."`
	SessionID        string `query:"session_id" doc:"Made by the agent of this session."`
	APIKeyID         string `query:"api_key_id" doc:"Made with this API key."`
	ServiceAccountID string `query:"service_account_id" doc:"This server has no service accounts, so that nothing is found."`
}

type getMemoryVersionInput struct {
	MemoryVersionInput
	FullView
}

func (f *face) registerMemory() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createMemoryStore", Method: http.MethodPost, Path: "/v1/memory_stores", Tag: "memory", Status: http.StatusCreated,
		Example: `{"name":"Customers","description":"What we know of our customers."}`,
		Summary: "Create a memory store", Permission: account.MemoryWrite,
	}, func(ctx context.Context, in *createMemoryStoreInput) (*output[memoryStoreWire], error) {
		n := memory.NewStore{Name: in.Body.Name, Description: in.Body.Description.Value, Metadata: in.Body.Metadata}
		agent, err := readAgent(in.Body.AgentID)
		if err != nil {
			return nil, err
		}
		n.Agent = agent
		return f.memoryStore(f.deps.Memory.CreateStore(ctx, httpx.Scope(ctx), n))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listMemoryStores", Method: http.MethodGet, Path: "/v1/memory_stores", Tag: "memory",
		Summary: "List memory stores, newest first", Permission: account.MemoryRead,
	}, func(ctx context.Context, in *listMemoryStoresInput) (*output[httpx.List[memoryStoreWire]], error) {
		req := memory.ListStores{Request: in.Request(), Archived: in.Archived || in.IncludeArchived}
		req.From, req.To = in.bounds()
		if in.AgentID != "" {
			var err error
			if req.Agent, err = id.Parse[id.AgentKind](in.AgentID); err != nil {
				return ok(httpx.List[memoryStoreWire]{Data: []memoryStoreWire{}}), nil //nolint:nilerr // an id that names nothing matches nothing
			}
		}
		p, err := f.deps.Memory.ListStores(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showMemoryStore)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getMemoryStore", Method: http.MethodGet, Path: "/v1/memory_stores/{memory_store_id}", Tag: "memory",
		Summary: "Read a memory store", Permission: account.MemoryRead,
	}, func(ctx context.Context, in *MemoryStoreInput) (*output[memoryStoreWire], error) {
		store, err := in.store()
		if err != nil {
			return nil, err
		}
		return f.memoryStore(f.deps.Memory.Store(ctx, httpx.Scope(ctx), store))
	})

	for method, op := range map[string]string{
		http.MethodPatch: "patchMemoryStore", http.MethodPost: "updateMemoryStore", http.MethodPut: "putMemoryStore",
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/memory_stores/{memory_store_id}", Tag: "memory", Summary: "Change a memory store",
			Description: "POST, PATCH and PUT do the same. An archived store cannot be changed.", Permission: account.MemoryWrite,
			Statuses: []int{http.StatusConflict}, Example: `{"description":"What we know of our customers and their wishes."}`,
		}, func(ctx context.Context, in *updateMemoryStoreInput) (*output[memoryStoreWire], error) {
			store, err := in.store()
			if err != nil {
				return nil, err
			}
			p := memory.StorePatch{Name: in.Body.Name.Given(), Description: in.Body.Description.Given(), Metadata: in.Body.Metadata.Value}
			if in.Body.AgentID.Set {
				agent, err := readAgent(in.Body.AgentID)
				if err != nil {
					return nil, err
				}
				p.Agent = &agent
			}
			return f.memoryStore(f.deps.Memory.UpdateStore(ctx, httpx.Scope(ctx), store, p))
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "archiveMemoryStore", Method: http.MethodPost, Path: "/v1/memory_stores/{memory_store_id}/archive", Tag: "memory",
		Summary: "Archive a memory store", Permission: account.MemoryWrite,
		Description: "For good: what is in it can only be read, deleted and redacted, and no session can be given it any more.",
	}, func(ctx context.Context, in *MemoryStoreInput) (*output[memoryStoreWire], error) {
		store, err := in.store()
		if err != nil {
			return nil, err
		}
		return f.memoryStore(f.deps.Memory.ArchiveStore(ctx, httpx.Scope(ctx), store))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteMemoryStore", Method: http.MethodDelete, Path: "/v1/memory_stores/{memory_store_id}", Tag: "memory",
		Summary: "Delete a memory store with everything in it, its history too", Permission: account.MemoryWrite,
	}, func(ctx context.Context, in *MemoryStoreInput) (*output[httpx.Deleted], error) {
		store, err := in.store()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Memory.DeleteStore(ctx, httpx.Scope(ctx), store); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: store.String(), Type: "memory_store_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listMemoryEntries", Method: http.MethodGet, Path: "/v1/memory_stores/{memory_store_id}/entries", Tag: "memory",
		Summary: "List memories with their contents, the one that was changed last first", Permission: account.MemoryRead,
	}, func(ctx context.Context, in *listEntriesInput) (*output[httpx.List[MemoryWire]], error) {
		store, err := in.store()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Memory.Recent(ctx, httpx.Scope(ctx), store, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showWholeMemory)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "searchMemories", Method: http.MethodPost, Path: "/v1/memory_stores/{memory_store_id}/search", Tag: "memory",
		Example: `{"query":"what does Ada drink?","limit":3}`,
		Summary: "Find the memories that are most like a query", Permission: account.MemoryRead,
	}, func(ctx context.Context, in *searchMemoriesInput) (*output[memoryHitsWire], error) {
		store, err := in.store()
		if err != nil {
			return nil, err
		}
		hits, err := f.deps.Memory.Search(ctx, httpx.Scope(ctx), store, in.Body.Query, in.Body.Limit)
		if err != nil {
			return nil, err
		}
		w := memoryHitsWire{Data: []memoryHitWire{}}
		for _, h := range hits {
			w.Data = append(w.Data, memoryHitWire{showWholeMemory(h.Memory), h.Score})
		}
		return ok(w), nil
	})

	f.registerMemories()
	f.registerMemoryVersions()
}

func (f *face) registerMemories() {
	const one = "/v1/memory_stores/{memory_store_id}/memories/{memory_id}"
	httpx.Register(f.Face, httpx.Op{
		ID: "createMemory", Method: http.MethodPost, Path: "/v1/memory_stores/{memory_store_id}/memories", Tag: "memory", Status: http.StatusCreated,
		Example: `{"path":"/customers/ada.md","content":"Drinks tea."}`,
		Summary: "Create a memory", Permission: account.MemoryWrite, Statuses: []int{http.StatusConflict},
		Description: "A path that another memory has, or that lies above or below another's, is a 409 of the type memory_path_conflict_error.",
	}, func(ctx context.Context, in *createMemoryInput) (*output[MemoryWire], error) {
		store, err := in.store()
		if err != nil {
			return nil, err
		}
		m, err := f.deps.Memory.Create(ctx, httpx.Scope(ctx), store, memory.NewMemory{Path: in.Body.Path, Content: in.Body.Content.Value})
		if err != nil {
			return nil, err
		}
		return ok(showMemory(m, in.View == "full")), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listMemories", Method: http.MethodGet, Path: "/v1/memory_stores/{memory_store_id}/memories", Tag: "memory",
		Summary: "List memories by path", Permission: account.MemoryRead,
	}, func(ctx context.Context, in *listMemoriesInput) (*output[httpx.List[memoryItemWire]], error) {
		store, err := in.store()
		if err != nil {
			return nil, err
		}
		full := in.View == "full"
		p, err := f.deps.Memory.List(ctx, httpx.Scope(ctx),
			memory.ListRequest{Request: in.Request(), Store: store, Prefix: in.PathPrefix, Depth: in.Depth, Full: full})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showMemoryItem(full))), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getMemory", Method: http.MethodGet, Path: one, Tag: "memory", Summary: "Read a memory", Permission: account.MemoryRead,
	}, func(ctx context.Context, in *getMemoryInput) (*output[MemoryWire], error) {
		store, of, err := in.memory()
		if err != nil {
			return nil, err
		}
		m, err := f.deps.Memory.Memory(ctx, httpx.Scope(ctx), store, of)
		if err != nil {
			return nil, err
		}
		return ok(showMemory(m, in.View == "full")), nil
	})

	for method, op := range map[string]string{http.MethodPatch: "patchMemory", http.MethodPost: "updateMemory", http.MethodPut: "putMemory"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: one, Tag: "memory", Summary: "Change a memory", Permission: account.MemoryWrite,
			Description: "When the precondition does not hold the answer is a 409 of the type memory_precondition_failed_error, unless the memory is " +
				"as wanted already. What changes nothing makes no version. POST, PATCH and PUT do the same.",
			Statuses: []int{http.StatusConflict}, Example: `{"content":"Prefers to be called in the morning."}`,
		}, func(ctx context.Context, in *updateMemoryInput) (*output[MemoryWire], error) {
			store, of, err := in.memory()
			if err != nil {
				return nil, err
			}
			p := memory.Patch{Content: in.Body.Content.Given(), Path: in.Body.Path.Given()}
			if c := in.Body.Precondition.Given(); c != nil {
				digest, valid := memory.ParseDigest(c.ContentSHA256)
				if !valid {
					return nil, fault.Invalidf("precondition.content_sha256", "must be 64 lower-case hexadecimal digits")
				}
				p.Expect = &digest
			}
			m, err := f.deps.Memory.Update(ctx, httpx.Scope(ctx), store, of, p)
			if err != nil {
				return nil, err
			}
			return ok(showMemory(m, in.View == "full")), nil
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteMemory", Method: http.MethodDelete, Path: one, Tag: "memory", Summary: "Delete a memory", Permission: account.MemoryWrite,
		Description: "Its versions stay.", Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *deleteMemoryInput) (*output[httpx.Deleted], error) {
		store, of, err := in.memory()
		if err != nil {
			return nil, err
		}
		var expect *memory.Digest
		if in.Expected != "" {
			digest, valid := memory.ParseDigest(in.Expected)
			if !valid {
				return nil, fault.Invalidf("query.expected_content_sha256", "must be 64 lower-case hexadecimal digits")
			}
			expect = &digest
		}
		if err := f.deps.Memory.Delete(ctx, httpx.Scope(ctx), store, of, expect, memory.Actor{}); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: of.String(), Type: "memory_deleted"}), nil
	})
}

func (f *face) registerMemoryVersions() {
	const all = "/v1/memory_stores/{memory_store_id}/memory_versions"
	httpx.Register(f.Face, httpx.Op{
		ID: "listMemoryVersions", Method: http.MethodGet, Path: all, Tag: "memory",
		Summary: "List the changes of a store's memories, newest first", Permission: account.MemoryRead,
	}, func(ctx context.Context, in *listMemoryVersionsInput) (*output[httpx.List[memoryVersionWire]], error) {
		store, err := in.store()
		if err != nil {
			return nil, err
		}
		full := in.View == "full"
		req := memory.ListVersions{Request: in.Request(), Store: store, Operation: memory.Operation(in.Operation), Full: full}
		req.From, req.To = in.bounds()
		none := in.ServiceAccountID != ""
		if in.MemoryID != "" {
			req.Memory, err = id.Parse[id.MemoryKind](in.MemoryID)
			none = none || err != nil
		}
		if in.SessionID != "" {
			req.By.Session, err = id.Parse[id.SessionKind](in.SessionID)
			none = none || err != nil
		}
		if in.APIKeyID != "" {
			req.By.Key, err = id.Parse[id.APIKeyKind](in.APIKeyID)
			none = none || err != nil
		}
		p, err := f.deps.Memory.ListVersions(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		if none { // an id that names nothing matches nothing
			return ok(httpx.List[memoryVersionWire]{Data: []memoryVersionWire{}}), nil
		}
		return ok(httpx.NewList(p, showMemoryVersion(full))), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getMemoryVersion", Method: http.MethodGet, Path: all + "/{memory_version_id}", Tag: "memory",
		Summary: "Read a version of a memory", Permission: account.MemoryRead,
	}, func(ctx context.Context, in *getMemoryVersionInput) (*output[memoryVersionWire], error) {
		store, of, err := in.version()
		if err != nil {
			return nil, err
		}
		v, err := f.deps.Memory.Version(ctx, httpx.Scope(ctx), store, of)
		if err != nil {
			return nil, err
		}
		return ok(showMemoryVersion(in.View == "full")(v)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "redactMemoryVersion", Method: http.MethodPost, Path: all + "/{memory_version_id}/redact", Tag: "memory",
		Summary: "Remove for good what a version says", Permission: account.MemoryWrite, Statuses: []int{http.StatusConflict},
		Description: "Its path and content go; that there was a change, when and by whom, stays. What a memory says now is a 409: change or delete " +
			"the memory first. Redacting a version again changes nothing.",
	}, func(ctx context.Context, in *MemoryVersionInput) (*output[memoryVersionWire], error) {
		store, of, err := in.version()
		if err != nil {
			return nil, err
		}
		v, err := f.deps.Memory.Redact(ctx, httpx.Scope(ctx), store, of)
		if err != nil {
			return nil, err
		}
		return ok(showMemoryVersion(true)(v)), nil
	})
}

func (f *face) memoryStore(s memory.Store, err error) (*output[memoryStoreWire], error) {
	if err != nil {
		return nil, err
	}
	return ok(showMemoryStore(s)), nil
}

// readAgent reads an agent's id in a body; none, null and an empty text are nobody.
func readAgent(o httpx.Opt[string]) (id.Agent, error) {
	if o.Value == "" {
		return id.Agent{}, nil
	}
	return id.Parse[id.AgentKind](o.Value)
}
