package chat

import (
	"context"
	"errors"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// PieceKind tells pieces of an answer apart.
type PieceKind string

// The kinds of pieces.
const (
	// PieceText goes on with what the agent says.
	PieceText PieceKind = "text"
	// PieceVoid takes back the last Piece.Void characters that were shown: the model was cut off and begins anew with other words, or not
	// at all.
	PieceVoid PieceKind = "void"
	// PieceProblem says why there is no answer, or none yet.
	PieceProblem PieceKind = "error"
)

// Piece is a part of an answer.
type Piece struct {
	Kind    PieceKind
	Text    string // PieceText
	Void    int    // PieceVoid
	Code    string // PieceProblem: one of the codes below, or the type of the session.error
	Message string // PieceProblem: for people
}

// The codes of problems beside the types of session.error.
const (
	CodeApproval    = "approval_required" // the turn waits for a person; the answer is in the history afterwards
	CodeWaiting     = "waiting"           // the turn before waits for a person
	CodeInterrupted = "interrupted"       // somebody ended the turn
	CodeRefused     = "refused"           // the model does not answer this
	CodeBudget      = "budget_reached"
	CodeEnded       = "session_ended"
	CodeStopping    = "server_stopping" // the answer goes on elsewhere, and is in the history afterwards
)

// parted is what stands between two messages of one turn, in what is shown.
const parted = "\n\n"

// Answer is what an agent answers to one message. It is for one reader.
type Answer struct {
	Session id.Session
	Event   id.Event // of the message that it answers

	s    *Service
	sc   account.Scope
	st   *session.Stream
	tell teller
}

// answer follows the answer to a message that was queued when the session's log had after events.
func (s *Service) answer(ctx context.Context, sc account.Scope, of id.Session, sent id.Event, after int64) (*Answer, error) {
	st, err := s.stream(ctx, sc, of, after)
	if err != nil {
		return nil, err
	}
	return s.follow(sc, of, sent, after, st), nil
}

func (s *Service) stream(ctx context.Context, sc account.Scope, of id.Session, after int64) (*session.Stream, error) {
	return s.d.Talks.Stream(ctx, sc, of, session.StreamOptions{Chunks: true, Replay: true, AfterSeq: after})
}

func (s *Service) follow(sc account.Scope, of id.Session, sent id.Event, after int64, st *session.Stream) *Answer {
	return &Answer{Session: of, Event: sent, s: s, sc: sc, st: st, tell: teller{sent: sent, seen: after}}
}

// Close ends the following. The turn goes on.
func (a *Answer) Close() { a.st.Close() }

// Pieces yields the answer as it is given. It ends with the turn, or with the first PieceProblem, or early when ctx ends; an error is one
// of the store. What was shown, less what was taken back, is what the turn's messages say in the history, parted by an empty line.
func (a *Answer) Pieces(ctx context.Context) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		for pieces, err := range a.steps(ctx) {
			if err != nil {
				yield(Piece{}, err)
				return
			}
			for _, p := range pieces {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

// steps is Pieces with what one event or one chunk brings together.
func (a *Answer) steps(ctx context.Context) iter.Seq2[[]Piece, error] {
	return func(yield func([]Piece, error) bool) {
		problem := func(code, message string) { yield([]Piece{{Kind: PieceProblem, Code: code, Message: message}}, nil) }
		// Events up to here are past: whether the session waits for a person is what its row says, not what they say.
		v, err := a.s.d.Talks.Get(ctx, a.sc, a.Session)
		switch {
		case fault.KindOf(err) == fault.NotFound:
			problem(CodeEnded, "the session was ended")
			return
		case err != nil:
			yield(nil, err)
			return
		}
		a.tell.past, a.tell.parked = v.LastSeq, v.Active == session.StatusIdle && waits(v.StopReason)
		if pieces := a.tell.arrived(); len(pieces) > 0 && !yield(pieces, nil) || a.tell.ended {
			return
		}
		for frame, err := range a.st.Frames(ctx) {
			switch {
			case errors.Is(err, session.ErrStopping):
				problem(CodeStopping, "the server is stopping; the answer goes on, and the history has it")
				return
			case err != nil:
				yield(nil, err)
				return
			}
			pieces, err := a.tell.take(frame)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(pieces) > 0 && !yield(pieces, nil) || a.tell.ended {
				return
			}
		}
	}
}

func waits(r *session.StopReason) bool { return r != nil && r.Type == session.StopRequiresAction }

// teller makes pieces of a session's stream. The zero value, with sent, is at its beginning.
type teller struct {
	sent  id.Event
	begun int64 // number of the message's event in the log; 0: its turn has not begun
	ended bool
	spoke bool // a message of the turn is over

	message id.Event // that chunks are of
	got     string   // what it says so far
	shown   string   // what the reader has of the message that is being said
	problem *Piece   // from the log, told when the turn ends

	seen   int64 // number of the newest event
	past   int64 // number of the newest event when the following began
	parked bool  // the session waited for a person then
	stay   bool  // one that waits for a person is followed further
}

// arrived says, once all of the past was seen, whether the session waits for a person.
func (t *teller) arrived() []Piece {
	if !t.parked || t.ended || t.seen < t.past {
		return nil
	}
	t.parked = false
	return t.waits()
}

// waits says that the session waits for a person.
func (t *teller) waits() []Piece {
	p := Piece{
		Kind: PieceProblem, Code: CodeApproval,
		Message: "the agent waits for a person to approve something; the answer goes on after that, and the history has it",
	}
	if t.begun == 0 {
		p.Code = CodeWaiting
		p.Message = "the agent waits for a person to approve what it was asked before; this message is answered after that, and the history has it"
	}
	t.ended = !t.stay
	return append(t.void(), p)
}

func (t *teller) take(f session.Frame) ([]Piece, error) {
	if f.Chunk != nil {
		return t.chunk(*f.Chunk), nil
	}
	out, err := t.event(*f.Event)
	t.seen = f.Event.Seq
	return append(out, t.arrived()...), err
}

// chunk takes a piece of what is not in the log yet. One that is older than the turn belongs to the turn before.
func (t *teller) chunk(c session.Chunk) []Piece {
	if t.begun == 0 || c.After < t.begun || c.Kind != session.ChunkMessage {
		return nil
	}
	if c.ID != t.message {
		t.message, t.got = c.ID, ""
	}
	if c.Phase != session.PhaseDelta || c.Delta == "" {
		return nil
	}
	t.got += c.Delta
	return t.show(false)
}

// show brings the reader from shown to got; whole says that got is all of it.
func (t *teller) show(whole bool) []Piece {
	var out []Piece
	if t.shown != "" && !strings.HasPrefix(t.got, t.shown) {
		if !whole && strings.HasPrefix(t.shown, t.got) {
			return nil // said again so far
		}
		out = append(out, Piece{Kind: PieceVoid, Void: utf8.RuneCountInString(t.shown)})
		t.shown = ""
	} else if t.shown == "" && t.spoke && t.got != "" {
		out = append(out, Piece{Kind: PieceText, Text: parted})
	}
	if rest := t.got[len(t.shown):]; rest != "" {
		out = append(out, Piece{Kind: PieceText, Text: rest})
	}
	t.shown = t.got
	return out
}

// void takes back what was shown of a message that never came to its end.
func (t *teller) void() []Piece {
	if t.shown == "" {
		return nil
	}
	n := utf8.RuneCountInString(t.shown)
	if t.spoke {
		n += len(parted)
	}
	t.shown, t.got = "", ""
	return []Piece{{Kind: PieceVoid, Void: n}}
}

// end ends the answer with a problem; "" is none.
func (t *teller) end(code, message string) []Piece {
	t.ended = true
	out := t.void()
	switch {
	case t.problem != nil:
		out = append(out, *t.problem)
	case code != "":
		out = append(out, Piece{Kind: PieceProblem, Code: code, Message: message})
	}
	return out
}

func (t *teller) event(e session.Event) ([]Piece, error) {
	switch {
	case e.Type == session.SessionTerminated || e.Type == session.SessionDeleted:
		return t.end(CodeEnded, "the session was ended"), nil
	case e.ID == t.sent:
		t.begun = e.Seq
		return nil, nil
	case e.Type == session.SessionIdle:
		return t.idle(e)
	case t.begun == 0:
		return nil, nil
	}
	switch e.Type {
	case session.AgentMessage:
		var body session.MessageBody
		if err := e.Body(&body); err != nil {
			return nil, err
		}
		t.got = answerOf(body.Content)
		out := t.show(true)
		t.spoke = t.spoke || t.got != ""
		t.got, t.shown = "", ""
		return out, nil
	case session.SessionError:
		var body session.ErrorBody
		if err := e.Body(&body); err != nil {
			return nil, err
		}
		if body.Error.RetryStatus.Type == session.Exhausted {
			t.problem = &Piece{Kind: PieceProblem, Code: string(body.Error.Type), Message: body.Error.Message}
		}
	case session.UserInterrupt:
		if !e.Crossed() {
			t.problem = &Piece{Kind: PieceProblem, Code: CodeInterrupted, Message: "the answer was interrupted"}
		}
	case session.UserMessage: // the next turn's
		return t.end("", ""), nil
	case session.SessionRunning:
		t.problem = nil // what it waited for has come
	}
	return nil, nil
}

func (t *teller) idle(e session.Event) ([]Piece, error) {
	var body session.IdleBody
	if err := e.Body(&body); err != nil {
		return nil, err
	}
	if t.begun == 0 && !waits(&body.StopReason) {
		return nil, nil
	}
	switch body.StopReason.Type {
	case session.StopRequiresAction:
		if e.Seq <= t.past { // it may be over
			return nil, nil
		}
		return t.waits(), nil
	case session.StopRefusal:
		return t.end(CodeRefused, "the model does not answer this"), nil
	case session.StopBudgetReached:
		return t.end(CodeBudget, "the session's budget is spent"), nil
	case session.StopRetriesExhausted:
		return t.end(string(session.ErrTypeUnknown), "the agent could not answer"), nil
	}
	return t.end("", ""), nil
}
