package webhook

import (
	"net/url"

	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/fault"
)

// CheckURL finds what is wrong with an address at "url" of a request, that is to be posted to: at most MaxURL characters, HTTP or HTTPS, without user
// and fragment, and not one that to refuses.
func CheckURL(f *check.Faults, to Sender, raw string) {
	before := len(f.Fields)
	if f.Given("url", raw, MaxURL); len(f.Fields) > before {
		return
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		f.Addf("url", "must be an address that begins with http:// or https://")
	case u.User != nil || u.Fragment != "":
		f.Addf("url", "must have neither a user nor a fragment")
	default:
		if err := to.Check(raw); err != nil {
			f.Addf("url", "%s", Tellable(err))
		}
	}
}

// Tellable returns what a tenant may read of why an address could not be posted to.
func Tellable(err error) string {
	if fe, ok := fault.As(err); ok && fe.Kind != fault.Internal {
		return fe.Message
	}
	return "the address cannot be reached"
}
