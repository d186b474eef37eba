package a2a

import (
	"context"
	"errors"
	"net/http"
	"time"

	vendor "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
	"github.com/bureau-agents/bureau/ports/llm"
)

// exchange is one message and its answer.
type exchange struct {
	p      *Provider
	name   string       // of the conversation; "" is not kept
	state  Conversation // as it was, and then as it is
	id     string       // of the message
	pieces []piece
	parts  []*vendor.Part // made of pieces, for the agent's card

	answer *answer
	kept   Conversation // what was saved last
	shown  showing      // what became of the credential
}

// errLimit is the cause by which an exchange ends that goes on for longer than Config.Limit.
var errLimit = errors.New("a2a: the answer has no end")

// run sends the message and hands over what is said, until say returns false. It returns the name of the agent's card.
func (x *exchange) run(ctx context.Context, say func(more string) bool) (string, error) {
	calling, cancel := context.WithCancel(context.WithValue(ctx, showingKey{}, &x.shown))
	defer cancel()
	if limit := x.p.config.Limit; limit > 0 {
		var stop context.CancelFunc
		calling, stop = context.WithTimeoutCause(calling, limit, errLimit)
		defer stop()
	}
	calling, seen := wire.WithExchange(calling)
	card, err := x.p.card(calling)
	if err != nil {
		return "", x.failure(ctx, calling, err, seen, false)
	}
	if x.parts, err = partsFor(card, x.pieces); err != nil {
		return "", err
	}
	client, err := x.p.connect(calling, card)
	if err != nil {
		return "", err
	}
	x.kept = x.state
	for {
		asked := x.state.Waiting
		x.answer = newAnswer()
		done, err := x.send(calling, client, say)
		if err != nil && asked && x.answer.task == "" && x.answer.text.Len() == 0 && forgotten(err) {
			x.state.Task, x.state.Waiting = "", false // it has ended, or the agent has forgotten it: this begins another one
			continue
		}
		if err == nil && done && !x.answer.settled() {
			done, err = x.follow(calling, client, say)
		}
		var large *http.MaxBytesError
		if calling.Err() != nil || !done || errors.Is(err, llm.ErrTimeout) || errors.As(err, &large) {
			x.abandon(ctx, client)
		}
		if err != nil {
			return card.Name, x.failure(ctx, calling, err, seen, x.answer.text.Len() > 0)
		}
		return card.Name, x.remember(ctx)
	}
}

// forgotten reports whether an agent knows nothing of a task that a message was to continue, or does not go on with it.
func forgotten(err error) bool {
	for _, e := range []error{vendor.ErrTaskNotFound, vendor.ErrInvalidParams, vendor.ErrInvalidRequest, vendor.ErrUnsupportedOperation} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// send sends the message; done is false when say has heard enough.
func (x *exchange) send(ctx context.Context, client *a2aclient.Client, say func(string) bool) (done bool, err error) {
	m := &vendor.Message{ID: x.id, Role: vendor.MessageRoleUser, Parts: x.parts, ContextID: x.state.Context}
	if x.state.Waiting {
		m.TaskID = vendor.TaskID(x.state.Task)
	}
	var held *vendor.Task // the first event of a task that goes on: when another follows, it only says what had been said before
	for event, err := range client.SendStreamingMessage(ctx, &vendor.SendMessageRequest{Message: m, Config: &vendor.SendMessageConfig{}}) {
		if err != nil {
			return true, err
		}
		task, whole := event.(*vendor.Task)
		if held != nil {
			x.answer.skip(held)
			held = nil
		} else if whole && m.TaskID != "" && x.answer.task == "" {
			held = task
			continue
		}
		if !x.take(ctx, event, say) {
			return false, nil
		}
	}
	return held == nil || x.take(ctx, held, say), nil
}

// take takes an event; false when say has heard enough.
func (x *exchange) take(ctx context.Context, event vendor.Event, say func(string) bool) bool {
	more := x.answer.take(event)
	if x.answer.context != "" {
		x.state.Context = x.answer.context
	}
	if x.answer.task != "" && x.state.Task != string(x.answer.task) {
		x.state.Task, x.state.Waiting = string(x.answer.task), false
		_ = x.remember(ctx) // it is said again at the end; a server that dies meanwhile has it
	}
	return more == "" || say(more)
}

// The pauses between two questions how a task is.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 5 * time.Second
)

// follow asks how a task is that goes on though the agent has nothing more to say, until it ends or waits.
func (x *exchange) follow(ctx context.Context, client *a2aclient.Client, say func(string) bool) (done bool, err error) {
	pause := firstPause
	for x.answer.task != "" && !x.answer.settled() {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, ctx.Err()
		}
		task, err := client.GetTask(ctx, &vendor.GetTaskRequest{ID: x.answer.task})
		if err != nil {
			return true, err
		}
		if !x.take(ctx, task, say) {
			return false, nil
		}
		pause = min(2*pause, lastPause)
	}
	return true, nil
}

// rememberWait and cancelWait bound what is done after a caller has gone.
const (
	rememberWait = 5 * time.Second
	cancelWait   = 5 * time.Second
)

// remember keeps how the conversation goes on.
func (x *exchange) remember(ctx context.Context) error {
	if x.answer.task != "" {
		x.state.Task, x.state.Waiting = string(x.answer.task), x.answer.state == vendor.TaskStateInputRequired
	} else {
		x.state.Task, x.state.Waiting = "", false
	}
	if x.answer.state.Terminal() {
		x.state.Task = ""
	}
	if x.name == "" || x.state == x.kept {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberWait)
	defer cancel()
	x.kept = x.state
	return x.p.keep.Save(ctx, x.name, x.state)
}

// abandon tells the agent that nobody waits for its task any more.
func (x *exchange) abandon(ctx context.Context, client *a2aclient.Client) {
	if x.answer.task == "" || x.answer.settled() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelWait)
	defer cancel()
	_, _ = client.CancelTask(ctx, &vendor.CancelTaskRequest{ID: x.answer.task}) // it may have ended, or know no cancelling
}

// vocabulary is what the errors of A2A mean.
var vocabulary = []struct {
	vendor error
	means  error
}{
	{vendor.ErrUnauthenticated, llm.ErrCredentials}, {vendor.ErrUnauthorized, llm.ErrCredentials},
	{vendor.ErrInvalidParams, llm.ErrRefusedRequest}, {vendor.ErrInvalidRequest, llm.ErrRefusedRequest},
	{vendor.ErrMethodNotFound, llm.ErrRefusedRequest}, {vendor.ErrUnsupportedOperation, llm.ErrRefusedRequest},
	{vendor.ErrTaskNotFound, llm.ErrRefusedRequest}, {vendor.ErrUnsupportedContentType, llm.ErrRefusedRequest},
	{vendor.ErrVersionNotSupported, llm.ErrRefusedRequest}, {vendor.ErrExtensionSupportRequired, llm.ErrRefusedRequest},
	{vendor.ErrInvalidAgentResponse, llm.ErrRefusedRequest}, {vendor.ErrPushNotificationNotSupported, llm.ErrRefusedRequest},
}
