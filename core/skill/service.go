package skill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Deps are what the service works with. All are required but those that say otherwise.
type Deps struct {
	TX            tx.Runner
	Clock         clock.Clock
	IDs           id.Generator
	Logger        *slog.Logger
	Repository    Repository
	Releases      ReleaseRepository
	Installations InstallationRepository
	Blobs         blob.Store
	Launcher      Launcher
	Signer        Signer
	Agents        Agents
	Shipped       Shipped // nil: nothing is shipped
	Audit         Auditor // nil: nobody is told
	Ward          *Ward   // nil: nothing is in quarantine
}

// Agents is what this context asks about agents.
type Agents interface {
	// Exists returns a fault.NotFound when the scope has no such agent.
	Exists(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// AgentsFunc makes Agents of a function.
type AgentsFunc func(ctx context.Context, sc account.Scope, agent id.Agent) error

// Exists calls f.
func (f AgentsFunc) Exists(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return f(ctx, sc, agent)
}

// Auditor is told of every change, inside the transaction that makes it.
type Auditor interface {
	// Record adds an entry to the trail of the scope's tenant; agent may be zero.
	Record(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata json.RawMessage) error
}

// AuditorFunc makes an Auditor of a function.
type AuditorFunc func(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata json.RawMessage) error

// Record calls f.
func (f AuditorFunc) Record(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata json.RawMessage) error {
	return f(ctx, sc, action, agent, metadata)
}

// DefaultMaxBytes is how large a plugin's binary may be.
const DefaultMaxBytes = 100 << 20

// Config of the service; the zero value is the default.
type Config struct {
	// MaxBytes is how large a binary may be; 0 is DefaultMaxBytes.
	MaxBytes int64
}

// Service is the registry of plugins. It is safe for concurrent use.
type Service struct {
	Deps
	cfg Config

	mu       sync.Mutex
	failed   map[string]error           // shipped plugins that could not be built or installed by this process, by name
	verified map[[sha256.Size]byte]bool // manifests whose signatures were checked; releases never change, so one check is enough
}

// NewService checks its arguments and returns the service.
func NewService(deps Deps, cfg Config) (*Service, error) {
	for _, d := range []struct {
		name    string
		missing bool
	}{
		{"TX", deps.TX == nil}, {"Clock", deps.Clock == nil}, {"IDs", deps.IDs == nil}, {"Logger", deps.Logger == nil},
		{"Repository", deps.Repository == nil}, {"Releases", deps.Releases == nil},
		{"Installations", deps.Installations == nil}, {"Blobs", deps.Blobs == nil}, {"Launcher", deps.Launcher == nil},
		{"Signer", deps.Signer == nil}, {"Agents", deps.Agents == nil},
	} {
		if d.missing {
			return nil, fmt.Errorf("skill: Deps.%s is required", d.name)
		}
	}
	if cfg.MaxBytes < 0 {
		return nil, errors.New("skill: Config.MaxBytes must not be negative")
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	return &Service{Deps: deps, cfg: cfg, failed: map[string]error{}, verified: map[[sha256.Size]byte]bool{}}, nil
}

// InstallRequest says how to install a binary.
type InstallRequest struct {
	// SHA256 is the hexadecimal digest that the binary must have; required.
	SHA256 string
	// Name is what the plugin is called on this server; "" is what it calls itself.
	Name string
}

// Install puts a binary into the registry and makes it the release in force: it stores it, starts it once to learn what it is,
// and signs that. Agents that have an older release keep it until they install the skill again; policies use the new rule at
// once. Installing the release in force again changes nothing. Only the operator may.
//
// Returns ErrChecksum, ErrTooLarge, ErrRejected, or ErrKind when the name belongs to a plugin of the other kind.
func (s *Service) Install(ctx context.Context, sc account.Scope, r io.Reader, req InstallRequest) (Plugin, error) {
	if err := sc.Require(account.Operator); err != nil {
		return Plugin{}, err
	}
	digest := strings.ToLower(strings.TrimSpace(req.SHA256))
	if !validDigest(digest) {
		return Plugin{}, fault.Invalidf("sha256", "must be the 64 hexadecimal digits of the file's SHA-256")
	}
	if req.Name != "" && !validName(req.Name) {
		return Plugin{}, fault.Invalidf("name", "must have 1 to 64 of the characters a-z, 0-9, _ and -")
	}
	return s.install(ctx, installation{
		digest: digest, name: req.Name, binary: r,
		audit: func(ctx context.Context, p Plugin) error {
			return s.record(ctx, sc, "plugin_installed", id.Agent{}, p, digest)
		},
	})
}

// installation is one way through install.
type installation struct {
	digest, name string
	binary       io.Reader
	shipped      bool
	source       string
	keepForeign  bool // leave a plugin alone that the operator put under a shipped one's name
	audit        func(ctx context.Context, p Plugin) error
}

func (s *Service) install(ctx context.Context, in installation) (Plugin, error) {
	size, err := s.store(ctx, in.digest, in.binary)
	if err != nil {
		return Plugin{}, err
	}
	p, err := s.register(ctx, in, size)
	if err != nil {
		s.dropUnused(context.WithoutCancel(ctx), in.digest)
		return Plugin{}, err
	}
	return p, nil
}

// register asks the stored binary what it is, signs the answer and writes it down.
func (s *Service) register(ctx context.Context, in installation, size int64) (Plugin, error) {
	said, err := s.Launcher.Describe(ctx, s.binary(in.name, in.digest, size))
	if err != nil {
		return Plugin{}, err
	}
	m, err := said.manifest(in.name, in.digest, size)
	if err != nil {
		return Plugin{}, err
	}
	m.Source = in.source
	signed, err := m.Encode()
	if err != nil {
		return Plugin{}, ErrRejected.Withf("its manifest: %v", err)
	}
	// The document compacts the schema; what was signed is what counts from here on.
	if m, err = ParseManifest(signed); err != nil {
		return Plugin{}, err
	}
	sig, err := s.Signer.Sign(ctx, signed)
	if err != nil {
		return Plugin{}, fmt.Errorf("skill: sign the manifest of %s: %w", m.Name, err)
	}
	var p Plugin
	err = s.TX.Do(ctx, func(ctx context.Context) error {
		now := clock.Stored(s.Clock.Now())
		rel := Release{Manifest: m, Signed: signed, Signature: sig, CreatedAt: now}
		// Those of single tenants do not bind the operator.
		err := s.Ward.check(ctx, account.Scope{}, m.Digest)
		if err != nil {
			return err
		}
		p, err = s.Repository.ByName(ctx, m.Name)
		switch {
		case errors.Is(err, ErrNotFound):
			p = Plugin{
				ID: id.New[id.PluginKind](s.IDs), Name: m.Name, Kind: m.Kind, Description: m.Description, Enabled: true,
				Shipped: in.shipped, CreatedAt: now, UpdatedAt: now,
			}
			if err := s.Repository.Create(ctx, p); err != nil {
				return err
			}
		case err != nil:
			return err
		case p.Kind != m.Kind:
			return ErrKind.Withf("%q is a %s here, and the file is a %s", p.Name, p.Kind, m.Kind)
		case in.keepForeign && !p.Shipped && p.Release != nil && !p.Removed:
			return nil
		case p.Release != nil && p.Release.Digest() == m.Digest && p.Shipped == in.shipped && !p.Removed &&
			p.Release.Manifest.Source == m.Source:
			return nil
		}
		rel.Plugin = p.ID
		if err := s.Releases.Add(ctx, rel); err != nil {
			return err
		}
		if p.Removed {
			p.Removed, p.Enabled = false, true
		}
		p.Release, p.Description, p.Shipped, p.UpdatedAt = &rel, m.Description, in.shipped, now
		if err := s.Repository.Update(ctx, p); err != nil {
			return err
		}
		if err := s.Installations.PinAll(ctx, p.ID, m.Digest); err != nil {
			return err
		}
		return in.audit(ctx, p)
	})
	if err != nil {
		return Plugin{}, err
	}
	s.Logger.InfoContext(ctx, "plugin installed", "plugin", p.Name, "kind", p.Kind, "digest", in.digest, "size", size)
	return p, nil
}

// store puts the bytes under their digest, unless they are there, and returns how many they are.
func (s *Service) store(ctx context.Context, digest string, r io.Reader) (int64, error) {
	check := &checked{r: r, left: s.cfg.MaxBytes, max: s.cfg.MaxBytes, hash: sha256.New(), want: digest}
	if info, err := s.Blobs.Stat(ctx, blobKey(digest)); err == nil && hex.EncodeToString(info.SHA256[:]) == digest {
		_, err := io.Copy(io.Discard, check)
		return info.Size, err
	} else if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return 0, err
	}
	info, err := s.Blobs.Put(ctx, blobKey(digest), check)
	if check.err != nil { // the reader's own verdict is the reason for whatever Put says
		return 0, check.err
	}
	return info.Size, err
}

// checked reads r and fails in place of io.EOF when the bytes are not those that were promised, so that a store which keeps
// only complete streams never keeps them.
type checked struct {
	r    io.Reader
	left int64
	max  int64
	hash hash.Hash
	want string
	err  error
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.hash.Write(p[:n])
	if c.left -= int64(n); c.left < 0 {
		c.err = ErrTooLarge.Withf("the plugin has more than %d bytes", c.max)
		return 0, c.err
	}
	if errors.Is(err, io.EOF) {
		if got := hex.EncodeToString(c.hash.Sum(nil)); got != c.want {
			c.err = ErrChecksum.Withf("the file has the SHA-256 %s, not %s", got, c.want)
			return 0, c.err
		}
	} else if err != nil {
		c.err = err
	}
	return n, err
}

func blobKey(digest string) string { return "plugins/sha256/" + digest }

func (s *Service) binary(name, digest string, size int64) Binary {
	return Binary{
		Name: name, Digest: digest, Size: size,
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			r, _, err := s.Blobs.Open(ctx, blobKey(digest))
			return r, err
		},
	}
}

// dropUnused deletes a stored binary that no release names.
func (s *Service) dropUnused(ctx context.Context, digest string) {
	releases, _, err := s.Releases.Holders(ctx, digest)
	if err == nil && releases == 0 {
		s.Launcher.Forget(digest)
		err = s.Blobs.Delete(ctx, blobKey(digest))
	}
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		s.Logger.WarnContext(ctx, "a plugin's binary could not be deleted", "digest", digest, "error", err)
	}
}

// List lists the registry by name. Only the operator may.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Plugin], error) {
	if err := sc.Require(account.Operator); err != nil {
		return page.Page[Plugin]{}, err
	}
	return s.Repository.List(ctx, req)
}

// Get returns a plugin by its name or id; ErrNotFound. Only the operator may.
func (s *Service) Get(ctx context.Context, sc account.Scope, ref string) (Plugin, error) {
	if err := sc.Require(account.Operator); err != nil {
		return Plugin{}, err
	}
	return s.find(ctx, ref)
}

// find reads a name, a plugin's id or a skill's id.
func (s *Service) find(ctx context.Context, ref string) (Plugin, error) {
	p, err := s.lookup(ctx, ref)
	if err == nil && p.Removed {
		err = ErrNotFound
	}
	if errors.Is(err, ErrNotFound) {
		return Plugin{}, ErrNotFound.Withf("no plugin %q", cut(ref))
	}
	return p, err
}

func (s *Service) lookup(ctx context.Context, ref string) (Plugin, error) {
	if u, err := id.Parse[id.PluginKind](ref); err == nil {
		return s.Repository.ByID(ctx, u)
	}
	if u, err := id.Parse[id.SkillKind](ref); err == nil {
		return s.Repository.ByID(ctx, id.Of[id.PluginKind](u.UUID()))
	}
	if !validName(ref) {
		return Plugin{}, ErrNotFound
	}
	return s.Repository.ByName(ctx, ref)
}

func cut(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}

// Enable lets a plugin be called again. Only the operator may.
func (s *Service) Enable(ctx context.Context, sc account.Scope, ref string) (Plugin, error) {
	return s.setEnabled(ctx, sc, ref, true)
}

// Disable stops a plugin: it is offered to nobody, its running processes end, and calls answer ErrDisabled; a policy that names
// a disabled rule denies. Only the operator may.
func (s *Service) Disable(ctx context.Context, sc account.Scope, ref string) (Plugin, error) {
	return s.setEnabled(ctx, sc, ref, false)
}

func (s *Service) setEnabled(ctx context.Context, sc account.Scope, ref string, on bool) (Plugin, error) {
	if err := sc.Require(account.Operator); err != nil {
		return Plugin{}, err
	}
	action := "plugin_disabled"
	if on {
		action = "plugin_enabled"
	}
	var p Plugin
	err := s.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		if p, err = s.find(ctx, ref); err != nil || p.Enabled == on {
			return err
		}
		p.Enabled, p.UpdatedAt = on, clock.Stored(s.Clock.Now())
		if err := s.Repository.Update(ctx, p); err != nil {
			return err
		}
		return s.record(ctx, sc, action, id.Agent{}, p, "")
	})
	if err != nil || on {
		return p, err
	}
	return p, s.forget(ctx, p)
}

// forget ends what runs of a plugin in this process; others find out at the next call.
func (s *Service) forget(ctx context.Context, p Plugin) error {
	rels, err := s.Releases.Releases(ctx, p.ID)
	for _, r := range rels {
		s.Launcher.Forget(r.Digest())
	}
	return err
}

// Remove takes a plugin off the server, with every release and from every agent; ErrNotFound. A shipped plugin stays away until
// InstallShipped is asked to bring it back. Only the operator may.
func (s *Service) Remove(ctx context.Context, sc account.Scope, ref string) error {
	if err := sc.Require(account.Operator); err != nil {
		return err
	}
	var rels []Release
	err := s.TX.Do(ctx, func(ctx context.Context) error {
		p, err := s.find(ctx, ref)
		if err != nil {
			return err
		}
		if rels, err = s.Releases.Releases(ctx, p.ID); err != nil {
			return err
		}
		if err := s.Repository.Delete(ctx, p.ID); err != nil {
			return err
		}
		if p.Shipped { // the tombstone keeps the next start of the server from installing it again
			p.Release, p.Removed, p.Enabled, p.UpdatedAt = nil, true, false, clock.Stored(s.Clock.Now())
			if err := s.Repository.Create(ctx, p); err != nil {
				return err
			}
		}
		return s.record(ctx, sc, "plugin_removed", id.Agent{}, p, "")
	})
	if err != nil {
		return err
	}
	for _, r := range rels {
		s.dropUnused(ctx, r.Digest())
	}
	return nil
}

// NewKey makes a new signing key for the operator, which signs from then on; what older keys signed stays valid. Without it the
// first installation makes the first key. Only the operator may.
func (s *Service) NewKey(ctx context.Context, sc account.Scope) (SigningKey, error) {
	if err := sc.Require(account.Operator); err != nil {
		return SigningKey{}, err
	}
	k, err := s.Signer.Generate(ctx)
	if err != nil || s.Audit == nil {
		return k, err
	}
	b, err := json.Marshal(map[string]string{"key": k.ID})
	if err != nil {
		return k, err
	}
	return k, s.TX.Do(ctx, func(ctx context.Context) error {
		return s.Audit.Record(ctx, sc, "plugin_key_generated", id.Agent{}, b)
	})
}

// State says whether a plugin can be used.
type State string

// The states of a plugin that is enabled.
const (
	StateReady    State = "ready"
	StateBuilding State = "building" // a shipped one whose first binary is not there yet
	StateFailed   State = "failed"   // a shipped one whose first binary could not be built by this process
)

// State returns the state of p, and for StateFailed what went wrong, for the operator.
func (s *Service) State(p Plugin) (State, error) {
	if p.Release != nil {
		return StateReady, nil
	}
	if err := s.failure(p.Name); err != nil {
		return StateFailed, err
	}
	return StateBuilding, nil
}

// Verification is what Verify found out about a plugin.
type Verification struct {
	Name    string
	Digest  string // of the release in force; "" when there is none yet
	OK      bool
	Problem string // what is wrong; "" when OK
}

// Verify reads every release of a plugin, or of all plugins when ref is "", and checks the stored bytes against the signed
// manifest. A plugin that was changed is reported, not returned as an error. Only the operator may.
func (s *Service) Verify(ctx context.Context, sc account.Scope, ref string) ([]Verification, error) {
	if err := sc.Require(account.Operator); err != nil {
		return nil, err
	}
	var plugins []Plugin
	if ref != "" {
		p, err := s.find(ctx, ref)
		if err != nil {
			return nil, err
		}
		plugins = append(plugins, p)
	} else {
		for req := (ListRequest{Page: page.Request{Limit: 100}}); ; {
			pg, err := s.Repository.List(ctx, req)
			if err != nil {
				return nil, err
			}
			plugins = append(plugins, pg.Items...)
			if req.Page.Cursor = pg.Next; pg.Next == "" {
				break
			}
		}
	}
	out := make([]Verification, 0, len(plugins))
	for _, p := range plugins {
		v := Verification{Name: p.Name, OK: true}
		if p.Release != nil {
			v.Digest = p.Release.Digest()
		}
		rels, err := s.Releases.Releases(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range rels {
			if err := s.verify(ctx, p, r); err != nil {
				if fault.KindOf(err) == fault.Internal && !errors.Is(err, blob.ErrCorrupt) {
					return nil, err
				}
				v.OK, v.Problem = false, fmt.Sprintf("release %s: %v", r.Digest()[:min(12, len(r.Digest()))], err)
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// verify checks one release against its binary, from the bytes up.
func (s *Service) verify(ctx context.Context, p Plugin, r Release) error {
	if err := s.checkSigned(ctx, p, r); err != nil {
		return err
	}
	body, _, err := s.Blobs.Open(ctx, blobKey(r.Digest()))
	if errors.Is(err, blob.ErrNotFound) {
		return ErrModified.Withf("its binary is gone")
	} else if err != nil {
		return err
	}
	defer body.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, body)
	if errors.Is(err, blob.ErrCorrupt) {
		return ErrModified.Withf("its binary was changed")
	} else if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != r.Digest() || n != r.Manifest.Size {
		return ErrModified.Withf("its binary has the SHA-256 %s", got)
	}
	return nil
}

// checkSigned makes sure that the release is what the operator signed under this plugin's name.
func (s *Service) checkSigned(ctx context.Context, p Plugin, r Release) error {
	m, err := ParseManifest(r.Signed)
	if err != nil {
		return err
	}
	stored, err := r.Manifest.Encode()
	if err != nil || !bytes.Equal(stored, r.Signed) || m.Name != p.Name || m.Kind != p.Kind {
		return ErrModified.Withf("the registry disagrees with the signed manifest")
	}
	key := sha256.Sum256(slices.Concat(r.Signed, r.Signature.Bytes, []byte(r.Signature.Key)))
	s.mu.Lock()
	known := s.verified[key]
	s.mu.Unlock()
	if known {
		return nil
	}
	if err := s.Signer.Verify(ctx, r.Signed, r.Signature); err != nil {
		return err
	}
	s.mu.Lock()
	s.verified[key] = true
	s.mu.Unlock()
	return nil
}

func (s *Service) record(ctx context.Context, sc account.Scope, action string, agent id.Agent, p Plugin, digest string) error {
	if s.Audit == nil {
		return nil
	}
	if digest == "" && p.Release != nil {
		digest = p.Release.Digest()
	}
	b, err := json.Marshal(map[string]string{"plugin": p.Name, "kind": string(p.Kind), "sha256": digest})
	if err != nil {
		return err
	}
	return s.Audit.Record(ctx, sc, action, agent, b)
}
