package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// The first line of an export says what it is and how it must end, so that a cut tail shows.
type exportHeader struct {
	Format string `json:"format"`
	Count  int64  `json:"count"`
	Head   string `json:"head"`
	Tenant string `json:"tenant_id"`
	// Of an export that does not begin with the first entry: the entry before, and its hash.
	After int64  `json:"after,omitempty"`
	Prev  string `json:"prev_hash,omitempty"`
}

const exportFormat = "bureau-audit/1"

// Export writes the tenant's trail behind entry after as JSON Lines; 0 is the whole of it. A header {format, count, head, tenant_id},
// and for a part of the trail after and prev_hash, then one line per entry in the order of the chain, each the canonical JSON that its
// hash covers with the hash as a further member. It reads the store in batches, and entries that are sealed meanwhile are not part of
// it. It writes nothing when it returns ErrAfter, because the trail ends before after, and fails half-way only when the store or w does.
func (s *Service) Export(ctx context.Context, sc account.Scope, after int64, w io.Writer) error {
	end, err := s.sealed(ctx, sc)
	if err != nil {
		return err
	}
	h := exportHeader{Format: exportFormat, Count: end.Count, Head: end.Head, Tenant: sc.Tenant.UUID().String(), After: after}
	if after > 0 {
		before, err := s.d.Repository.Range(ctx, sc, after-1, after, 1)
		if err != nil {
			return err
		}
		if len(before) == 0 {
			return ErrAfter
		}
		h.Prev = before[0].Hash
	}
	b := bufio.NewWriterSize(w, 64<<10)
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if _, err := b.Write(append(head, '\n')); err != nil {
		return err
	}
	err = s.each(ctx, sc, after, end, func(e Entry) error {
		_, err := b.Write(append(e.encode(true), '\n'))
		return err
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

// maxLine bounds a line of an export; metadata is far smaller.
const maxLine = 16 << 20

// VerifyExport checks what Export wrote, with nothing but the text: every hash, the order, that nothing is missing
// at the end, and that the chain has the heads of the checkpoints where they have them, but for those from before the export's
// beginning. Whether the checkpoints are genuine is for Checkpoint.Verify to say. Removed, reordered, added and changed entries are a Report that is not Valid, and no error; ErrNotExport
// is returned for input that is no export, and r's own error when it fails. It holds one line in memory.
func VerifyExport(r io.Reader, checkpoints ...Checkpoint) (Report, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	if !lines.Scan() {
		return Report{}, errors.Join(ErrNotExport, lines.Err())
	}
	h, at, err := decodeExportHeader(lines.Bytes())
	if err != nil {
		if e, err := decodeLine(lines.Bytes()); err == nil {
			return Report{First: &Broken{Index: 1, ID: e.ID, Reason: "the header before it is missing"}}, nil
		}
		return Report{}, err
	}
	tenant, err := id.ParseUUID(h.Tenant)
	if err != nil {
		return Report{}, ErrNotExport.Withf("the header's tenant_id is not a UUID")
	}
	rep := Report{Tenant: id.Of[id.TenantKind](tenant), Count: h.Count, Head: h.Head, After: h.After}
	known := anchors(checkpoints)
	rep.First = known.at(rep.Tenant, at, id.AuditEntry{})
	for rep.First == nil && lines.Scan() {
		e, err := decodeLine(lines.Bytes())
		switch {
		case err != nil:
			rep.First = &Broken{Index: at.Count + 1, ID: e.ID, Reason: err.Error()}
		case e.Tenant != rep.Tenant:
			rep.First = &Broken{Index: at.Count + 1, ID: e.ID, Reason: "it belongs to another tenant"}
		default:
			rep.First = check(e, at)
			at = Chain{Count: e.Seq, Head: e.Hash}
			if rep.First == nil {
				rep.First = known.at(rep.Tenant, at, e.ID)
			}
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		rep.First = &Broken{Index: at.Count + 1, Reason: "its line is too long"}
	case err != nil:
		return Report{}, err
	}
	if rep.First == nil {
		rep.First = checkEnd(at, Chain{Count: h.Count, Head: h.Head})
	}
	if rep.First == nil {
		rep.First = known.beyond(at)
	}
	rep.Valid = rep.First == nil
	return rep, nil
}

// EachExported calls fn with the entries of an export, in order, until fn returns an error, which it returns. It does not verify them:
// VerifyExport does. ErrNotExport for anything else.
func EachExported(r io.Reader, fn func(Entry) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	if !lines.Scan() {
		return errors.Join(ErrNotExport, lines.Err())
	}
	if _, _, err := decodeExportHeader(lines.Bytes()); err != nil {
		return err
	}
	for n := 1; lines.Scan(); n++ {
		e, err := decodeLine(lines.Bytes())
		if err != nil {
			return ErrNotExport.Withf("entry %d: %s", n, err)
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return lines.Err()
}

// exportLine is an entry as Export writes it.
type exportLine struct {
	Action    string          `json:"action"`
	Actor     string          `json:"actor"`
	Agent     *string         `json:"agent_id"`
	CreatedAt string          `json:"created_at"`
	Hash      string          `json:"hash"`
	ID        string          `json:"id"`
	Metadata  json.RawMessage `json:"metadata"`
	Prev      string          `json:"prev_hash"`
	Seq       int64           `json:"seq"`
	Tenant    string          `json:"tenant_id"`
}

// decodeLine reads an entry. The line must be spelled exactly as Export spells it: white space, another order of
// members, or a member that the hash does not cover would let a reader see what nobody signed.
func decodeLine(line []byte) (Entry, error) {
	var l exportLine
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return Entry{}, errors.New("its line cannot be read")
	}
	e := Entry{Action: l.Action, Metadata: l.Metadata, Seq: l.Seq, PrevHash: l.Prev, Hash: l.Hash}
	var errs []error
	parse := func(s, name string) id.UUID {
		u, err := id.ParseUUID(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("its %s is not a UUID", name))
		}
		return u
	}
	e.ID = id.Of[id.AuditEntryKind](parse(l.ID, "id"))
	e.Tenant = id.Of[id.TenantKind](parse(l.Tenant, "tenant_id"))
	if l.Agent != nil {
		e.Agent = id.Of[id.AgentKind](parse(*l.Agent, "agent_id"))
	}
	if l.Actor != systemActor {
		e.Key = id.Of[id.APIKeyKind](parse(l.Actor, "actor"))
	}
	at, err := time.Parse(timeLayout, l.CreatedAt)
	if err != nil {
		errs = append(errs, errors.New("its created_at is not a time"))
	}
	e.CreatedAt = at
	if len(errs) > 0 {
		return e, errs[0]
	}
	canonical, err := Canonical(l.Metadata)
	if err != nil || !bytes.Equal(canonical, l.Metadata) || !bytes.Equal(e.encode(true), line) {
		return e, errors.New("its line is not in canonical form")
	}
	return e, nil
}
