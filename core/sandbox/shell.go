package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/tool"
)

// shellScript runs a command, read from standard input, where the last one left off: in its directory, with what it had exported.
// What the server itself put into the environment is not kept, since it may be another value next time, or a secret.
const shellScript = `
declare -A __bureau_given=()
__bureau_keep() {
	local code=$? name
	set +eux
	trap - EXIT
	mkdir -p "$__bureau_dir"
	{
		for name in $(compgen -e); do
			case "$name" in _|PWD|OLDPWD|SHLVL|BASH*|__bureau*) continue ;; esac
			[[ -n "${__bureau_given[$name]+x}" && "${__bureau_given[$name]}" == "${!name}" ]] && continue
			printf 'export %s=%q\n' "$name" "${!name}"
		done
		for name in "${!__bureau_given[@]}"; do
			[[ -n "${!name+x}" ]] || printf 'unset %s\n' "$name"
		done
	} >"$__bureau_dir/env.new" 2>/dev/null && mv -f "$__bureau_dir/env.new" "$__bureau_dir/env"
	pwd >"$__bureau_dir/cwd.new" 2>/dev/null && mv -f "$__bureau_dir/cwd.new" "$__bureau_dir/cwd"
	exit "$code"
}
__bureau_dir=$1
shift
for __bureau_name in $(compgen -e); do __bureau_given[$__bureau_name]=${!__bureau_name}; done
unset __bureau_name
if [[ -r "$__bureau_dir/env" ]]; then . "$__bureau_dir/env"; fi
if [[ -r "$__bureau_dir/cwd" ]]; then
	cd -- "$(cat "$__bureau_dir/cwd")" 2>/dev/null || echo "note: the working directory is gone; this is $PWD"
fi
__bureau_command=$(cat)
exec </dev/null
trap __bureau_keep EXIT
eval "$__bureau_command"
`

type bashInput struct {
	Command string   `json:"command"`
	Restart bool     `json:"restart"`
	Timeout *float64 `json:"timeout_ms"`
}

var bashSpec = tool.Spec{
	Name: "bash",
	Description: "Run a command in a bash shell in your sandbox. The working directory and exported variables are kept for the next " +
		"command. Use it to run programs, install packages and work with files. Nothing keeps running after the command has ended.",
	InputSchema: json.RawMessage(`{
		"type": "object",
		"properties": {
			"command": {"type": "string", "description": "The command to run, such as: ls -la"},
			"restart": {"type": "boolean", "description": "Forget the working directory and exported variables first"},
			"timeout_ms": {"type": "number", "minimum": 1, "description": "How long it may take, in milliseconds; at most 600000"}
		}
	}`),
}

// shellDir is where the shell of a session, or of one of its threads, keeps what it is to remember.
func shellDir(u *scene) string { return stateDir + "/shell-" + u.caller.ID.UUID().String() }

func (s *Service) bash(ctx context.Context, u *scene, raw json.RawMessage) (tool.Result, error) {
	var in bashInput
	if err := json.Unmarshal(raw, &in); err != nil {
		return refusef("the input must be an object with the text \"command\""), nil //nolint:nilerr // the model is told
	}
	if strings.TrimSpace(in.Command) == "" && !in.Restart {
		return refusef("command is required"), nil
	}
	if strings.ContainsRune(in.Command, 0) {
		return refusef("command must not contain the NUL character"), nil
	}
	timeout := s.cfg.Timeout
	if in.Timeout != nil {
		timeout = min(time.Duration(min(max(*in.Timeout, 1), float64(maxTimeout.Milliseconds())))*time.Millisecond, maxTimeout)
	}
	if in.Restart {
		if err := u.sandbox.RemoveAll(ctx, shellDir(u)); err != nil {
			return tool.Result{}, err
		}
		if strings.TrimSpace(in.Command) == "" {
			return tool.Result{Text: "the shell was restarted"}, nil
		}
	}
	env, err := s.variables(ctx, u)
	if err != nil {
		return tool.Result{}, err
	}
	script := shellScript
	if exports := packageEnv(u.env.Config.Packages); len(exports) > 0 {
		script = "export " + strings.Join(exports, " ") + "\n" + script
	}
	u.wrote = true
	res, err := u.sandbox.Run(ctx, runtime.Command{
		Args: []string{"bash", "--noprofile", "--norc", "-c", script, "bash", shellDir(u)}, Env: env, Stdin: strings.NewReader(in.Command),
		Timeout: timeout,
	})
	if err != nil {
		return tool.Result{}, err
	}
	return s.bashResult(res, timeout), nil
}

// bashResult says how a command ended.
func (s *Service) bashResult(res runtime.Result, timeout time.Duration) tool.Result {
	text := shorten(clean(string(res.Output)), s.cfg.MaxOutput, res.Truncated)
	var end string
	switch {
	case res.TimedOut:
		end = fmt.Sprintf("[the command was ended because it took longer than %s; a longer time can be asked for with timeout_ms, "+
			"at most %d]", timeout, maxTimeout.Milliseconds())
	case res.Memory:
		end = "[the command was ended because it used more memory than the sandbox has]"
	case res.Code < 0:
		end = "[the command was killed]"
	case res.Code > 0:
		end = fmt.Sprintf("[exit code %d]", res.Code)
	case text == "":
		end = "[no output]"
	}
	if text != "" && end != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return tool.Result{Text: text + end, IsError: res.TimedOut || res.Memory || res.Code != 0}
}

// shorten keeps the beginning and the end of a long output.
func shorten(text string, most int, more bool) string {
	if len(text) <= most && !more {
		return text
	}
	if len(text) <= most {
		return text + "\n[the output was cut here; send it to a file and read parts of it]\n"
	}
	head, last := most*3/4, most/4
	kind := fmt.Sprintf("%d", len(text))
	if more {
		kind = "more than " + kind
	}
	return strings.ToValidUTF8(text[:head], "") + fmt.Sprintf(
		"\n[the output was cut: this is its beginning, and its end follows, of %s bytes; send it to a file and read parts of it]\n", kind) +
		strings.ToValidUTF8(text[len(text)-last:], "")
}
