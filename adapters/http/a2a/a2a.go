package a2a

import (
	"errors"
	"net/http"

	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/a2a"
)

// Prefix is where the face stands.
const Prefix = "/a2a"

// Settings are what the faces of one server have in common.
type Settings = httpx.Settings

// Deps are the services behind the face; all are required.
type Deps struct {
	Settings

	Tasks  *a2a.Service
	Agents a2a.Agents
	Cards  *a2a.Cards
	Pushes *a2a.Pushes

	// SigningKeys are the public halves of the keys by which cards are signed, a JWK Set; nil has none.
	SigningKeys []byte
}

// face is the API while it is put together.
type face struct {
	*httpx.Face
	deps Deps

	rpc, legacyRPC   http.Handler
	rest, legacyREST http.Handler
}

// New returns the handler of the face. Requests come with Prefix in their path.
func New(deps Deps) (http.Handler, error) {
	switch {
	case deps.Tasks == nil:
		return nil, errors.New("a2a: Deps.Tasks is required")
	case deps.Agents == nil:
		return nil, errors.New("a2a: Deps.Agents is required")
	case deps.Cards == nil:
		return nil, errors.New("a2a: Deps.Cards is required")
	case deps.Pushes == nil:
		return nil, errors.New("a2a: Deps.Pushes is required")
	}
	hf, err := httpx.New(httpx.Config{
		Settings: deps.Settings,
		Name:     "a2a",
		Title:    "Bureau: Agent2Agent",
		Prefix:   Prefix,
		Envelope: httpx.Envelope{Encode: encodeError},
		Public:   public,
	})
	if err != nil {
		return nil, err
	}
	f := &face{Face: hf, deps: deps}
	h := &handler{deps: deps}
	beat := a2asrv.WithTransportKeepAlive(keepAlive)
	f.rpc, f.legacyRPC = a2asrv.NewJSONRPCHandler(h, beat), a2av0.NewJSONRPCHandler(h, beat)
	f.rest, f.legacyREST = a2asrv.NewRESTHandler(h, beat), a2av0.NewRESTHandler(h, beat)
	f.registerRPC()
	f.registerREST()
	f.registerFiles()
	f.registerCards()
	f.registerKeys()
	if err := f.Build(); err != nil {
		return nil, err
	}
	return f, nil
}
