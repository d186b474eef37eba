package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// cloneDir is where a repository lies in the sandbox that exists only while it is cloned.
const cloneDir = "/workspace/repository"

// cloneAll clones the repositories of the session that are not there, and removes those that were taken from it. One that cannot be
// cloned is told to the user and the model, and tried again at the next use.
func (s *Service) cloneAll(ctx context.Context, u *scene) error {
	b := u.box
	wanted := map[string]bool{}
	for _, r := range u.sess.Resources {
		if r.Type != session.ResourceRepository {
			continue
		}
		wanted[r.Mount] = true
		key := cloneKey(r)
		if b.st.Repositories[r.Mount] == key {
			continue
		}
		if err := s.clone(ctx, u, r); err != nil {
			if ctx.Err() != nil || errors.Is(err, runtime.ErrGone) {
				return err
			}
			s.notCloned(ctx, u, r, err)
			continue
		}
		if b.st.Repositories == nil {
			b.st.Repositories = map[string]string{}
		}
		b.st.Repositories[r.Mount] = key
		s.tell(ctx, u, r.Mount, "", session.Entry{})
		if err := b.save(ctx); err != nil {
			return err
		}
	}
	for p := range b.st.Repositories {
		if wanted[p] {
			continue
		}
		if err := b.sb.RemoveAll(ctx, p); err != nil && !errors.Is(err, runtime.ErrPath) {
			return err
		}
		delete(b.st.Repositories, p)
		if err := b.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

func cloneKey(r session.Resource) string {
	key := r.URL
	if r.Checkout != nil {
		key += "#" + r.Checkout.Branch + "@" + r.Checkout.Commit
	}
	return key
}

// cloneError is why a repository is not there.
type cloneError struct {
	typ     session.ErrorType
	message string
}

// Error returns the message.
func (e cloneError) Error() string { return e.message }

func (s *Service) notCloned(ctx context.Context, u *scene, r session.Resource, err error) {
	typ, why := session.ErrTypeRepositoryClone, publicText(err)
	if ce, ok := errors.AsType[cloneError](err); ok {
		typ, why = ce.typ, ce.message
	} else if _, public := fault.As(err); !public {
		s.d.Logger.WarnContext(ctx, "repository not cloned", "session_id", u.sess.ID, "error", err)
	}
	message := fmt.Sprintf("the repository %s could not be mounted at %s: %s", r.URL, r.Mount, why)
	u.notes = append(u.notes, message)
	s.tell(ctx, u, r.Mount, message, session.Entry{Type: session.SessionError, Body: session.ErrorBody{Error: session.ErrorDetail{
		Type: typ, Message: message, RepositoryURL: r.URL, RetryStatus: session.RetryStatus{Type: session.Retrying},
	}}})
}

// clone brings a repository into the sandbox. It is cloned in a sandbox of its own, which reaches the repository's host only: the
// token is never where the session's programs are, not even while they run at the same time.
func (s *Service) clone(ctx context.Context, u *scene, r session.Resource) error {
	if err := checkPlace(r.Mount); err != nil {
		return err
	}
	host, err := url.Parse(r.URL)
	if err != nil || host.Scheme != "https" && host.Scheme != "http" || host.Hostname() == "" {
		return cloneError{session.ErrTypeRepositoryClone, "its URL must begin with https://"}
	}
	token := ""
	if s.d.Tokens != nil {
		if token, err = s.d.Tokens.RepositoryToken(ctx, u.sc, r); err != nil {
			return err
		}
	}
	name := clonePrefix + id.New[id.ResourceKind](s.d.IDs).UUID().String()
	s.mu.Lock()
	s.clones[name] = true
	s.mu.Unlock()
	defer func() {
		if err := s.d.Runtime.Remove(context.WithoutCancel(ctx), name); err != nil {
			s.d.Logger.WarnContext(ctx, "sandbox of a clone not removed", "sandbox", name, "error", err) // the sweep does
		}
		s.mu.Lock()
		delete(s.clones, name)
		s.mu.Unlock()
	}()
	sb, err := s.d.Runtime.Open(ctx, runtime.Spec{
		ID: name, Network: runtime.Network{Mode: runtime.NetworkLimited, Hosts: []string{strings.ToLower(host.Hostname())}},
		Limits: s.cfg.Limits, Env: s.cfg.Env,
	})
	if err != nil {
		return err
	}
	defer func() { _ = sb.Close() }()
	if err := s.git(ctx, sb, r, host.Scheme+"://"+host.Host, token); err != nil {
		return err
	}
	return carry(ctx, sb, u.box.sb, r.Mount)
}

// git clones and checks out.
func (s *Service) git(ctx context.Context, sb runtime.Sandbox, r session.Resource, origin, token string) error {
	config := []string{"-c", "core.hooksPath=/dev/null", "-c", "protocol.file.allow=never", "-c", "advice.detachedHead=false"}
	env := map[string]string{
		"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_LFS_SKIP_SMUDGE": "1", "GIT_ALLOW_PROTOCOL": "http:https", "LC_ALL": "C",
	}
	if token != "" {
		// Only for this origin: a redirect to another host gets nothing.
		config = append(config, "-c", "credential."+origin+".helper="+
			`!f() { test "$1" = get && printf 'username=x-access-token\npassword=%s\n' "$BUREAU_GIT_TOKEN"; }; f`)
		env["BUREAU_GIT_TOKEN"] = token
	}
	run := func(dir string, args ...string) (runtime.Result, error) {
		return sb.Run(ctx, runtime.Command{
			Args: append(append([]string{"git"}, config...), args...), Dir: dir, Env: env, Timeout: s.cfg.InstallTimeout,
		})
	}
	args := []string{"clone", "--quiet"}
	switch {
	case r.Checkout != nil && r.Checkout.Commit != "":
		args = append(args, "--no-checkout")
	case r.Checkout != nil && r.Checkout.Branch != "":
		args = append(args, "--branch="+r.Checkout.Branch)
	}
	res, err := run("/workspace", append(args, "--", r.URL, cloneDir)...)
	if err != nil {
		return err
	}
	if err := gitFailure(res, s.cfg, token); err != nil {
		return err
	}
	if r.Checkout == nil || r.Checkout.Commit == "" {
		return nil
	}
	commit := r.Checkout.Commit
	if strings.HasPrefix(commit, "-") {
		return cloneError{session.ErrTypeRepositoryCheckout, "there is no commit " + commit}
	}
	if res, err = run(cloneDir, "checkout", "--quiet", "--detach", commit); err != nil {
		return err
	}
	if res.Code != 0 { // it may lie on no branch
		if res, err = run(cloneDir, "fetch", "--quiet", "origin", commit); err == nil && res.Code == 0 {
			res, err = run(cloneDir, "checkout", "--quiet", "--detach", commit)
		}
	}
	if err != nil {
		return err
	}
	if res.Code != 0 || res.TimedOut {
		return cloneError{session.ErrTypeRepositoryCheckout, "there is no commit " + commit}
	}
	return nil
}

// gitFailure says what git's failure to clone means; nil when there was none.
func gitFailure(res runtime.Result, cfg Config, token string) error {
	if res.TimedOut {
		return cloneError{session.ErrTypeRepositoryClone, "it was not cloned within " + cfg.InstallTimeout.String()}
	}
	if res.Code == 0 {
		return nil
	}
	out := clean(string(res.Output))
	if token != "" {
		out = strings.ReplaceAll(out, token, "[redacted]")
	}
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(out, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("the sandbox's proxy"): // which says why in its answer
		return cloneError{session.ErrTypeRepositoryClone, tail([]byte(out), 300)}
	case has("Remote branch"):
		return cloneError{session.ErrTypeRepositoryCheckout, tail([]byte(out), 500)}
	case has("Authentication failed", "could not read Username", "could not read Password", "returned error: 401"):
		if token == "" {
			return cloneError{session.ErrTypeRepositoryAuth, "it is private or does not exist; it needs an authorization_token"}
		}
		return cloneError{session.ErrTypeRepositoryAuth, "the authorization_token was refused"}
	case has("returned error: 403"):
		return cloneError{session.ErrTypeRepositoryForbidden, "access was refused: " + tail([]byte(out), 300)}
	case has("not found", "returned error: 404"):
		if has("git: not found", "git: command not found") {
			break
		}
		return cloneError{session.ErrTypeRepositoryNotFound, "there is no such repository"}
	}
	return cloneError{session.ErrTypeRepositoryClone, tail([]byte(out), 500)}
}

// carry copies the cloned repository from one sandbox into another.
func carry(ctx context.Context, from, to runtime.Sandbox, at string) error {
	at = path.Clean(at)
	res, err := to.Run(ctx, runtime.Command{Args: []string{"mkdir", "-p", at}})
	if err != nil {
		return err
	}
	if res.Code != 0 {
		return cloneError{session.ErrTypeRepositoryClone, tail(res.Output, 300)}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := from.Start(ctx, runtime.Command{Args: []string{"tar", "-C", cloneDir, "-cf", "-", "."}})
	if err != nil {
		return err
	}
	in, err := to.Start(ctx, runtime.Command{Args: []string{"tar", "-C", at, "--no-same-owner", "-xf", "-"}})
	if err != nil {
		return err
	}
	go func() { _, _ = io.Copy(io.Discard, in.Stdout()) }()
	_, copyErr := io.Copy(in.Stdin(), out.Stdout())
	closeErr := in.Stdin().Close()
	packed, packErr := out.Wait()
	unpacked, unpackErr := in.Wait()
	switch {
	case unpackErr == nil && unpacked.Code != 0:
		return cloneError{session.ErrTypeRepositoryClone, "it does not fit into the sandbox: " + tail([]byte(in.Stderr()), 300)}
	case packErr == nil && packed.Code != 0:
		return cloneError{session.ErrTypeRepositoryClone, tail([]byte(out.Stderr()), 300)}
	}
	return errors.Join(packErr, unpackErr, copyErr, closeErr)
}
