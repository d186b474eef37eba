package file

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Sessions tells of the sessions that files belong to, which stand above this package.
type Sessions interface {
	// Exists returns id.NotFound[id.SessionKind] when the tenant has no such session, or had it deleted.
	Exists(ctx context.Context, sc account.Scope, session id.Session) error
}

// Deps is what a Service needs. All fields are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Blobs      blob.Store
	Sessions   Sessions
}

// Config of a Service.
type Config struct {
	// MaxSize bounds one file in bytes; 0 is 500 MB.
	MaxSize int64
	// Quota bounds the files of a tenant together, in bytes; 0 is 10 GiB, -1 no bound.
	Quota int64
	// Uploads is how many files are received at a time, in this process; others wait. 0 is 8. A blob store may hold a connection to its
	// database while bytes arrive, as slowly as the sender likes.
	Uploads int
	// Abandoned is the age at which a file of which not all bytes have come is given up; 0 is 1 hour.
	Abandoned time.Duration
}

func (c Config) withDefaults() Config {
	if c.MaxSize == 0 {
		c.MaxSize = 500_000_000
	}
	if c.Quota == 0 {
		c.Quota = 10 << 30
	}
	if c.Uploads == 0 {
		c.Uploads = 8
	}
	if c.Abandoned == 0 {
		c.Abandoned = time.Hour
	}
	return c
}

// Service stores, reads and removes files. It is safe for concurrent use.
type Service struct {
	d     Deps
	cfg   Config
	slots chan struct{} // filled by those who receive
}

// NewService returns a Service, or an error that names what is missing or wrong.
func NewService(d Deps, cfg Config) (*Service, error) {
	cfg = cfg.withDefaults()
	switch {
	case d.TX == nil:
		return nil, errors.New("file: Deps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("file: Deps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("file: Deps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("file: Deps.Logger is required")
	case d.Repository == nil:
		return nil, errors.New("file: Deps.Repository is required")
	case d.Blobs == nil:
		return nil, errors.New("file: Deps.Blobs is required")
	case d.Sessions == nil:
		return nil, errors.New("file: Deps.Sessions is required")
	case cfg.MaxSize < 0 || cfg.Quota < -1 || cfg.Uploads < 0 || cfg.Abandoned < 0:
		return nil, errors.New("file: Config must not be negative, but for a Quota of -1")
	}
	return &Service{d, cfg, make(chan struct{}, cfg.Uploads)}, nil
}

// blobKey is where a file's bytes are.
func blobKey(tenant id.Tenant, file id.File) string {
	return "files/" + tenant.UUID().String() + "/" + file.UUID().String()
}

// Create stores what r has, to its end. It returns ErrInvalid, ErrTooLarge, ErrQuota, id.NotFound for the session, or r's or n.Then's
// error. An output that has the name and the bytes of the one it would replace changes nothing, and the old one is returned.
func (s *Service) Create(ctx context.Context, sc account.Scope, n New, r io.Reader) (File, error) {
	if _, err := n.checked(""); err != nil { // before the bytes are taken
		return File{}, err
	}
	got, err := s.Receive(ctx, sc, r)
	if err != nil {
		return File{}, err
	}
	return s.Keep(ctx, sc, got, n)
}

// Receive stores the bytes of a file that is described afterwards, by Keep; a caller that does not come to that drops it. It
// returns ErrTooLarge or r's error, and nothing is left then.
func (s *Service) Receive(ctx context.Context, sc account.Scope, r io.Reader) (Received, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return Received{}, ctx.Err()
	}
	got := Received{ID: id.New[id.FileKind](s.d.IDs)}
	now := clock.Stored(s.d.Clock.Now())
	if err := s.d.TX.Do(ctx, func(ctx context.Context) error { return s.d.Repository.Begin(ctx, sc, got.ID, now) }); err != nil {
		return Received{}, err
	}
	in := &intake{r: r, left: s.cfg.MaxSize}
	info, err := s.d.Blobs.Put(ctx, blobKey(sc.Tenant, got.ID), in)
	if err != nil {
		s.Drop(context.WithoutCancel(ctx), sc, got)
		if in.err != nil { // the reader's own error says more than the blob store's
			return Received{}, in.err
		}
		return Received{}, err
	}
	got.Size, got.SHA256, got.sniffed = info.Size, info.SHA256, sniff(in.head)
	return got, nil
}

// intake bounds what is read, keeps its beginning, and remembers what went wrong.
type intake struct {
	r    io.Reader
	left int64
	head []byte
	err  error
}

// Read implements io.Reader.
func (in *intake) Read(p []byte) (int, error) {
	if int64(len(p)) > in.left+1 {
		p = p[:in.left+1] // one more tells whether there is more
	}
	n, err := in.r.Read(p)
	if int64(n) > in.left {
		in.err = ErrTooLarge
		return 0, in.err
	}
	in.left -= int64(n)
	if room := sniffSize - len(in.head); room > 0 {
		in.head = append(in.head, p[:min(n, room)]...)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		in.err = err
	}
	return n, err
}

// Drop removes bytes that were received and will not be kept. What it cannot remove, Sweep does.
func (s *Service) Drop(ctx context.Context, sc account.Scope, got Received) { s.erase(ctx, sc, got.ID) }

// Keep makes a file of received bytes. It returns ErrInvalid, ErrQuota, id.NotFound for the session, id.NotFound when the bytes have been
// given up, or n.Then's error; they are dropped then.
func (s *Service) Keep(ctx context.Context, sc account.Scope, got Received, n New) (File, error) {
	n, err := n.checked(got.sniffed)
	if err != nil {
		s.Drop(context.WithoutCancel(ctx), sc, got)
		return File{}, err
	}
	now := clock.Stored(s.d.Clock.Now())
	f := File{
		ID: got.ID, Tenant: sc.Tenant, Name: n.Name, MediaType: n.MediaType, Size: got.Size, SHA256: got.SHA256, Session: n.Session,
		Output: n.Output, Downloadable: n.Downloadable, CreatedAt: now,
	}
	if f.Output {
		f.Path = cmp.Or(n.Path, f.Name)
	}
	if n.TTL > 0 {
		t := clock.Stored(now.Add(n.TTL))
		f.ExpiresAt = &t
	}
	var out File
	var stale []id.File
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		out, stale = f, nil
		if !f.Session.IsZero() {
			if err := s.d.Sessions.Exists(ctx, sc, f.Session); err != nil {
				return err
			}
		}
		total, err := s.d.Repository.Keep(ctx, sc, f)
		if err != nil {
			return err
		}
		if f.Output {
			if out, stale, err = s.replace(ctx, sc, f, now); err != nil {
				return err
			}
		}
		if s.cfg.Quota >= 0 && total > s.cfg.Quota {
			return ErrQuota.Withf("the tenant's files would have %d bytes; %d are allowed", total, s.cfg.Quota)
		}
		if n.Then != nil {
			return n.Then(ctx, out)
		}
		return nil
	})
	if err != nil {
		s.Drop(context.WithoutCancel(ctx), sc, got)
		return File{}, err
	}
	for _, old := range stale {
		s.erase(context.WithoutCancel(ctx), sc, old)
	}
	s.d.Logger.DebugContext(ctx, "file stored", "tenant_id", sc.Tenant, "file_id", out.ID, "size", out.Size)
	return out, nil
}

// replace removes what f replaces, or f itself when that is the same, and returns what is left and what went.
func (s *Service) replace(ctx context.Context, sc account.Scope, f File, now time.Time) (File, []id.File, error) {
	olds, err := s.d.Repository.List(ctx, sc, ListRequest{Session: f.Session, Outputs: true, Path: f.Path}, now)
	if err != nil {
		return File{}, nil, err
	}
	out := f
	for _, old := range olds.Items {
		if old.ID != f.ID && old.SHA256 == f.SHA256 && old.Size == f.Size && old.MediaType == f.MediaType {
			out = old
		}
	}
	var gone []id.File
	for _, v := range olds.Items {
		if v.ID == out.ID {
			continue
		}
		if err := s.d.Repository.Remove(ctx, sc, v.ID); err != nil {
			return File{}, nil, err
		}
		gone = append(gone, v.ID)
	}
	return out, gone, nil
}

// Get returns a file; ErrExpired when its time is over.
func (s *Service) Get(ctx context.Context, sc account.Scope, file id.File) (File, error) {
	f, err := s.d.Repository.Get(ctx, sc, file)
	if err != nil {
		return File{}, err
	}
	if f.ExpiresAt != nil && !s.d.Clock.Now().Before(*f.ExpiresAt) {
		return File{}, ErrExpired.Withf("file %s has expired", file)
	}
	return f, nil
}

// List lists files. It returns ErrInvalid for a request that contradicts itself, and id.NotFound for a session that is not there.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListRequest) (Page, error) {
	places := 0
	for _, set := range []bool{req.Cursor != "", !req.After.IsZero(), !req.Before.IsZero()} {
		if set {
			places++
		}
	}
	switch {
	case len(req.IDs) > MaxIDs:
		return Page{}, fault.Invalidf("ids", "has %d entries; at most %d are allowed", len(req.IDs), MaxIDs)
	case req.IDs != nil && places > 0:
		return Page{}, fault.Invalidf("ids", "cannot be combined with paging")
	case places > 1:
		return Page{}, fault.Invalidf("page", "cannot be combined with after_id or before_id, nor they with each other")
	}
	if req.IDs != nil {
		req.Request = page.Request{Limit: MaxIDs}
	}
	if !req.Session.IsZero() {
		if err := s.d.Sessions.Exists(ctx, sc, req.Session); err != nil {
			return Page{}, err
		}
	}
	return s.d.Repository.List(ctx, sc, req, s.d.Clock.Now())
}

// Open returns a file with its bytes; the caller closes them. It does not ask whether the file is Downloadable: that is about callers,
// and mounts are not.
func (s *Service) Open(ctx context.Context, sc account.Scope, file id.File) (File, *Content, error) {
	f, err := s.Get(ctx, sc, file)
	if err != nil {
		return File{}, nil, err
	}
	c := &Content{ctx: ctx, f: f, s: s}
	if err := c.reopen(); err != nil {
		return File{}, nil, err
	}
	return f, c, nil
}

// Delete removes a file and its bytes.
func (s *Service) Delete(ctx context.Context, sc account.Scope, file id.File) error {
	if err := s.d.TX.Do(ctx, func(ctx context.Context) error { return s.d.Repository.Remove(ctx, sc, file) }); err != nil {
		return err
	}
	s.erase(context.WithoutCancel(ctx), sc, file)
	return nil
}

// erase removes the bytes of a row that is not ready, and then the row. What fails is left to Sweep.
func (s *Service) erase(ctx context.Context, sc account.Scope, file id.File) {
	err := s.d.Blobs.Delete(ctx, blobKey(sc.Tenant, file))
	if err == nil || errors.Is(err, blob.ErrNotFound) {
		err = s.d.TX.Do(ctx, func(ctx context.Context) error { return s.d.Repository.Forget(ctx, sc, file) })
	}
	if err != nil {
		s.d.Logger.WarnContext(ctx, "a file's bytes could not be removed yet", "tenant_id", sc.Tenant, "file_id", file, "error", err)
	}
}

// sweepBatch bounds one round of Sweep.
const sweepBatch = 500

// Sweep removes what has expired, what went with its session, and what interrupted uploads and deletions left. It returns how many
// files there were. It is a job that any process may do at any time.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	now := s.d.Clock.Now()
	all, err := s.d.Repository.Garbage(ctx, now, now.Add(-s.cfg.Abandoned), sweepBatch)
	if err != nil {
		return 0, err
	}
	for i, g := range all {
		sc := account.System(g.Tenant)
		if g.Ready {
			err := s.d.TX.Do(ctx, func(ctx context.Context) error { return s.d.Repository.Remove(ctx, sc, g.ID) })
			if err != nil && fault.KindOf(err) != fault.NotFound { // another sweep was faster
				return i, err
			}
		}
		s.erase(ctx, sc, g.ID)
	}
	return len(all), nil
}
