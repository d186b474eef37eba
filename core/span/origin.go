package span

import (
	"encoding/json"
	"reflect"

	"github.com/bureau-agents/bureau/core/telemetry"
)

// Every event of an export repeats who reports. What a request says once and thousands of events say again must be small, or a small
// request fills the disk.
const (
	maxResource = 8 << 10 // bytes of Origin.Resource, as JSON
	maxVersion  = 64      // characters of Origin.ScopeVersion
)

// needed are the texts of a resource that are kept when the others are too many.
var needed = []string{"service.name", "gen_ai.agent.id", "gen_ai.agent.name", "gen_ai.agent.description", "telemetry.sdk.language"}

// origins makes origins small, each once.
type origins struct {
	made      map[*Origin]*Origin
	resources map[uintptr]Attributes // by the map that they were made of, which many origins may share
}

func newOrigins() *origins {
	return &origins{made: map[*Origin]*Origin{}, resources: map[uintptr]Attributes{}}
}

func (o *origins) small(of *Origin) *Origin {
	if out, ok := o.made[of]; ok {
		return out
	}
	key := reflect.ValueOf(of.Resource).Pointer()
	resource, ok := o.resources[key]
	if !ok {
		resource = smallResource(of.Resource)
		o.resources[key] = resource
	}
	out := &Origin{Resource: resource, Scope: short(of.Scope, telemetry.MaxSource), ScopeVersion: short(of.ScopeVersion, maxVersion)}
	o.made[of] = out
	return out
}

// smallResource returns a resource of at most maxResource bytes: with texts cut, or, where that is not enough, only with what is needed.
func smallResource(of Attributes) Attributes {
	if len(of) == 0 {
		return of
	}
	for _, limit := range textLimits {
		out := tidied(of, limit)
		if b, err := json.Marshal(out); err == nil && len(b) <= maxResource {
			return out
		}
	}
	less := Attributes{"truncated": true}
	for _, name := range needed {
		if s := text(of, name); s != "" {
			less[name] = short(s, telemetry.MaxSource)
		}
	}
	return less
}
