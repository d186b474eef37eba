package integration

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Status is what a publication is good for.
type Status string

// The statuses. The first three belong to flows in which a publication comes before its installation; this server has none and never
// answers with them.
const (
	PendingSetup      Status = "pending_setup"
	CredentialsFilled Status = "credentials_filled"
	AwaitingInstall   Status = "awaiting_install"
	Live              Status = "live"
	Reauth            Status = "needs_reauth" // live, in an installation that is NeedsReauth
	Unpublished       Status = "unpublished"
)

// Granularity says which messages of a workspace belong to one session.
type Granularity string

// The granularities. Where a provider knows threads by another name, PerThread and PerIssue are the same.
const (
	PerThread  Granularity = "per_thread"  // a thread of a channel; an issue or a pull request
	PerIssue   Granularity = "per_issue"   // likewise
	PerChannel Granularity = "per_channel" // a channel; a repository
	PerEvent   Granularity = "per_event"   // each message has a session of its own
)

// ModeFull is the one mode: the agent answers in the workspace by itself.
const ModeFull = "full"

// Limits of a publication, in characters or entries.
const (
	MaxPersonaName  = 80
	MaxPersonaURL   = 2048
	MaxCapabilities = 32
	MaxCapability   = 64
	MaxChannels     = 100
	MaxChannel      = 200
)

// Persona is how an agent appears in a workspace, where the provider lets it.
type Persona struct {
	Name      string // "": the app's own
	AvatarURL string // "": the app's own
}

// Publication lets an agent answer in a workspace.
//
// Several agents may be published in one installation. A message is answered by one of them: the oldest live publication that names the
// message's channel in Channels, else the oldest live one without Channels, else none.
type Publication struct {
	ID           id.Publication
	Tenant       id.Tenant
	Provider     string
	Installation id.Installation
	Agent        id.Agent
	Environment  id.Environment // of the sessions; zero: none
	Granularity  Granularity
	Mode         string
	Persona      Persona
	Capabilities []string // labels of the client's; what an agent may do is for its tools and policies to say
	Channels     []string // ids of channels, or owner/name of repositories; empty: all
	Status       Status   // Live or Unpublished; NeedsReauth is shown by way of the installation
	CreatedAt    time.Time
	UpdatedAt    time.Time
	EndedAt      *time.Time // nil unless Unpublished
}

func (p Publication) check() error {
	var fields []fault.Field
	bad := func(path, format string, args ...any) {
		fields = append(fields, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch p.Granularity {
	case PerThread, PerIssue, PerChannel, PerEvent:
	default:
		bad("session_granularity", "must be one of per_thread, per_issue, per_channel, per_event")
	}
	if p.Mode != ModeFull {
		bad("mode", "must be full")
	}
	if utf8.RuneCountInString(p.Persona.Name) > MaxPersonaName || strings.ContainsFunc(p.Persona.Name, control) {
		bad("persona.name", "must have at most %d characters, none of them a control character", MaxPersonaName)
	}
	if u := p.Persona.AvatarURL; u != "" && (len(u) > MaxPersonaURL || !strings.HasPrefix(u, "https://") || strings.ContainsFunc(u, control)) {
		bad("persona.avatar_url", "must begin with https:// and have at most %d characters", MaxPersonaURL)
	}
	checkLabels(p.Capabilities, "capabilities", MaxCapabilities, MaxCapability, bad)
	checkLabels(p.Channels, "channels", MaxChannels, MaxChannel, bad)
	if len(fields) > 0 {
		return fault.New(fault.Invalid, "publication_invalid", fields[0].Path+": "+fields[0].Message).WithFields(fields...)
	}
	return nil
}

func checkLabels(labels []string, path string, most, longest int, bad func(path, format string, args ...any)) {
	if len(labels) > most {
		bad(path, "must have at most %d entries", most)
		return
	}
	for i, l := range labels {
		if n := utf8.RuneCountInString(l); n == 0 || n > longest || strings.TrimSpace(l) != l || strings.ContainsFunc(l, control) {
			bad(fmt.Sprintf("%s[%d]", path, i), "must have 1 to %d characters, without blanks around them", longest)
		}
	}
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// answers returns which of an installation's live publications, oldest first, answers in a channel; false for none.
func answers(live []Publication, channel string) (Publication, bool) {
	for _, named := range []bool{true, false} {
		for _, p := range live {
			in := slices.ContainsFunc(p.Channels, func(c string) bool { return strings.EqualFold(c, channel) })
			if named && in || !named && len(p.Channels) == 0 {
				return p, true
			}
		}
	}
	return Publication{}, false
}

// conversation is what messages of one session have in common.
func (p Publication) conversation(m Message) string {
	switch p.Granularity {
	case PerChannel:
		return "channel:" + m.Channel
	case PerEvent:
		return "event:" + m.Key
	default:
		return "thread:" + m.Channel + ":" + m.Thread
	}
}
