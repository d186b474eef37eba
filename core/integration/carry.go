package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/jobs"
)

// The kinds of this package's jobs; app registers Begin and Send for them.
const (
	JobBegin = "integration_begin"
	JobSend  = "integration_send"
)

// keepFor is how long deliveries are kept, for telling repetitions. What is older than maxAge when it arrives is ignored, so that a webhook
// cannot be replayed once its delivery is forgotten: providers repeat theirs for three days at most.
const (
	keepFor = 30 * 24 * time.Hour
	maxAge  = 7 * 24 * time.Hour
)

// jobArgs name the row that a job is about.
type jobArgs struct {
	Tenant id.Tenant `json:"tenant"`
	ID     string    `json:"id"`
}

func (s *Service) enqueue(ctx context.Context, kind string, tenant id.Tenant, row string, at time.Time) error {
	return s.enqueueOnce(ctx, kind, tenant, row, at, "")
}

func (s *Service) enqueueOnce(ctx context.Context, kind string, tenant id.Tenant, row string, at time.Time, key string) error {
	args, err := json.Marshal(jobArgs{tenant, row})
	if err != nil {
		return fmt.Errorf("integration: %w", err)
	}
	return s.d.Queue.Enqueue(ctx, jobs.Job{Kind: kind, Args: args, RunAt: at, UniqueKey: key})
}

// Receive takes a webhook: it checks the signature, stores the event with the job that works on it, and returns, unless the webhook wants
// nothing but its challenge back. Events that were stored before, that belong to no installation, and that mean nothing to agents are
// accepted and forgotten. It returns ErrNotFound, ErrNotConfigured, ErrSignature or a fault.Invalid.
func (s *Service) Receive(ctx context.Context, name string, header func(string) string, body []byte) (challenge string, err error) {
	p, err := s.provider(name)
	if err != nil {
		return "", err
	}
	in, err := p.Read(header, body, s.now())
	switch {
	case err != nil:
		return "", err
	case in.Challenge != "":
		return in.Challenge, nil
	case in.Message == nil && !in.Removed:
		return "", nil
	}
	tenant, installation, ok, err := s.d.Installations.Route(ctx, name, in.Accounts)
	if err != nil || !ok {
		return "", err
	}
	sc := account.System(tenant)
	i, err := s.d.Installations.Get(ctx, sc, installation)
	if err != nil {
		return "", err
	}
	if in.Removed {
		_, err := s.remove(ctx, sc, i, map[string]any{"by": "the workspace"})
		return "", err
	}
	m := *in.Message
	if !addressed(m, i) || s.now().Sub(m.At) > maxAge {
		return "", nil
	}
	m.Text = withoutMention(m.Text, i.BotLogin)
	m.Text, m.Title, m.Name = cut(m.Text, MaxText), cut(m.Title, 300), cut(m.Name, 100)
	now := s.now()
	d := Delivery{
		ID: id.New[id.DeliveryKind](s.d.IDs), Tenant: tenant, Installation: installation, Provider: name, External: in.ID, Message: m,
		State: Received, CheckAt: now, CreatedAt: now, UpdatedAt: now,
	}
	return "", s.d.TX.Do(ctx, func(ctx context.Context) error {
		fresh, err := s.d.Deliveries.Insert(ctx, sc, d)
		if err != nil || !fresh {
			return err
		}
		return s.enqueue(ctx, JobBegin, tenant, d.ID.String(), time.Time{})
	})
}

// addressed reports whether a message is for the installation's bot, and not by it.
func addressed(m Message, i Installation) bool {
	if i.Status == Uninstalled || i.BotUserID != "" && m.Author == i.BotUserID {
		return false
	}
	return m.Addressed || i.BotLogin != "" && slices.Contains(m.Mentions, strings.ToLower(i.BotLogin))
}

// withoutMention drops the mention of the bot that a text begins with, unless there is nothing else.
func withoutMention(text, login string) string {
	text = strings.TrimSpace(text)
	if login == "" || len(text) <= len(login)+1 || text[0] != '@' || !strings.EqualFold(text[1:len(login)+1], login) {
		return text
	}
	rest := text[len(login)+1:]
	if rest[0] == '-' || rest[0] >= '0' && rest[0] <= '9' || rest[0] >= 'A' && rest[0] <= 'Z' || rest[0] >= 'a' && rest[0] <= 'z' {
		return text // a longer login
	}
	if rest = strings.TrimLeft(rest, ",: \t\r\n"); rest == "" {
		return text
	}
	return rest
}

// Begin is the job that gives an event to an agent: the session of its conversation is found or made, and the message queued, in one
// transaction. An event that was given away already is left alone.
func (s *Service) Begin(ctx context.Context, args json.RawMessage) error {
	a, d, err := readArgs[id.DeliveryKind](args)
	if err != nil {
		return err
	}
	sc := account.System(a.Tenant)
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		_, err := s.d.Deliveries.Update(ctx, sc, d, func(d *Delivery) error {
			if d.State != Received {
				return nil
			}
			d.UpdatedAt = s.now()
			return s.hand(ctx, sc, d)
		})
		return err
	})
	switch {
	case err == nil || errors.Is(err, id.NotFound[id.DeliveryKind](d.String())):
		return nil // pruned meanwhile
	case !permanent(err):
		return err
	}
	s.d.Logger.WarnContext(ctx, "an event of a workspace cannot be answered", "tenant_id", a.Tenant, "delivery_id", d, "error", err)
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		failed := false
		was, uerr := s.d.Deliveries.Update(ctx, sc, d, func(d *Delivery) error {
			if failed = d.State == Received; failed {
				d.State, d.Error, d.UpdatedAt = Failed, messageOf(err), s.now()
			}
			return nil
		})
		if uerr != nil || !failed {
			return uerr
		}
		return s.say(ctx, sc, was, 0, "I cannot answer this: "+messageOf(err))
	})
}

// permanent reports whether trying again is of no use.
func permanent(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.NotFound, fault.Forbidden, fault.Conflict, fault.TooLarge, fault.PaymentRequired, fault.Unsupported:
		return true
	}
	return false
}

func readArgs[K id.Kind](raw json.RawMessage) (jobArgs, id.ID[K], error) {
	var a jobArgs
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, id.ID[K]{}, fmt.Errorf("integration: the arguments of a job: %w", err)
	}
	row, err := id.Parse[K](a.ID)
	return a, row, err
}

// hand gives a received event to the agent that answers it.
func (s *Service) hand(ctx context.Context, sc account.Scope, d *Delivery) error {
	i, err := s.d.Installations.Get(ctx, sc, d.Installation)
	if err != nil {
		return err
	}
	live, err := s.d.Publications.Live(ctx, sc, d.Installation)
	if err != nil {
		return err
	}
	p, ok := answers(live, d.Message.Channel)
	if i.Status == Uninstalled || !ok {
		d.State = Ignored
		return nil
	}
	if err := s.d.Agents.Publishable(ctx, sc, p.Agent); err != nil {
		return err
	}
	conversation := p.conversation(d.Message)
	session, found, err := s.d.Conversations.Session(ctx, sc, p.ID, conversation)
	if err != nil {
		return err
	}
	texts := []string{d.Message.Text}
	var message id.Event
	if found {
		var ended bool
		if message, ended, err = s.d.Sessions.Say(ctx, sc, session, texts); err != nil {
			return err
		}
		found = !ended
	}
	if !found {
		session, err = s.d.Sessions.Open(ctx, sc, SessionRequest{
			Agent: p.Agent, Environment: p.Environment, Title: cut(i.Provider+": "+i.WorkspaceName+" "+d.Message.Channel, 200),
			Metadata: map[string]string{
				"integration": i.Provider, "installation_id": i.ID.String(), "publication_id": p.ID.String(), "workspace_id": cut(i.WorkspaceID, 500),
				"channel": cut(d.Message.Channel, 500), "thread": cut(d.Message.Thread, 500),
			},
		})
		if err != nil {
			return err
		}
		if err := s.d.Conversations.SetSession(ctx, sc, p.ID, conversation, session, s.now()); err != nil {
			return err
		}
		if d.Message.Title != "" {
			texts = append(texts, "(This is about: "+d.Message.Title+")")
		}
		var ended bool
		if message, ended, err = s.d.Sessions.Say(ctx, sc, session, texts); err != nil {
			return err
		}
		if ended {
			return fmt.Errorf("integration: the new session %s takes no message", session)
		}
	}
	d.State, d.Publication, d.Session, d.Input, d.CheckAt = Running, p.ID, session, message, s.now()
	return nil
}

// say puts something into the outbox, with the job that says it; it must run in a transaction. mark tells a delivery's posts apart.
func (s *Service) say(ctx context.Context, sc account.Scope, d Delivery, mark int64, text string) error {
	now := s.now()
	p := Post{
		ID: id.New[id.PostKind](s.d.IDs), Tenant: sc.Tenant, Delivery: d.ID, Mark: mark, Text: cut(text, MaxText), State: Pending, CreatedAt: now,
		UpdatedAt: now,
	}
	fresh, err := s.d.Outbox.InsertPost(ctx, sc, p)
	if err != nil || !fresh {
		return err
	}
	return s.enqueue(ctx, JobSend, sc.Tenant, p.ID.String(), time.Time{})
}

// sweepEvery is how often Run looks for turns that have ended, sweepLimit how many deliveries one look takes.
const (
	sweepEvery = time.Second
	sweepLimit = 100
)

// Run sweeps until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.d.Logger.WarnContext(ctx, "what became of the messages of workspaces could not be read", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Sweep looks at the turns that work on messages of workspaces: of those that have ended, and of those that wait for somebody, it puts into
// the outbox what is to be said. It returns how many it looked at. Several processes may sweep at once.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	now := s.now()
	due, err := s.d.Deliveries.Due(ctx, now, sweepLimit)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, d := range due {
		if err := s.look(ctx, d, now); err != nil {
			errs = append(errs, fmt.Errorf("delivery %s: %w", d.ID, err))
		}
	}
	return len(due), errors.Join(errs...)
}

func (s *Service) look(ctx context.Context, d Delivery, now time.Time) error {
	sc := account.System(d.Tenant)
	o, err := s.d.Sessions.Outcome(ctx, sc, d.Session, d.Input)
	if fault.KindOf(err) == fault.NotFound {
		o, err = Outcome{Ended: true, Problem: "the session was deleted"}, nil
	}
	if err != nil {
		return err
	}
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		mark, text := int64(-1), ""
		was, err := s.d.Deliveries.Update(ctx, sc, d.ID, func(d *Delivery) error {
			mark = -1
			if d.State != Running {
				return nil
			}
			switch {
			case o.Ended:
				d.State, d.UpdatedAt, d.Error = Answered, now, cut(o.Problem, 500)
				mark, text = 0, replyOf(o)
			case o.Waiting > d.Notice:
				d.Notice, d.UpdatedAt = o.Waiting, now
				mark, text = o.Waiting, notice
			}
			// A turn that takes long is looked at less and less often, so that many that wait do not keep others waiting.
			d.CheckAt = now.Add(min(max(now.Sub(d.CreatedAt)/20, sweepEvery/2), 30*time.Second))
			return nil
		})
		if err != nil || mark < 0 {
			return err
		}
		return s.say(ctx, sc, was, mark, text)
	})
}

// notice is said when a turn waits for somebody.
const notice = "This needs an approval or another answer before I can go on. I continue as soon as it is given."

func replyOf(o Outcome) string {
	switch {
	case strings.TrimSpace(o.Text) == "" && o.Problem != "":
		return "I could not finish this: " + o.Problem
	case strings.TrimSpace(o.Text) == "":
		return "I have nothing to say to this."
	case o.Problem != "":
		return o.Text + "\n\nI could not finish this: " + o.Problem
	}
	return o.Text
}

// Send is the job that says something in a workspace. A provider that wants to be asked later is asked later.
func (s *Service) Send(ctx context.Context, args json.RawMessage) error {
	a, post, err := readArgs[id.PostKind](args)
	if err != nil {
		return err
	}
	sc := account.System(a.Tenant)
	begun, mine := false, false
	p, err := s.updatePost(ctx, sc, post, func(p *Post) {
		mine, begun = p.State == Pending || p.State == Sending, p.State == Sending
		if mine {
			p.State = Sending
		}
	})
	if fault.KindOf(err) == fault.NotFound {
		return nil // pruned meanwhile
	}
	if err != nil || !mine {
		return err
	}
	talking, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	external, err := s.speak(talking, sc, p, begun)
	switch {
	case err == nil:
		_, err = s.updatePost(ctx, sc, post, func(p *Post) { p.State, p.External, p.Error = Posted, external, "" })
		return err
	case errors.Is(err, ErrRateLimited):
		f, _ := fault.As(err)
		return s.d.TX.Do(ctx, func(ctx context.Context) error {
			later := s.now().Add(max(f.RetryAfter, time.Second))
			_, err := s.updatePost(ctx, sc, post, func(p *Post) {
				p.UpdatedAt = later
				if !begun { // else what was refused may be the question whether it was said before
					p.State = Pending
				}
			})
			if err != nil {
				return err
			}
			return s.enqueue(ctx, JobSend, a.Tenant, a.ID, later)
		})
	case permanent(err):
		s.d.Logger.WarnContext(ctx, "a reply could not be said in its workspace", "tenant_id", a.Tenant, "post_id", post, "error", err)
		_, err = s.updatePost(ctx, sc, post, func(p *Post) { p.State, p.Error = Dropped, messageOf(err) })
		return err
	}
	return err
}

func (s *Service) updatePost(ctx context.Context, sc account.Scope, post id.Post, change func(*Post)) (Post, error) {
	return s.d.Outbox.UpdatePost(ctx, sc, post, func(p *Post) error {
		p.UpdatedAt = s.now()
		change(p)
		return nil
	})
}

// speak says a post, unless it was said: after a crash, or an answer that did not arrive, nobody here knows.
func (s *Service) speak(ctx context.Context, sc account.Scope, p Post, begun bool) (string, error) {
	d, err := s.d.Deliveries.Get(ctx, sc, p.Delivery)
	if err != nil {
		return "", err
	}
	i, err := s.d.Installations.Get(ctx, sc, d.Installation)
	if err != nil {
		return "", err
	}
	if i.Status == Uninstalled {
		return "", ErrUninstalled
	}
	provider, err := s.provider(d.Provider)
	if err != nil {
		return "", err
	}
	t, i, err := s.token(ctx, sc, provider, i)
	if err != nil {
		return "", err
	}
	speech := Speech{Key: p.ID.String(), Channel: d.Message.Channel, Thread: d.Message.Thread, Text: p.Text, Since: p.CreatedAt}
	if !d.Publication.IsZero() {
		pub, err := s.d.Publications.Get(ctx, sc, d.Publication)
		if err != nil {
			return "", err
		}
		speech.Persona = pub.Persona
	}
	if begun {
		external, said, err := provider.Posted(ctx, t, speech)
		switch {
		case err == nil && said:
			return external, nil
		case errors.Is(err, ErrRefused): // the app may not read there: saying it twice is better than never
		case err != nil:
			return "", s.judge(ctx, sc, i, err)
		}
	}
	external, err := provider.Post(ctx, t, speech)
	if err != nil {
		return "", s.judge(ctx, sc, i, err)
	}
	return external, nil
}

// judge notes what an error says about the token that was used.
func (s *Service) judge(ctx context.Context, sc account.Scope, used Installation, err error) error {
	if !errors.Is(err, ErrRevoked) {
		return err
	}
	replaced := false
	_, uerr := s.d.Installations.Update(ctx, sc, used.ID, func(i *Installation) error {
		if replaced = string(i.SealedToken) != string(used.SealedToken); !replaced && i.Status == Installed {
			i.Status, i.UpdatedAt = NeedsReauth, s.now()
		}
		return nil
	})
	if replaced {
		return ErrUnreachable.Wrap(err) // there is a newer token: try again with that one
	}
	return errors.Join(err, uerr)
}

// refreshBefore is how long a token must be good for when it is used.
const refreshBefore = 2 * time.Minute

// token returns the token of an installation, a new one when the old one is about to expire, and the installation as it is now.
func (s *Service) token(ctx context.Context, sc account.Scope, p Provider, i Installation) (Token, Installation, error) {
	t, err := s.open(ctx, i)
	if err != nil || t.Refresh == "" || t.Expiry.IsZero() || s.now().Add(refreshBefore).Before(t.Expiry) {
		return t, i, err
	}
	next, err := p.Refresh(ctx, t)
	if err != nil {
		return Token{}, i, s.judge(ctx, sc, i, err)
	}
	sealed, err := s.seal(ctx, i, next)
	if err != nil {
		return Token{}, i, err
	}
	i, err = s.d.Installations.Update(ctx, sc, i.ID, func(i *Installation) error {
		if i.Status == Uninstalled {
			return ErrUninstalled
		}
		i.SealedToken, i.TokenExpiry, i.Status = sealed, expiryOf(next), Installed
		return nil
	})
	return next, i, err
}

// sendTimeout bounds an attempt to say something; staleAfter is when one that has neither succeeded nor failed is somebody's who has
// vanished.
const (
	sendTimeout = 45 * time.Second
	staleAfter  = time.Minute
)

// Rescue begins anew what a process that has vanished had begun: the queue gives such jobs to others by itself, but only after a longer
// time than people wait for an answer. It returns how many there were.
func (s *Service) Rescue(ctx context.Context) (int, error) {
	before := s.now().Add(-staleAfter)
	deliveries, err := s.d.Deliveries.Stale(ctx, before, sweepLimit)
	if err != nil {
		return 0, err
	}
	posts, err := s.d.Outbox.StalePosts(ctx, before, sweepLimit)
	if err != nil {
		return 0, err
	}
	for _, d := range deliveries {
		if err := s.enqueueOnce(ctx, JobBegin, d.Tenant, d.ID.String(), time.Time{}, "rescue:"+d.ID.String()); err != nil {
			return 0, err
		}
	}
	for _, p := range posts {
		if err := s.enqueueOnce(ctx, JobSend, p.Tenant, p.ID.String(), time.Time{}, "rescue:"+p.ID.String()); err != nil {
			return 0, err
		}
	}
	return len(deliveries) + len(posts), nil
}

// Prune forgets deliveries that nobody will repeat any more, and returns how many.
func (s *Service) Prune(ctx context.Context) (int, error) {
	return s.d.Deliveries.Prune(ctx, s.now().Add(-keepFor))
}
