package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// hostedChat is a conversation with a hosted agent: it has sessions and a memory for each peer, and goes on where it was left.
type hostedChat struct {
	agent   string // its id
	ref     string // as the person named it
	peer    string // "" is the API key
	context string // what the agent is told of the peer: a text, or a JSON object
	fresh   bool   // begin a new session
}

func (h *hostedChat) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&h.peer, "peer", "", "talk to a hosted agent as this `PEER`, a name of your own with sessions and a memory of its own")
	cmd.Flags().StringVar(&h.context, "context", "", "what a hosted agent is told of the peer: a `TEXT`, or a JSON object")
	cmd.Flags().BoolVar(&h.fresh, "new", false, "begin a new conversation with a hosted agent")
}

// asked reports whether a flag wants a chat.
func (h *hostedChat) asked() bool { return h.peer != "" || h.context != "" || h.fresh }

func (h *hostedChat) path(rest string) string {
	return "/v1/agents/" + url.PathEscape(h.agent) + "/chat" + rest
}

// join decides whether the conversation is a hosted agent's chat, and begins it. A session that is none, and an agent that is not hosted,
// are talked to as ever.
func (h *hostedChat) join(ctx context.Context, t *conversation) (bool, error) {
	if t.c.alone {
		if h.asked() {
			return false, errNoServer
		}
		return false, nil
	}
	var a struct {
		Hosting *struct{ Status string }
	}
	if err := t.c.call(ctx, "GET", "/v1/agents/"+url.PathEscape(h.agent), nil, &a); err != nil {
		return false, err
	}
	if !h.asked() {
		if a.Hosting == nil {
			return false, nil
		}
		// Another's session is read with the key's right to all sessions, or not at all; it is no chat of this key.
		if t.session != "" && !h.owns(ctx, t) {
			return false, nil
		}
	}
	switch {
	case a.Hosting == nil || a.Hosting.Status == "stopped":
		return false, fmt.Errorf("%s is not running: `bureau agent start %s` starts it", h.ref, h.ref)
	case a.Hosting.Status == "error":
		return false, fmt.Errorf("%s is not running: `bureau agent status %s` says why", h.ref, h.ref)
	case h.fresh && t.session != "":
		return false, errors.New("--new and --session contradict each other: give one")
	case h.fresh:
		return true, h.begin(ctx, t)
	}
	return true, nil
}

// owns reports whether a session is a chat of the peer. For an API key that is what the listing of its own sessions says.
func (h *hostedChat) owns(ctx context.Context, t *conversation) bool {
	var s struct {
		Data []struct {
			ID string `json:"id"`
		}
	}
	err := t.c.call(ctx, "GET", h.path("/messages?limit=1&session_id="+url.QueryEscape(t.session)), nil, &s)
	return err == nil
}

// begin makes a new session, where the peer goes on from now on.
func (h *hostedChat) begin(ctx context.Context, t *conversation) error {
	body := map[string]any{}
	if h.peer != "" {
		body["peer_id"] = h.peer
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := t.c.call(ctx, "POST", h.path("/sessions"), body, &made); err != nil {
		return err
	}
	t.session = made.ID
	return nil
}

// body is a message as the API takes it.
func (h *hostedChat) body(session, message string) map[string]any {
	body := map[string]any{"message": message}
	for name, value := range map[string]string{"peer_id": h.peer, "session_id": session} {
		if value != "" {
			body[name] = value
		}
	}
	if h.context != "" {
		body["context"] = h.context
		if strings.HasPrefix(strings.TrimSpace(h.context), "{") && json.Valid([]byte(h.context)) {
			body["context"] = json.RawMessage(h.context)
		}
	}
	return body
}

// piece is a part of an answer.
type piece struct {
	Type, Content, Code, Message string
	Characters                   int
}

// say sends a message and shows the answer as it is given. What needs an approval is asked, and the rest of the turn is shown as a
// session's.
func (h *hostedChat) say(ctx context.Context, t *conversation, message string) error {
	var problem *piece
	ended := false
	err := t.c.stream(ctx, "POST", h.path("/messages"), h.body(t.session, message), func(f frame) bool {
		var p piece
		if json.Unmarshal(f.data, &p) != nil {
			return true
		}
		switch p.Type {
		case "text":
			fmt.Fprint(t.out, p.Content)
			t.midLine = !strings.HasSuffix(p.Content, "\n")
		case "void":
			t.line("  ! the last %d characters were taken back", p.Characters)
		case "error":
			problem = &p
		case "done":
			ended = true
		}
		return !ended
	})
	t.endLine()
	switch {
	case err != nil:
		return err
	case problem != nil && (problem.Code == "approval_required" || problem.Code == "waiting"):
		if err := h.find(ctx, t, message); err != nil {
			return err
		}
		return t.finish(ctx, outcome{idle: true, waits: true})
	case problem != nil:
		return errors.New(problem.Message)
	case !ended:
		return errors.New("the server ends the stream before the answer is complete; the conversation has it once it is there")
	}
	return nil
}

// find finds the session that a message went to, and the end of its log.
func (h *hostedChat) find(ctx context.Context, t *conversation, message string) error {
	if t.session == "" {
		q := url.Values{"limit": {"50"}}
		if h.peer != "" {
			q.Set("peer_id", h.peer)
		}
		var said struct {
			Data []struct {
				SessionID string `json:"session_id"`
				Role      string
				Content   string
			}
		}
		if err := t.c.call(ctx, "GET", h.path("/messages?"+q.Encode()), nil, &said); err != nil {
			return err
		}
		for _, s := range said.Data {
			if s.Role == "user" && strings.HasSuffix(s.Content, message) {
				t.session = s.SessionID
				break
			}
		}
	}
	return t.toEnd(ctx)
}
