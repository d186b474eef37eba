package native

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/fault"
)

// The bodies of validations. Cards in them are texts to be judged and may be anything that is JSON: they are taken out before the rest is held to the
// rules of every other body. So a key that comes twice is a warning inside of a card, and a bad request outside.

// cardBody is an agent card in a body, for the document.
type cardBody struct{}

type validateOptionsWire struct {
	Suggestions *bool   `json:"include_suggestions,omitempty" doc:"Whether suggestions are told; default true, and never in the mode cli."`
	Score       *bool   `json:"include_score,omitempty" doc:"Whether the score is told; default true."`
	Version     *string `json:"protocolVersion,omitempty" pattern:"^([vV]?(0\\.[23](\\.[0-9])?|1(\\.[0-9](\\.[0-9])?)?))?$" patternDescription:"a version of A2A" doc:"The version of the protocol that the card is held to, such as 0.2.6, 0.3.0 or 1.0; by default the card decides."`
}

type validateBody struct {
	Card    cardBody             `json:"agent_card" doc:"The agent card."`
	Mode    *string              `json:"validation_mode,omitempty" enum:"standard,cli" doc:"standard, the default, stores a report; cli stores nothing and suggests nothing."`
	Options *validateOptionsWire `json:"options,omitempty"`
}

type validateBatchItem struct {
	ID      string               `json:"id" minLength:"1" maxLength:"200" doc:"Names the card in the answer; each is there once."`
	Card    cardBody             `json:"agent_card" doc:"The agent card."`
	Options *validateOptionsWire `json:"options,omitempty" doc:"Instead of those of the batch, as far as they say something."`
}

type validateBatchBody struct {
	Cards   []validateBatchItem  `json:"cards" minItems:"1" maxItems:"100" nullable:"false"`
	Mode    *string              `json:"validation_mode,omitempty" enum:"standard,cli" doc:"As for a single card."`
	Options *validateOptionsWire `json:"options,omitempty" doc:"For cards that have none of their own."`
}

// cardOptions are the options of one card.
type cardOptions struct {
	suggestions, score bool
	version            card.Version
}

var (
	errBatchFormat = fault.New(fault.Invalid, "invalid_batch_format", `Invalid request format. Expected "cards" array.`)
	errCardBody    = fault.New(fault.Invalid, "invalid_request",
		"agent_card is required; a body that is the card itself needs a name, url, protocolVersion, skills or supportedInterfaces")
	errNotObject = fault.New(fault.Invalid, "invalid_request", "the body must be a JSON object with agent_card, or the agent card itself")
)

// envelope is a body whose cards are taken out.
type envelope struct {
	body []byte
	cuts [][2]int // where cards stand
	scan *httpx.Scan
}

// openEnvelope begins to read a body. What is no JSON object is refused.
func openEnvelope(body []byte) (*envelope, error) {
	if !json.Valid(body) {
		if err := httpx.CheckJSON(body, false); err != nil {
			return nil, err
		}
		return nil, errNotObject // the two disagree only on how deep values may be nested
	}
	if text := bytes.TrimLeft(body, " \t\r\n"); text[0] != '{' {
		return nil, errNotObject
	}
	return &envelope{body: body, scan: httpx.NewScan(body)}, nil
}

// card passes over a value and notes it as a card.
func (e *envelope) card() ([]byte, bool) {
	from := e.scan.Offset()
	text, ok := e.scan.Raw()
	e.cuts = append(e.cuts, [2]int{from, from + len(text)})
	return text, ok
}

// skip passes over a value.
func (e *envelope) skip() bool {
	_, ok := e.scan.Raw()
	return ok
}

// decode holds what is left of the body without its cards to the usual rules, and reads it.
func (e *envelope) decode(into any) error {
	rest := make([]byte, 0, min(len(e.body), 4096))
	done := 0
	for _, cut := range e.cuts {
		rest = append(append(rest, e.body[done:cut[0]]...), "null"...)
		done = cut[1]
	}
	rest = append(rest, e.body[done:]...)
	if err := httpx.CheckJSON(rest, false); err != nil {
		return err
	}
	if err := json.Unmarshal(rest, into); err != nil {
		return httpx.DecodeFault(err)
	}
	return nil
}

// cardMarks are the members by one of which a body is taken for a card.
var cardMarks = map[string]bool{"name": true, "url": true, "protocolVersion": true, "skills": true, "supportedInterfaces": true}

// readValidate reads the body of a single validation.
func readValidate(body []byte) (text []byte, o cardOptions, mode validation.Mode, err error) {
	e, err := openEnvelope(body)
	if err != nil {
		return nil, cardOptions{}, "", err
	}
	bare := false
	walked := e.scan.Object(func(key []byte) (ok bool) {
		if string(key) == "agent_card" {
			text, ok = e.card()
			return ok
		}
		bare = bare || cardMarks[string(key)]
		return e.skip()
	})
	if !walked {
		return nil, cardOptions{}, "", errNotObject
	}
	if text == nil {
		if !bare {
			return nil, cardOptions{}, "", errCardBody
		}
		return body, cardOptions{suggestions: true, score: true}, validation.Standard, nil
	}
	var in struct {
		Mode    *string              `json:"validation_mode"`
		Options *validateOptionsWire `json:"options"`
	}
	if err := e.decode(&in); err != nil {
		return nil, cardOptions{}, "", err
	}
	if o, err = in.Options.read(nil, "options"); err != nil {
		return nil, cardOptions{}, "", err
	}
	mode, err = readMode(in.Mode)
	return text, o, mode, err
}

func readMode(mode *string) (validation.Mode, error) {
	switch {
	case mode == nil:
		return validation.Standard, nil
	case *mode == string(validation.Standard) || *mode == string(validation.CLI):
		return validation.Mode(*mode), nil
	}
	return "", fault.Invalidf("validation_mode", "must be standard or cli")
}

// read returns what options say; what they do not say is what the batch's do. path is where they stand.
func (w *validateOptionsWire) read(batch *validateOptionsWire, path string) (o cardOptions, err error) {
	o = cardOptions{suggestions: true, score: true}
	for _, from := range []*validateOptionsWire{batch, w} {
		if from == nil {
			continue
		}
		if from.Suggestions != nil {
			o.suggestions = *from.Suggestions
		}
		if from.Score != nil {
			o.score = *from.Score
		}
		if from.Version != nil && *from.Version != "" {
			if _, ok := card.ParseVersion(*from.Version); !ok {
				return o, fault.Invalidf(path+".protocolVersion", "is no version of A2A that is known here; they are 0.2.0 to 0.2.6, 0.3.0 and 1.0")
			}
			o.version = card.Version(*from.Version)
		}
	}
	return o, nil
}

// batchCard is a card of a batch with its options.
type batchCard struct {
	validation.Item

	options cardOptions
}

// readBatch reads the body of a batch. Whether the number of cards and their ids are good is for the service to say.
func readBatch(body []byte) ([]batchCard, validation.Mode, error) {
	e, err := openEnvelope(body)
	if err == nil {
		return e.batch()
	}
	if known, ok := fault.As(err); ok && httpx.Malformed(known) {
		return nil, "", err
	}
	return nil, "", errBatchFormat
}

func (e *envelope) batch() ([]batchCard, validation.Mode, error) {
	var texts [][]byte
	listed := false
	walked := e.scan.Object(func(key []byte) bool {
		if string(key) != "cards" || listed {
			return e.skip()
		}
		if listed = e.body[e.scan.Offset()] == '['; !listed {
			return e.skip()
		}
		return e.scan.Array(func() bool {
			texts = append(texts, nil)
			if e.body[e.scan.Offset()] != '{' {
				return e.skip()
			}
			return e.scan.Object(func(key []byte) (ok bool) {
				if string(key) != "agent_card" {
					return e.skip()
				}
				texts[len(texts)-1], ok = e.card()
				return ok
			})
		})
	})
	if !walked || !listed {
		return nil, "", errBatchFormat
	}
	var in struct {
		Cards []struct {
			ID      *string              `json:"id"`
			Options *validateOptionsWire `json:"options"`
		} `json:"cards"`
		Mode    *string              `json:"validation_mode"`
		Options *validateOptionsWire `json:"options"`
	}
	if err := e.decode(&in); err != nil {
		return nil, "", err
	}
	if len(in.Cards) != len(texts) {
		return nil, "", errBatchFormat
	}
	mode, err := readMode(in.Mode)
	if err != nil {
		return nil, "", err
	}
	if _, err := in.Options.read(nil, "options"); err != nil {
		return nil, "", err
	}
	cards := make([]batchCard, len(texts))
	for i, c := range in.Cards {
		path := "cards[" + strconv.Itoa(i) + "]"
		switch {
		case c.ID == nil:
			return nil, "", fault.Invalidf(path+".id", "is required")
		case texts[i] == nil:
			return nil, "", fault.Invalidf(path+".agent_card", "is required")
		}
		o, err := c.Options.read(in.Options, path+".options")
		if err != nil {
			return nil, "", err
		}
		cards[i] = batchCard{validation.Item{Label: *c.ID, Text: texts[i], Version: o.version}, o}
	}
	return cards, mode, nil
}
