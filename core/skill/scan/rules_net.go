package scan

import (
	"regexp"
	"strings"
)

// networkRules are about whom a skill speaks to, and how.
func networkRules() []rule {
	return []rule{
		{
			code: CodeNetwork, inCode: High, inProse: Low, near: []string{"://"},
			pattern: `\b(?:https?|wss?|ftp|tcp|udp)://[^\s"'<>)\]]+`,
			message: "", refine: unusualAddress, cheap: true,
		},
		{
			code: CodeNetwork, inCode: High, near: []string{".connect(", "connect_ex(", "createconnection", "net.dial", "tcpclient", "sendto("},
			pattern: `(?:\.connect(?:_ex)?|createconnection|net\.connect|net\.dial\w*|tcpclient|sendto)\s*\([^\n]*?["'` + "`" + `(, ](\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})`,
			message: "opens a connection to an IP address", refine: connects,
		},
		{
			code: CodeInsecureTLS, inCode: Medium, inProse: Low,
			near: []string{"verify", "rejectunauthorized", "tls_reject", "insecure", "no-check-certificate", "_unverified", "cert_none", "sslverify", "stricthostkeychecking", "skipcertificatecheck", "pythonhttpsverify", "curl", "strict-ssl", "trusted-host"},
			pattern: `\bverify\s*[=:]\s*false\b|\bverify_ssl\s*[=:]\s*false\b|\bssl_verify\w*\s*[=:]\s*(?:false|0|none)\b|\brejectunauthorized["']?\s*[:=]\s*false\b|\bnode_tls_reject_unauthorized["']?\]?\s*[:=]\s*["']?0|` +
				`\bcurl\b(?:\s+[^|\n;&]*?)?\s(?:-[a-z]*k[a-z]*\s|--insecure\b)|--no-check-certificate\b|\binsecureskipverify\s*:\s*true\b|_create_unverified_context\b|\bcert_none\b|\bsslverify\s*=\s*(?:false|0)|\bgit_ssl_no_verify\b|` +
				`\bstricthostkeychecking[= ]no\b|-skipcertificatecheck\b|\bpythonhttpsverify\s*=\s*0|\bstrict-ssl\s+false|--trusted-host\b|servercertificatevalidationcallback\s*=\s*\{?\s*\$true`,
			message: "does not check whom it speaks to",
		},
		{
			code: CodeUntrustedSource, inCode: Medium, inProse: Low,
			near: []string{"index-url", "pip install", "pip3 install", "npm install", "npm i ", "yarn add", "gem install", "registry=", "registry ", "trusted-host", "git+http", "apt-key", "go install", "cargo install", "easy_install", "uv pip"},
			pattern: `--(?:extra-)?index-url[= ]+https?://[^\s"']+|\bpip[0-9.]*\s+install\s+[^\n|;&]*(?:git\+|https?://|ftp://)[^\s"']+|\b(?:npm\s+(?:install|i)|yarn\s+add|pnpm\s+add)\s+[^\n|;&]*https?://[^\s"']+|` +
				`--registry[= ]+https?://[^\s"']+|\bgem\s+install\s+[^\n]*--source\s+\S+|\bapt-key\s+add\b|\bcargo\s+install\s+--git\s+\S+`,
			message: "installs packages from an address of its own", refine: packageSource,
		},
		{
			code: CodeExfiltration, inCode: High, inProse: Medium,
			near: []string{"curl", "wget", "requests.", "fetch(", "axios", "httpx", "nslookup", "dig ", "host ", "nc ", "urlopen", "invoke-webrequest", "invoke-restmethod", "ping "},
			pattern: `\b(?:curl|wget)\b[^\n]*(?:-d|--data\S*|-f|--form|-t|--upload-file|--post-(?:data|file))[= ]*["']?[^\n]*(?:@~?/?\S*(?:\.ssh|\.aws|\.env|\.netrc|\.kube|\.gnupg|passwd|shadow|credentials|wallet|id_rsa|id_ed25519|\.openclaw|\.claude)|\$\((?:cat|env|printenv|set|base64|tar|whoami|hostname|find)\b|` +
				"`" + `(?:cat|env|printenv|whoami|hostname)\b)|\b(?:env|printenv|set|history|cat\s+\S*(?:\.ssh|\.aws|\.env|\.netrc|passwd|shadow|credentials|wallet|id_rsa|id_ed25519|\.openclaw)\S*)\s*(?:\|[^|\n]*)*\|\s*(?:curl|wget|nc|ncat)\b|` +
				`\b(?:nslookup|dig|host|ping)\b[^\n]*\$\([^\n]*\)\S*\.[a-z]{2,}|\b(?:requests|httpx|axios|session)\.(?:post|put|get|request)\s*\([^\n]*(?:os\.environ\b[^\[.]|dict\(os\.environ|json\.dumps\([^\n]*os\.environ\)|process\.env\s*[,})])|` +
				`\bfetch\s*\([^\n]*json\.stringify\(\s*process\.env\s*\)`,
			message: "sends secrets or what the machine says of itself to the network", refine: leaks,
		},
		{
			code: CodeExfiltration, inCode: Low, near: []string{"discord.com/api/webhooks", "discordapp.com/api/webhooks", "api.telegram.org/bot", "hooks.slack.com/services/"},
			pattern: `\b(?:discord(?:app)?\.com/api/webhooks/\d{6,}/\S|api\.telegram\.org/bot\d{6,}:\S|hooks\.slack\.com/services/t[a-z0-9]{6,}/b\S)`,
			message: "sends to a channel that is written into the skill, which is somebody's own", refine: func(m match) (Code, Severity, string) {
				m.unit.signals.mark(&m.unit.signals.drop, m)
				return m.rule.code, Medium, m.rule.message
			},
		},
		{
			code: CodeExfiltration, inCode: High, inProse: Medium, near: dropHosts(),
			pattern: `(?:^|[^a-z0-9-])((?:[a-z0-9-]+\.)*[a-z0-9-]+\.[a-z]{2,})\b`,
			message: "speaks with an address that anybody makes in a minute to collect data or to serve a text", refine: dropAddress, cheap: true,
		},
	}
}

// mark remembers the first line of a signal; warnings are none.
func (g *signals) mark(signal *int, m match) {
	if *signal == 0 && !m.wary {
		*signal = m.row + 1
	}
}

var (
	userPart = regexp.MustCompile(`^\w+://[^/?#\s]*@([^/?#\s]+)`)
	backDoor = regexp.MustCompile(`^\w+://[^/?#\s]*:(?:4444|1337|31337|6666|6667|9001|12345|54321)\b`)
)

// unusualAddress says what is unusual about the address of a URL.
func unusualAddress(m match) (Code, Severity, string) {
	found := addresses.FindStringSubmatch(m.text)
	if found == nil {
		found = []string{"", strings.Trim(hostOf(m.text), "[]"), ""}
	}
	host := strings.TrimSuffix(found[1], ".")
	lower := func(s Severity) Severity {
		if m.severity == Low {
			return Low
		}
		return s
	}
	switch sortOfHost(host) {
	case hostLocal:
		if host == "169.254.169.254" || host == "metadata.google.internal" {
			return CodeSensitiveFile, lower(High), "asks the cloud for the credentials of the machine that it runs on"
		}
		return m.rule.code, "", ""
	case hostBare:
		m.unit.signals.mark(&m.unit.signals.drop, m)
		return m.rule.code, lower(High), "speaks with the IP address " + host + " in place of a name"
	case hostHidden:
		m.unit.signals.mark(&m.unit.signals.drop, m)
		return m.rule.code, High, "speaks with " + cutText(host, 80) + ", which hides who is behind it"
	case hostShort:
		return m.rule.code, lower(Medium), "follows a short link, whose target anybody can change"
	case hostDrop, hostPlain:
	}
	switch {
	case userPart.MatchString(m.text) && strings.Contains(strings.SplitN(userPart.FindString(m.text), "@", 2)[0], "."):
		return m.rule.code, lower(High), "an address that begins with the name of another host: what counts stands behind the @"
	case backDoor.MatchString(m.text):
		return m.rule.code, lower(Medium), "speaks with a port that back doors like"
	case strings.HasPrefix(host, "xn--") || strings.Contains(host, ".xn--"):
		return m.rule.code, lower(Medium), "speaks with a host whose name has other letters than it shows"
	}
	return m.rule.code, "", ""
}

func hostOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	if i := strings.IndexAny(rest, `/?#:"'`); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

var anyAddress = regexp.MustCompile(`\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`)

func connects(m match) (Code, Severity, string) {
	for _, addr := range anyAddress.FindAllString(m.text, 5) {
		if sortOfHost(addr) == hostBare {
			m.unit.signals.mark(&m.unit.signals.drop, m)
			return m.rule.code, m.severity, m.rule.message
		}
	}
	return m.rule.code, "", ""
}

// packageSource leaves alone the public indexes and repositories at the well-known hosts.
func packageSource(m match) (Code, Severity, string) {
	hosts := hostsIn(m.text)
	severity := m.severity
	for _, host := range hosts {
		switch sortOfHost(host) {
		case hostLocal:
			return m.rule.code, "", ""
		case hostBare, hostDrop, hostHidden:
			return m.rule.code, High, m.rule.message + ", which is " + host
		case hostPlain, hostShort:
		}
		switch host {
		case "pypi.org", "files.pythonhosted.org", "registry.npmjs.org", "registry.yarnpkg.com", "rubygems.org", "npm.pkg.github.com", "download.pytorch.org", "pypi.nvidia.com":
			return m.rule.code, "", ""
		case "github.com", "gitlab.com", "codeberg.org", "bitbucket.org":
			severity = Low
		}
	}
	return m.rule.code, severity, m.rule.message
}

// leaks makes it malicious when the receiver is one for collecting data.
func leaks(m match) (Code, Severity, string) {
	for _, host := range hostsIn(m.line) {
		switch sortOfHost(host) {
		case hostBare, hostDrop, hostHidden:
			return CodeCredentialTheft, Critical, "sends secrets to " + host
		case hostLocal:
			return m.rule.code, Low, m.rule.message
		case hostPlain, hostShort:
		}
	}
	return m.rule.code, m.severity, m.rule.message
}

func dropAddress(m match) (Code, Severity, string) {
	host := strings.TrimLeft(m.text, ` "'`+"`"+`/(=<[{@:,;|\`+"\t\n")
	if !isDrop(host) {
		return m.rule.code, "", ""
	}
	if !strings.Contains(m.line, host+"/") && !strings.Contains(m.line, "//"+host) && m.severity == Medium {
		m.severity = Low // a name in a sentence
	} else {
		m.unit.signals.mark(&m.unit.signals.drop, m)
	}
	return m.rule.code, m.severity, host + " is an address that anybody makes in a minute to collect data or to serve a text"
}
