// Package llmtest checks implementations of llm.Provider and stands in for one.
//
// A Script is what the far end of a provider does: a queue of Answers, and a record of what it was asked. Run drives a provider
// whose far end plays a Script: a server that speaks the vendor's wire format, or Scripted, which needs no wire and is what
// other packages' tests use.
package llmtest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/ports/llm"
)

// Answer is what the far end does with one call.
type Answer struct {
	Blocks []llm.Block    // Text, Thinking and ToolUse, streamed in this order, texts in Chunks
	Stop   llm.StopReason // "" is StopToolUse when there is a ToolUse, else StopEnd
	Usage  llm.Usage
	Model  string // the model that answers; "" is the one that was asked for

	// Hold, unless nil, is waited for before the first byte. Closing it releases the answer.
	Hold <-chan struct{}
	// Stay keeps the answer open after its blocks until the caller gives up.
	Stay bool
	// Fail, unless nil, is how the answer fails.
	Fail *Failure
}

// Failure is how an answer fails. The zero value refuses the request as a bad one.
type Failure struct {
	Status     int           // HTTP status that says so; 0 is 400
	Message    string        // for the caller
	RetryAfter time.Duration // told with the status; 0 is unsaid
	Late       bool          // the failure is reported inside the stream, after the blocks
	Cut        bool          // the connection breaks after the blocks, and Status is not sent
	Silent     bool          // nothing is ever sent, not even a status
}

// Text is an answer of plain text.
func Text(text string) Answer { return Answer{Blocks: []llm.Block{{Text: text}}} }

// Call is an answer that calls one tool. Input is a JSON object.
func Call(id, name, input string) Answer {
	return Answer{Blocks: []llm.Block{{ToolUse: &llm.ToolUse{ID: id, Name: name, Input: []byte(input)}}}}
}

// Fail is an answer that is an error with an HTTP status.
func Fail(status int, message string) Answer {
	return Answer{Fail: &Failure{Status: status, Message: message}}
}

// StopReason returns Stop, or what it defaults to.
func (a Answer) StopReason() llm.StopReason {
	if a.Stop != "" {
		return a.Stop
	}
	for _, b := range a.Blocks {
		if b.ToolUse != nil {
			return llm.StopToolUse
		}
	}
	return llm.StopEnd
}

// Script is the far end's queue of answers and its record. It is safe for concurrent use.
type Script struct {
	// FirstByteTimeout is how long the provider is to wait for a first byte. 0 leaves the provider's default.
	FirstByteTimeout time.Duration
	// AnswerFunc, unless nil, is asked when the queue is empty. Set it before the first call; calls may be concurrent.
	AnswerFunc func(req llm.Request) Answer

	mu      sync.Mutex
	answers []Answer
	asked   []llm.Request
	open    int
	changed chan struct{} // closed and replaced at each change of asked or open
}

// NewScript returns a script with these answers.
func NewScript(answers ...Answer) *Script {
	return &Script{answers: answers, changed: make(chan struct{})}
}

// Push adds answers to the end of the queue.
func (s *Script) Push(answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, answers...)
}

// Take records a call and takes the next answer for it. Without one left, and without AnswerFunc, it answers with a bad request
// that says so. The far end calls Done once the call is over, however it ended.
func (s *Script) Take(req llm.Request) Answer {
	s.mu.Lock()
	s.asked = append(s.asked, req)
	s.open++
	s.notify()
	call := len(s.asked)
	if len(s.answers) > 0 {
		defer s.mu.Unlock()
		a := s.answers[0]
		s.answers = s.answers[1:]
		return a
	}
	s.mu.Unlock()
	if s.AnswerFunc != nil {
		return s.AnswerFunc(req)
	}
	return Fail(http.StatusBadRequest, fmt.Sprintf("llmtest: no answer is scripted for call %d", call))
}

// Done ends a call that Take began.
func (s *Script) Done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	s.notify()
}

func (s *Script) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Requests returns what was asked so far.
func (s *Script) Requests() []llm.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]llm.Request(nil), s.asked...)
}

// Left returns how many answers were not taken.
func (s *Script) Left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.answers)
}

// WaitAsked returns once n calls were made, or ctx's error.
func (s *Script) WaitAsked(ctx context.Context, n int) error {
	return s.wait(ctx, func() bool { return len(s.asked) >= n })
}

// WaitIdle returns once no call is in progress, or ctx's error.
func (s *Script) WaitIdle(ctx context.Context) error {
	return s.wait(ctx, func() bool { return s.open == 0 })
}

func (s *Script) wait(ctx context.Context, ok func() bool) error {
	for {
		s.mu.Lock()
		done, changed := ok(), s.changed
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Chunks cuts a text into the deltas that far ends stream: words with the white space behind them.
func Chunks(text string) []string { return strings.SplitAfter(text, " ") }

// Halves cuts JSON arguments into two deltas, so that no single one is valid JSON.
func Halves(input []byte) []string {
	if len(input) < 2 {
		return []string{string(input)}
	}
	return []string{string(input[:len(input)/2]), string(input[len(input)/2:])}
}
