package scan

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

const maxUses = 100

// uses is what the texts of a skill use, and what they say about it.
type uses struct {
	domains, env, programs map[string]usedAt
	credentials            []string
	declaredEnv            map[string]bool // in front matter
	declaredPrograms       map[string]bool
	executes, privileged   bool
	money                  bool
	prose                  strings.Builder // in lower case: what the skill says of itself
}

// usedAt is where something is used first.
type usedAt struct {
	path string
	line int
}

func (u *uses) note(to *map[string]usedAt, what string, at usedAt) {
	if *to == nil {
		*to = map[string]usedAt{}
	}
	if _, ok := (*to)[what]; !ok && len(*to) < maxUses {
		(*to)[what] = at
	}
}

func (u *uses) reach() Reach {
	return Reach{
		Domains: keys(u.domains), Env: keys(u.env), Programs: keys(u.programs), Credentials: u.credentials,
		Executes: u.executes || len(u.programs) > 0, Privileged: u.privileged, Money: u.money,
	}
}

func keys(m map[string]usedAt) []string { return slices.Sorted(maps.Keys(m)) }

// risk says how far the harm could go.
func (r Reach) risk(report Report) Risk {
	network, credentials := len(r.Domains) > 0 || slices.ContainsFunc(r.Programs, speaks), len(r.Credentials) > 0
	for _, name := range r.Env {
		credentials = credentials || credentialLike(name)
	}
	credentials = credentials || report.Has(CodeSensitiveFile)
	together := 0
	for _, b := range []bool{network, credentials, r.Executes} {
		if b {
			together++
		}
	}
	switch {
	case r.Privileged, r.Money, together == 3, report.Has(CodeExecutable):
		return RiskHigh
	case together >= 2 && (credentials || r.Executes):
		return RiskHigh
	case together >= 1:
		return RiskMedium
	}
	return RiskLow
}

// commands are the programs that reach beyond a file.
var commands = set("curl", "wget", "ssh", "scp", "rsync", "nc", "ncat", "docker", "podman", "kubectl", "helm", "aws", "gcloud", "az", "terraform", "git", "gh", "glab", "npm", "npx", "pnpm", "yarn", "pip", "pip3", "pipx", "uv", "uvx", "python", "python3", "node", "deno", "bun", "ruby",
	"perl", "php", "go", "cargo", "brew", "apt", "apt-get", "dnf", "yum", "apk", "systemctl", "crontab", "launchctl", "osascript", "powershell", "pwsh", "psql", "mysql", "mongosh", "redis-cli", "sqlite3", "ffmpeg", "convert", "magick", "pandoc", "soffice", "libreoffice", "jq",
	"openssl", "gpg", "sudo", "su", "chmod", "rm", "dd", "tar", "unzip", "sendmail", "mail", "ftp", "telnet", "nmap", "socat", "vercel", "netlify", "fly", "heroku", "stripe", "solana", "cast", "op", "bw", "vault")

// speaks reports whether a program is for the network.
func speaks(program string) bool {
	switch program {
	case "curl", "wget", "ssh", "scp", "rsync", "nc", "ncat", "ftp", "telnet", "socat", "nmap", "gh", "glab", "aws", "gcloud", "az", "kubectl", "helm", "terraform", "vercel", "netlify", "fly", "heroku", "stripe", "solana", "cast", "sendmail", "mail", "npx", "uvx":
		return true
	}
	return false
}

var (
	envReads = regexp.MustCompile(`\b(?:os\.environ(?:\.get\(|\[)|os\.getenv\(|getenv\(|System\.getenv\(|env::var\(|Deno\.env\.get\(|ENV\[|ENV\.fetch\(|os\.Getenv\(|os\.LookupEnv\()\s*["']([A-Za-z_][A-Za-z0-9_]*)["']|` +
		`\bprocess\.env(?:\.|\[["'])([A-Za-z_][A-Za-z0-9_]*)|\$env:([A-Za-z_][A-Za-z0-9_]*)|\$\{?([A-Z][A-Z0-9]*_[A-Z0-9_]*)\b`)
	commandAt = regexp.MustCompile(`(?:^|[|;&(` + "`" + `]|\$\()\s*(?:sudo\s+)?([a-z][a-z0-9-]{1,15})(?:\s|$)`)
	spawned   = regexp.MustCompile(`(?:subprocess\.\w+|os\.system|popen|execFile|execFileSync|execSync|exec|spawn|spawnSync)\s*\(\s*\[?\s*f?["']([a-z][a-z0-9-]{1,15})\b`)
	envNames  = regexp.MustCompile(`\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b`)
	payments  = regexp.MustCompile(`\b(?:private key|seed phrase|mnemonic|wallet|send_?transaction|sign_?transaction|transfer funds|stripe\.(?:charges|paymentintents|transfers)|web3|ethers\.|solana|usdc|eth_sendtransaction|x402)\b`)
	yamlList  = regexp.MustCompile(`(?:env|bins|anybins|primaryenv|credentials)["']?\s*:\s*\[?([^\]\n]*)`)
	yamlItem  = regexp.MustCompile(`[A-Za-z0-9_.-]+`)
	listItem  = regexp.MustCompile(`^\s*-\s+["']?([A-Za-z0-9_.-]+)["']?\s*$`)
)

// use notes what a unit uses.
func (s *scanner) use(u *unit, v view) {
	if s.read += 3 * len(v.text); s.read > s.most {
		s.tooDense(u)
		return
	}
	if u.kind == KindInstructions && u.depth == 0 {
		s.declared(u)
	}
	for n := range u.lines {
		row := v.rowAt(n)
		if row == "" || len(row) > 20_000 {
			continue
		}
		at := usedAt{u.path, n + 1}
		lower := strings.ToLower(row)
		if !s.used.money && payments.MatchString(lower) {
			s.used.money = true
		}
		switch u.lines[n].place {
		case inProse, inComment:
			if s.used.prose.Len() < 1<<20 && u.kind == KindInstructions {
				s.used.prose.WriteString(lower)
				s.used.prose.WriteByte('\n')
			}
			if u.kind == KindInstructions && strings.Contains(lower, "://") {
				for _, host := range hostsIn(lower) {
					s.used.prose.WriteString(host + "\n")
				}
			}
			continue
		case inCode, inHidden:
		}
		if u.lines[n].wary {
			continue
		}
		if strings.Contains(lower, "://") {
			for _, host := range hostsIn(lower) {
				if strings.Contains(host, ".") && sortOfHost(host) != hostLocal && !reserved(host) && !strings.ContainsAny(host, "$%*") {
					s.used.note(&s.used.domains, host, at)
				}
			}
		}
		if u.kind != KindData {
			for _, m := range envReads.FindAllStringSubmatch(row, 50) {
				if name := strings.Join(m[1:], ""); !ordinary(name) {
					s.used.note(&s.used.env, name, at)
				}
			}
		}
		s.programs(u, row, at)
		if strings.Contains(lower, "sudo ") || strings.Contains(lower, "--privileged") || strings.Contains(lower, "docker.sock") {
			s.used.privileged = true
		}
	}
}

// programs notes the commands of a line.
func (s *scanner) programs(u *unit, row string, at usedAt) {
	ext := extension(u.path)
	if u.kind == KindInstructions || ext == "sh" || ext == "bash" || ext == "zsh" || u.depth > 0 || ext == "" && u.kind == KindCode {
		row := strings.TrimPrefix(strings.TrimSpace(row), "$ ")
		for _, m := range commandAt.FindAllStringSubmatch(row, 20) {
			if commands[m[1]] {
				s.used.note(&s.used.programs, m[1], at)
			}
		}
	}
	for _, m := range spawned.FindAllStringSubmatch(row, 20) {
		if commands[m[1]] {
			s.used.note(&s.used.programs, m[1], at)
		}
	}
}

// declared reads what the front matter of a SKILL.md asks for.
func (s *scanner) declared(u *unit) {
	if !strings.HasPrefix(u.text, "---") {
		return
	}
	list := ""
	for n := 1; n < len(u.lines) && n < 500; n++ {
		row := u.row(n)
		if strings.HasPrefix(row, "---") {
			return
		}
		lower := strings.ToLower(row)
		if m := yamlList.FindStringSubmatchIndex(lower); m != nil {
			list = strings.Trim(strings.SplitN(lower[m[0]:m[1]], ":", 2)[0], `"' `)
			for _, m := range yamlList.FindAllStringSubmatchIndex(lower, 10) {
				name := strings.Trim(strings.SplitN(lower[m[0]:m[1]], ":", 2)[0], `"' `)
				for _, item := range yamlItem.FindAllString(row[m[2]:m[3]], 50) {
					s.declare(name, item)
				}
			}
			continue
		}
		if m := listItem.FindStringSubmatch(row); m != nil && list != "" {
			s.declare(list, m[1])
		} else if strings.TrimSpace(row) != "" {
			list = ""
		}
	}
}

func (s *scanner) declare(list, item string) {
	if s.used.declaredEnv == nil {
		s.used.declaredEnv, s.used.declaredPrograms = map[string]bool{}, map[string]bool{}
	}
	if list == "bins" || list == "anybins" {
		s.used.declaredPrograms[strings.ToLower(item)] = true
	} else if len(s.used.declaredEnv) < 200 {
		s.used.declaredEnv[strings.ToUpper(item)] = true
	}
}

// reserved reports whether a host is one that documentation uses.
func reserved(host string) bool {
	for _, of := range []string{"example.com", "example.org", "example.net", "example", "test", "invalid", "w3.org", "json-schema.org", "schemas.openxmlformats.org", "schemas.microsoft.com", "purl.org", "schema.org"} {
		if host == of || strings.HasSuffix(host, "."+of) {
			return true
		}
	}
	return false
}

// ordinary are variables that every program may read.
func ordinary(name string) bool {
	switch strings.ToUpper(name) {
	case "PATH", "HOME", "USER", "SHELL", "PWD", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL", "TERM", "NODE_ENV", "DEBUG", "PORT", "CI", "EDITOR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "APPDATA", "LOCALAPPDATA", "USERPROFILE", "VIRTUAL_ENV", "PYTHONPATH", "LOG_LEVEL", "NO_COLOR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "BASH_SOURCE", "SCRIPT_DIR", "PROJECT_ROOT", "SKILL_DIR", "COLUMNS", "HOSTNAME", "TZ":
		return true
	}
	return false
}

// credentialLike reports whether a variable's name is that of a credential.
func credentialLike(name string) bool {
	upper := strings.ToUpper(name)
	for _, part := range []string{"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "PRIVATE", "MNEMONIC", "SEED", "AUTH", "COOKIE", "SESSION", "DSN"} {
		if strings.Contains(upper, part) {
			return !strings.Contains(upper, "PUBLIC_KEY") && !strings.HasSuffix(upper, "_KEYS_FILE") && upper != "KEYBOARD"
		}
	}
	return false
}

// generic are words that say nothing about which credential is meant.
var generic = set("api", "key", "keys", "token", "secret", "bot", "access", "auth", "the", "a", "an", "for", "your", "of", "id", "client", "personal", "user", "account", "password", "credential", "credentials", "oauth", "private", "app", "application", "with", "and", "or", "to", "service", "env", "variable", "login", "bearer", "integration")

// telling returns the words of a name that say which thing is meant, in lower case.
func telling(name string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		if len(w) > 1 && !generic[w] {
			out = append(out, w)
		}
	}
	return out
}

// reach compares what the skill declares with what it uses.
func (s *scanner) reach(units []*unit) {
	s.used.credentials = slices.Compact(slices.Sorted(slices.Values(s.in.Credentials)))
	for _, name := range s.in.Programs {
		s.declare("bins", name)
	}
	for _, name := range s.in.Env {
		s.declare("env", name)
	}
	said := s.used.prose.String()
	spoken := set()
	for _, name := range envNames.FindAllString(strings.ToUpper(said), 2000) {
		spoken[name] = true
	}
	s.undeclaredEnv(spoken)
	s.undeclaredDomains()
	if declared := s.used.declaredPrograms; len(declared) > 0 {
		for _, name := range keys(s.used.programs) {
			if at := s.used.programs[name]; !declared[name] && speaks(name) {
				s.add(Finding{Code: CodeUndeclared, Severity: Low, Path: at.path, Line: at.line, Message: "runs " + name + ", which its list of programs leaves out"})
			}
		}
	}
	s.unusedCredentials(units, said)
}

func (s *scanner) undeclaredEnv(spoken map[string]bool) {
	for _, name := range keys(s.used.env) {
		at := s.used.env[name]
		switch {
		case s.used.declaredEnv[strings.ToUpper(name)], spoken[strings.ToUpper(name)], s.covered(name):
		case credentialLike(name):
			s.add(Finding{Code: CodeEnvCredential, Severity: Medium, Path: at.path, Line: at.line, Message: "reads " + cutText(name, 80) + ", which the skill neither declares nor explains"})
		case len(s.used.declaredEnv) > 0:
			s.add(Finding{Code: CodeUndeclared, Severity: Low, Path: at.path, Line: at.line, Message: "reads the variable " + cutText(name, 80) + ", which its requirements leave out"})
		}
	}
}

// covered reports whether a declared credential is meant by a variable: "Slack Bot Token" by SLACK_BOT_TOKEN.
func (s *scanner) covered(name string) bool {
	words := telling(name)
	for _, c := range s.in.Credentials {
		of := telling(c)
		if len(words) == 0 && len(of) == 0 {
			return true
		}
		for _, w := range words {
			if slices.Contains(of, w) {
				return true
			}
		}
	}
	return false
}

func (s *scanner) undeclaredDomains() {
	if len(s.in.Domains) == 0 {
		return
	}
	for _, host := range keys(s.used.domains) {
		known := slices.ContainsFunc(s.in.Domains, func(d string) bool {
			d = strings.ToLower(strings.TrimPrefix(d, "*."))
			return host == d || strings.HasSuffix(host, "."+d)
		})
		if at := s.used.domains[host]; !known {
			s.add(Finding{Code: CodeUndeclared, Severity: Medium, Path: at.path, Line: at.line, Message: "speaks with " + cutText(host, 80) + ", which its requirements leave out"})
		}
	}
}

// unusedCredentials finds credentials that nothing in the skill has to do with.
func (s *scanner) unusedCredentials(units []*unit, said string) {
	const most = 50 // credentials that are looked for
	if len(units) == 0 || len(s.used.credentials) == 0 {
		return
	}
	var b strings.Builder
	b.WriteString(strings.ToLower(s.in.Name + "\n" + s.in.Key + "\n"))
	b.WriteString(said)
	for _, u := range units {
		if b.Len() < 2<<20 {
			b.WriteString(strings.ToLower(u.text[:min(len(u.text), 1<<20)]))
		}
	}
	all := b.String()
	for _, c := range s.used.credentials[:min(most, len(s.used.credentials))] {
		words := telling(c)
		if len(words) > 0 && !slices.ContainsFunc(words[:min(4, len(words))], func(w string) bool { return strings.Contains(all, w) }) {
			s.add(Finding{Code: CodeUnused, Severity: Low, Message: "requires the credential " + cutText(c, 80) + ", which nothing in it has to do with"})
		}
	}
}
