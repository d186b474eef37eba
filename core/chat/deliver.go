package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// NewCommand is what somebody says on a channel to begin a new session.
const NewCommand = "/new"

// beforeLog is Request.AfterSeq of a NewCommand.
const beforeLog = -1

// newAnswer is what they are told.
const newAnswer = "A new conversation begins."

// Incoming is what somebody said on a channel.
type Incoming struct {
	Peer   string // whom the agent talks to there; two conversations never have the same
	Chat   string // where the answer goes
	Author string // who says it, as the channel calls them; "": unknown
	Group  bool   // others hear it, and may write too
	Text   string // what is longer than MaxMessage is cut
	Key    string // names it among everything that comes over this channel of the agent; a second one of the name is not taken
}

// context is what the agent is told beside the message.
func (in Incoming) context(channel Channel) string {
	about := "channel: " + string(channel)
	if in.Group {
		about += "\nconversation: a group"
	}
	if name := oneLine(cut(strings.ToValidUTF8(strings.ReplaceAll(in.Author, "\x00", ""), ""), MaxName)); name != "" {
		about += "\nname: " + name
	}
	return about
}

// Desk takes what is said to one agent on one channel, and delivers the answers. Its methods are safe for concurrent use.
type Desk struct {
	s       *Service
	sc      account.Scope
	agent   id.Agent
	channel Channel
	say     func(ctx context.Context, chat, text string) error
	typing  func(ctx context.Context, chat string) error // nil: nothing is shown
	// ctx ends the desk: answers are delivered after the call that brought the message has returned.
	ctx context.Context //nolint:containedctx // see above

	done sync.WaitGroup

	mu    sync.Mutex
	lines map[string]*line // by peer
}

// line is what waits to be answered in one chat, in the order in which it was said.
type line struct {
	waiting []Request
	taken   map[string]bool // keys of what waits or is being answered
	taking  sync.Mutex
}

// NewDesk returns the desk of an agent's channel. Answers are delivered by say, a whole message at a time and in order in each chat,
// until ctx ends; what is not delivered by then is by the next desk, after its Resume. An answer during whose delivery the process dies
// may be delivered twice. say returns a fault of kind Invalid, Forbidden or NotFound for what can never be delivered; after any other
// error it is tried again.
func (s *Service) NewDesk(
	ctx context.Context, sc account.Scope, of id.Agent, channel Channel, say func(ctx context.Context, chat, text string) error,
) *Desk {
	return &Desk{s: s, sc: sc, agent: of, channel: channel, say: say, ctx: ctx, lines: map[string]*line{}}
}

// ShowTyping has f called while an answer is being made, again every few seconds, so that whoever waits sees it. It is called before Resume
// and Deliver.
func (d *Desk) ShowTyping(f func(ctx context.Context, chat string) error) { d.typing = f }

// Wait waits until nothing is delivered any more, after the desk's context has ended.
func (d *Desk) Wait() { d.done.Wait() }

// Resume delivers what an earlier desk has not.
func (d *Desk) Resume(ctx context.Context) error {
	open, err := d.s.d.Requests.Open(ctx, d.sc, d.agent)
	if err != nil {
		return err
	}
	for _, r := range open {
		if r.Channel == d.channel {
			d.queue(d.line(r.Name), r)
		}
	}
	return nil
}

// Deliver takes what somebody said: once it returns nil the message is stored, and its turn and the delivery of the answer go on whatever
// happens. What was taken before is not taken again. It returns ErrInvalid, why the agent cannot be talked to, or session.ErrQueueFull;
// then nothing was stored.
func (d *Desk) Deliver(ctx context.Context, in Incoming) error {
	var f check.Faults
	checkPeer(&f, "peer", in.Peer)
	f.Given("peer", in.Peer, MaxPeer)
	f.Given("key", in.Key, MaxKey)
	f.Given("text", cut(in.Text, MaxMessage), MaxMessage)
	if err := f.Err(ErrInvalid); err != nil {
		return err
	}
	if err := d.s.admit(ctx, d.sc, d.agent); err != nil {
		return err
	}
	text := cut(in.Text, MaxMessage)
	digest := sha256.Sum256([]byte(in.Peer + "\x00" + text))
	r := Request{Who: Who{d.agent, d.channel, KindPeer, in.Peer}, Key: in.Key, Digest: hex.EncodeToString(digest[:]), ReplyTo: in.Chat}
	l := d.line(in.Peer)
	l.taking.Lock() // so that the answers are in the order of the messages
	defer l.taking.Unlock()
	var err error
	if strings.TrimSpace(text) == NewCommand {
		r, err = d.s.anew(ctx, d.sc, r)
	} else {
		r, err = d.s.ask(ctx, d.sc, r, id.Session{}, contentOf(text, in.context(d.channel)))
	}
	switch {
	case errors.Is(err, ErrRepeated): // edited since: what was said first counts
		return nil
	case err != nil:
		return err
	}
	if r.DoneAt == nil {
		d.queue(l, r)
	}
	return nil
}

// anew begins a new session for somebody, unless that has been done.
func (s *Service) anew(ctx context.Context, sc account.Scope, r Request) (Request, error) {
	var out Request
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		p, err := s.meet(ctx, sc, r.Who)
		if err != nil {
			return err
		}
		known, there, err := s.d.Requests.Find(ctx, sc, r.Agent, r.Channel, r.Key)
		if err != nil || there {
			out = known
			return err
		}
		made, err := s.open(ctx, sc, p, "")
		if err != nil {
			return err
		}
		// It became no event: it stands before the session's log.
		r.Session, r.Event, r.AfterSeq, r.CreatedAt = made.ID, id.Of[id.EventKind](made.ID.UUID()), beforeLog, clock.Stored(s.d.Clock.Now())
		out = r
		_, err = s.d.Requests.Insert(ctx, sc, r)
		return err
	})
	return out, err
}

func (d *Desk) line(peer string) *line {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lines[peer]
	if l == nil {
		l = &line{taken: map[string]bool{}}
		d.lines[peer] = l
	}
	return l
}

// queue has a request answered after those before it in its chat.
func (d *Desk) queue(l *line, r Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.taken[r.Key] || d.ctx.Err() != nil {
		return
	}
	l.taken[r.Key] = true
	l.waiting = append(l.waiting, r)
	if len(l.taken) > 1 {
		return // somebody is at it
	}
	d.done.Go(func() {
		for r, more := r, true; more; r, more = d.next(l, r) {
			if !d.answer(r) {
				return // the next desk goes on
			}
		}
	})
}

// next takes an answered request off its line and returns the one behind it.
func (d *Desk) next(l *line, r Request) (Request, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(l.taken, r.Key)
	l.waiting = l.waiting[1:]
	if len(l.waiting) == 0 {
		return Request{}, false
	}
	return l.waiting[0], true
}

// answer delivers the answer to a request, and reports whether nothing of it is left.
func (d *Desk) answer(r Request) bool {
	ctx := d.ctx
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		over, err := d.deliver(ctx, &r)
		if over {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			d.s.d.Logger.WarnContext(ctx, "answer not delivered", "agent_id", r.Agent, "channel", r.Channel, "session_id", r.Session, "error", err)
		}
		if !rest(ctx, pause) {
			return false
		}
	}
}

// How long is waited before something is tried again.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// deliver says what of an answer was not said yet. over: nothing more will come.
func (d *Desk) deliver(ctx context.Context, r *Request) (over bool, err error) {
	if r.AfterSeq == beforeLog {
		if err := d.tell(ctx, r, 0, newAnswer); err != nil {
			return false, err
		}
		return true, d.finish(ctx, r)
	}
	st, err := d.s.d.Talks.Stream(ctx, d.sc, r.Session, session.StreamOptions{Replay: true, AfterSeq: r.AfterSeq})
	if fault.KindOf(err) == fault.NotFound {
		return true, d.finish(ctx, r)
	}
	if err != nil {
		return false, err
	}
	a := d.s.follow(d.sc, r.Session, r.Event, r.AfterSeq, st)
	a.tell.stay = true
	defer a.Close()
	quiet := d.showTyping(ctx, r.ReplyTo)
	defer quiet()
	said := 0
	for pieces, err := range a.steps(ctx) {
		if err != nil {
			return false, err
		}
		text := ""
		for _, p := range pieces {
			switch {
			case p.Code == CodeStopping:
				return false, nil
			case p.Kind == PieceText:
				text += p.Text
			case p.Kind == PieceProblem:
				quiet()
				// How often it waited depends on when one looks, so problems are not counted.
				if err := d.utter(ctx, r, "("+p.Message+")"); err != nil {
					return false, err
				}
			}
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if err := d.tell(ctx, r, said, text); err != nil {
			return false, err
		}
		said++
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return true, d.finish(ctx, r)
}

// How often typing is shown, which services show for five seconds and more, and for how long at most.
const (
	typingAgain = 4 * time.Second
	typingMost  = 10 * time.Minute
)

// showTyping shows in a chat that an answer is being made, until the function returned is called. What cannot be shown is not tried again.
func (d *Desk) showTyping(ctx context.Context, chat string) (quiet func()) {
	if d.typing == nil {
		return func() {}
	}
	ctx, quiet = context.WithTimeout(ctx, typingMost)
	d.done.Go(func() {
		for d.typing(ctx, chat) == nil && rest(ctx, typingAgain) {
		}
	})
	return quiet
}

// tell says one message of an answer, unless it was said before.
func (d *Desk) tell(ctx context.Context, r *Request, number int, text string) error {
	if number < r.Told {
		return nil
	}
	if err := d.utter(ctx, r, text); err != nil {
		return err
	}
	r.Told = number + 1
	return d.s.d.Requests.Tell(context.WithoutCancel(ctx), d.sc, *r)
}

// utter says something. What can never be delivered is given up.
func (d *Desk) utter(ctx context.Context, r *Request, text string) error {
	err := d.say(ctx, r.ReplyTo, text)
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Forbidden, fault.NotFound:
		d.s.d.Logger.WarnContext(ctx, "answer cannot be delivered", "agent_id", r.Agent, "channel", r.Channel, "session_id", r.Session, "error", err)
		return nil
	}
	return err
}

func (d *Desk) finish(ctx context.Context, r *Request) error {
	now := clock.Stored(d.s.d.Clock.Now())
	r.DoneAt = &now
	return d.s.d.Requests.Tell(context.WithoutCancel(ctx), d.sc, *r)
}
