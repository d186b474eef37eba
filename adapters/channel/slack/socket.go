package slack

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/slack-go/slack"

	"github.com/bureau-agents/bureau/adapters/channel/internal/steady"
	"github.com/bureau-agents/bureau/ports/channel"
)

const (
	maxEnvelope = 4 << 20
	queued      = 256 // messages that wait for the inbox, before no more are read
	helloTime   = 30 * time.Second
	lingering   = 5 * time.Second // for acknowledgements on a connection that another one has replaced
)

// errRefresh asks for a new connection at once.
var errRefresh = errors.New("slack: the connection is to be opened anew")

// listener receives the messages of one bot.
type listener struct {
	c    *Channel
	api  *slack.Client
	in   channel.Inbox
	loop steady.Loop
	me   identity

	work chan delivery
	idle chan struct{} // closed when nothing is delivered any more
}

// delivery is a message on its way into the inbox.
type delivery struct {
	message channel.Message
	ack     func(context.Context)
}

// Run implements channel.Channel.
func (c *Channel) Run(ctx context.Context, a channel.Account, in channel.Inbox) error {
	api, err := c.api(a, BotToken, AppToken)
	if err != nil {
		return err
	}
	l := &listener{
		c: c, api: api, in: in, loop: steady.Loop{Inbox: in, Pauses: c.cfg.Pauses}, work: make(chan delivery, queued), idle: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.deliver(ctx) })
	defer wg.Wait()
	defer cancel()
	for {
		err := l.begin(ctx)
		for err == nil {
			if err = l.connect(ctx, &wg); errors.Is(err, errRefresh) {
				err = nil
			}
		}
		after, err := explain(err)
		if ctx.Err() != nil {
			return nil // that is how it ends
		}
		if errors.Is(err, channel.ErrTokens) {
			return err
		}
		if l.loop.Failed(ctx, err, after) != nil {
			return nil
		}
	}
}

// begin learns who the bot is.
func (l *listener) begin(ctx context.Context) error {
	if l.me.user != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	who, err := l.api.AuthTestContext(ctx)
	if err != nil {
		return err
	}
	l.me = identity{who.TeamID, who.UserID, who.BotID}
	return nil
}

// connect opens a connection and reads it to its end.
func (l *listener) connect(ctx context.Context, wg *sync.WaitGroup) error {
	asking, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, at, err := l.api.StartSocketModeContext(asking)
	if err != nil {
		return err
	}
	conn, res, err := websocket.Dial(asking, at, &websocket.DialOptions{HTTPClient: l.c.cfg.HTTP})
	if res != nil && res.Body != nil {
		_ = res.Body.Close()
	}
	if err != nil {
		return channel.ErrUnreachable.Withf("Slack's socket cannot be opened") // the error may have the ticket
	}
	conn.SetReadLimit(maxEnvelope)
	s := &socket{conn: conn}
	// At the end the connection stays until what was taken last is acknowledged.
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	wg.Go(func() {
		select {
		case <-ctx.Done():
			<-l.idle
			_ = conn.Close(websocket.StatusNormalClosure, "") // after what was written before
			stop()
		case <-reading.Done():
		}
	})
	wg.Go(func() { s.watch(reading, stop, l.c.cfg.Ping) })
	err = l.read(reading, s)
	if errors.Is(err, errRefresh) {
		wg.Go(func() { s.linger(ctx) })
		return err
	}
	_ = conn.CloseNow()
	return err
}

// read reads a connection until it ends. It returns errRefresh when Slack wants another one.
func (l *listener) read(ctx context.Context, s *socket) error {
	hello := time.AfterFunc(helloTime, func() { _ = s.conn.CloseNow() })
	defer hello.Stop()
	for {
		_, raw, err := s.conn.Read(ctx)
		if err != nil {
			return channel.ErrUnreachable.Withf("the connection to Slack is lost").Wrap(err)
		}
		var e envelope
		if json.Unmarshal(raw, &e) != nil {
			continue // what cannot be read cannot be acknowledged
		}
		switch e.Type {
		case "hello":
			hello.Stop()
			l.loop.Fine(ctx)
			continue
		case "disconnect":
			if e.Reason == "link_disabled" {
				return channel.ErrUnreachable.Withf("Socket Mode is switched off for the Slack app")
			}
			return errRefresh
		}
		if e.ID == "" {
			continue
		}
		d := delivery{ack: s.promise(e.ID)}
		var ev event
		said := false
		if e.Type == "events_api" && json.Unmarshal(e.Payload.Event, &ev) == nil {
			d.message, said = ev.read(l.me)
		}
		if !said { // nothing for the agent
			d.ack(ctx)
			continue
		}
		select {
		case l.work <- d:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deliver gives messages to the inbox, one after the other, and acknowledges each once it is taken.
func (l *listener) deliver(ctx context.Context) {
	defer close(l.idle)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case d := <-l.work:
			for try := 1; l.in.Take(ctx, d.message) != nil; try++ {
				if steady.Wait(ctx, min(l.c.cfg.Pauses.After(try), 10*time.Second)) != nil {
					return // Slack delivers it again
				}
			}
			d.ack(context.WithoutCancel(ctx))
		}
	}
}

// socket is one connection.
type socket struct {
	conn *websocket.Conn

	mu      sync.Mutex
	pending int           // acknowledgements that are still to come
	drained chan struct{} // closed once nothing is pending; nil while the connection is read
}

// promise returns what acknowledges an envelope; it is called once at most. On a connection that is gone it does nothing, and Slack delivers
// the envelope again on another one.
func (s *socket) promise(id string) func(context.Context) {
	s.mu.Lock()
	s.pending++
	s.mu.Unlock()
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if raw, err := json.Marshal(map[string]string{"envelope_id": id}); err == nil {
			_ = s.conn.Write(ctx, websocket.MessageText, raw)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pending--; s.pending == 0 && s.drained != nil {
			close(s.drained)
		}
	}
}

// watch asks from time to time whether the other side is there, and ends the reading when it is not.
func (s *socket) watch(ctx context.Context, gone func(), every time.Duration) {
	for steady.Wait(ctx, every) == nil {
		asking, cancel := context.WithTimeout(ctx, every)
		err := s.conn.Ping(asking)
		cancel()
		if err != nil {
			gone()
			return
		}
	}
}

// linger closes a connection that is not read any more, once everything that came over it is acknowledged.
func (s *socket) linger(ctx context.Context) {
	s.mu.Lock()
	drained := make(chan struct{})
	if s.pending == 0 {
		close(drained)
	} else {
		s.drained = drained
	}
	s.mu.Unlock()
	late := time.NewTimer(lingering)
	defer late.Stop()
	select {
	case <-drained:
	case <-late.C:
	case <-ctx.Done():
	}
	_ = s.conn.CloseNow()
}
