package skill

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/id"
)

// inspect scans an upload and notes what was found. Of large files the beginning is read, and the report says so.
func (l *Library) inspect(ctx context.Context, sc account.Scope, v *GuideVersion, b bundle) error {
	in := scan.Input{Name: v.Name}
	sum, err := hex.DecodeString(v.Digest())
	if err != nil {
		return fmt.Errorf("skill: %w", err)
	}
	copy(in.Digest[:], sum)
	digests := []string{v.Digest()}
	left := int64(scan.MaxTotal)
	for _, f := range v.Files {
		content, err := beginning(b.open[f.Path], min(left, scan.MaxFile))
		if err != nil {
			return err
		}
		left -= int64(len(content))
		in.Files = append(in.Files, scan.File{Path: f.Path, Content: content, Size: f.Size, Digest: f.Digest})
		digests = append(digests, hex.EncodeToString(f.Digest[:]))
	}
	if in.Blocked, err = blocked(ctx, sc, l.d.Holds, digests); err != nil {
		return err
	}
	for _, g := range l.shipped {
		in.Known = append(in.Known, g.Latest.Name)
	}
	report := scan.Skill(in)
	v.Scan, v.Withheld = &report, report.Verdict == scan.Malicious
	return nil
}

func beginning(open func() (io.ReadCloser, error), most int64) ([]byte, error) {
	r, err := open()
	if err != nil {
		return nil, fmt.Errorf("skill: %w", err)
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return nil, fmt.Errorf("skill: %w", err)
	}
	return content, nil
}

// blocked returns which of the digests are held, as the scan wants to know it.
func blocked(ctx context.Context, sc account.Scope, from HoldRepository, digests []string) (map[[sha256.Size]byte]string, error) {
	if from == nil {
		return nil, nil
	}
	holds, err := from.Holds(ctx, sc, digests)
	if err != nil || len(holds) == 0 {
		return nil, err
	}
	out := map[[sha256.Size]byte]string{}
	for _, h := range holds {
		if sum, err := hex.DecodeString(h.Digest); err == nil && len(sum) == sha256.Size {
			out[[sha256.Size]byte(sum)] = h.Reason
		}
	}
	return out, nil
}

// Accept lets a version that the security scan calls malicious onto the marketplace after all. Only an administrator may, with a reason that stays
// in the audit trail. Accepting a version that is not withheld changes nothing. Errors are ErrSkillNotFound, ErrVersionNotFound, ErrBuiltin.
func (l *Library) Accept(ctx context.Context, sc account.Scope, ref, version, reason string) (Guide, GuideVersion, error) {
	if err := sc.Require(account.Admin); err != nil {
		return Guide{}, GuideVersion{}, err
	}
	var f check.Faults
	f.Given("reason", reason, MaxReviewReason)
	if err := f.Err(ErrSubmission); err != nil {
		return Guide{}, GuideVersion{}, err
	}
	g, err := l.own(ctx, sc, ref)
	if err != nil {
		return Guide{}, GuideVersion{}, err
	}
	v, err := l.version(ctx, sc, g, version)
	if err != nil || !v.Withheld {
		return g, v, err
	}
	if l.d.Acceptor == nil {
		return g, v, errors.New("skill: LibraryDeps.Acceptor is not there")
	}
	err = l.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := l.d.Acceptor.Accept(ctx, sc, g.ID, v.ID); err != nil || l.d.Audit == nil {
			return err
		}
		b, err := json.Marshal(map[string]any{
			"skill_id": g.ID.UUID().String(), "version_id": v.ID.UUID().String(), "name": v.Name, "sha256": v.Digest(), "reason": strings.TrimSpace(reason),
		})
		if err != nil {
			return fmt.Errorf("skill: %w", err)
		}
		return l.d.Audit.Record(ctx, sc, "skill_risk_accepted", id.Agent{}, b)
	})
	v.Withheld = false
	return g, v, err
}

// Admit lets an agent use a guide in a session, or returns ErrQuarantined; see Ward.Admit.
func (l *Library) Admit(ctx context.Context, sc account.Scope, a Attached, session id.Session, agent id.Agent, m Manner) error {
	return l.d.Ward.Admit(ctx, sc, Use{Session: session, Agent: agent, Skill: a.Guide.Skill(), Digest: a.digest(), Manner: m})
}

// digest is that of the content: of a structured skill what its author handed in, not the file that it is shown as.
func (a Attached) digest() string {
	if a.pinned != "" {
		return a.pinned
	}
	return a.Version.Digest()
}

// holdBack gives the guides that are in quarantine a Problem.
func (l *Library) holdBack(ctx context.Context, sc account.Scope, have []Attached) error {
	var digests []string
	for _, a := range have {
		if a.Problem == "" {
			digests = append(digests, a.digest())
		}
	}
	held, err := l.d.Ward.Held(ctx, sc, digests)
	if err != nil {
		return err
	}
	for i, a := range have {
		if a.Problem == "" && held[a.digest()] {
			have[i].Problem = problemHeld
		}
	}
	return nil
}

// problemHeld is what an agent is told of a skill in quarantine.
const problemHeld = "it is in quarantine"
