package scan

import (
	"net/netip"
	"regexp"
	"strings"
)

// shell is a program that runs what it reads, after what may stand before it.
const (
	prefix      = `(?:sudo\s+(?:-\S+\s+)*)?(?:(?:nohup|exec|command|xargs|time)\s+(?:-\S+\s+)*)?(?:env\s+(?:\S+=\S*\s+)*)?(?:\S*/)?`
	shellName   = `(?:(?:ba|z|k|da|a|fi|c|tc)?sh|pwsh|powershell(?:\.exe)?|cmd(?:\.exe)?)\b`
	interpreter = `(?:python[0-9.]*|node|perl|ruby|php|osascript|deno|bun)\b\s*(?:-\s*)?(?:$|[\n;&|)"'` + "`" + `])`
	intoShell   = `\|&?\s*` + prefix + `(?:` + shellName + `|` + interpreter + `)`
)

// execRules are about what is run.
func execRules() []rule {
	fetchers := []string{"curl", "wget", "aria2c", "lwp-"}
	return []rule{
		{
			code: CodeTerminalPayload, inCode: Critical, inProse: Critical, shell: true,
			near: []string{"base64", "base32", "xxd", "openssl", "certutil", "uudecode"},
			pattern: `\b(?:g?base(?:64|32)|openssl|certutil|uudecode|xxd)\b[^|\n]*(?:\|[^|\n]*){0,2}` + intoShell + `|` +
				`(?:\b(?:ba|z|k|da)?sh\b|\beval\b|\bsource\b|\bexec\b)[^\n]*(?:\$\(|<\(|` + "`" + `)[^\n]*\b(?:base(?:64|32)|xxd|openssl|uudecode)\b[^\n]*\s-{1,2}(?:d|r|decode)\b|` +
				`(?:\b(?:ba|z|k|da)?sh\b)[^\n]*<<<[^\n]*\b(?:base64|xxd)\b`,
			but:     `\b(?:grep|rg)\b[^|]*base64|\|\s*base64\s*\|\s*(?:python|node)|openssl (?:s_client|x509|rand|dgst|req|genrsa)`,
			message: "decodes text and runs it in a shell", refine: decodesIntoShell,
		},
		{
			code: CodeTerminalPayload, inCode: Critical, inProse: Critical, shell: true,
			near:    []string{"| rev", "|rev", "| tr ", "|tr ", "printf", `\x`, "gunzip", "zcat", "-dc"},
			pattern: `\|\s*rev\s*` + intoShell + `|\|\s*tr\s+\S+\s+\S+\s*` + intoShell + `|\b(?:printf|echo)\b[^\n|]*(?:\\x[0-9a-f]{2}|\\[0-7]{3}){2}[^\n|]*` + intoShell,
			message: "puts a command together from unreadable parts and runs it in a shell",
		},
		{
			code: CodeUntrustedSource, inCode: High, inProse: High, shell: true, near: fetchers,
			pattern: `\b(?:curl|wget|aria2c|lwp-(?:request|download))\b[^\n]*` + intoShell,
			message: "runs a script from the web in a shell", refine: fetchesIntoShell,
		},
		{
			code: CodeUntrustedSource, inCode: High, inProse: High, shell: true, near: fetchers,
			pattern: `(?:\b(?:ba|z|k|da|fi)?sh\b|\beval\b|\bsource\b|(?:^|\s)\.|\bpython[0-9.]*\s+-c|\bnode\s+-e|\bpowershell\b)[^\n]*(?:<\(|\$\(|` + "`" + `)\s*(?:sudo\s+)?(?:curl|wget)\b`,
			message: "runs a script from the web in a shell", refine: fetchesIntoShell,
		},
		{
			code: CodeTerminalPayload, inCode: Critical, inProse: Critical,
			near: []string{"iex", "invoke-expression", "downloadstring", "-enc", "mshta", "regsvr32", "bitsadmin", "certutil", "frombase64string"},
			pattern: `\b(?:iex|invoke-expression)\b[^\n]*(?:downloadstring|invoke-webrequest|invoke-restmethod|\birm\b|\biwr\b|webclient|frombase64string)|` +
				`(?:downloadstring|\birm\b|\biwr\b|invoke-webrequest|invoke-restmethod|frombase64string)[^\n]*\|\s*(?:iex|invoke-expression)\b|` +
				`\bpowershell(?:\.exe)?\b[^\n]*\s-(?:e|ec|enc|enco\w*)\s+[a-z0-9+/=]{16,}|\bmshta(?:\.exe)?\s+["']?(?:https?|vbscript|javascript):|` +
				`\bregsvr32\b[^\n]*/i:https?:|\bcertutil\b[^\n]*-urlcache[^\n]*https?:|\bbitsadmin\b[^\n]*/transfer\b`,
			message: "downloads or decodes a program and runs it by means of Windows", refine: fetchesIntoShell,
		},
		{
			code: CodeTerminalPayload, inCode: Critical, inProse: Critical, near: []string{"password", "passphrase", "passwort", "pass:"},
			pattern: `(?:\.zip|\.rar|\.7z|\barchive\b)[^#]*?\b(?:password|passphrase|pass)\b[^#]*?\b(?:run|execute|open|launch|start|double-click)\b`,
			message: "has its user unpack an archive with a password, which scanners cannot read, and run what is in it", refine: lockedArchive,
		},
		{
			code: CodeUntrustedSource, inCode: High, inProse: Medium, near: []string{"chmod"},
			pattern: `(?s)\b(?:curl|wget)\b[^\n]*https?://.*?\bchmod\s+(?:\+x|[ugoa]*\+x|[0-7]*[1357][0-7]{2})\s+[^\n;&]*(?:&&|;|\n)\s*(?:sudo\s+|nohup\s+)?["']?(?:\./|/|~/|\$\w)`,
			message: "downloads a program, makes it executable and starts it", refine: downloadsAndStarts,
		},
		{
			code: CodeReverseShell, inCode: Critical, inProse: Critical, shell: true,
			near: []string{"/dev/tcp/", "/dev/udp/", "mkfifo", "nc ", "ncat", "netcat", "socat", "pty.spawn", "dup2", "fsockopen", "child_process", "tcpsocket"},
			pattern: `/dev/(?:tcp|udp)/[^\s/]+/\S|\b(?:nc|ncat|netcat)\b[^\n]*\s(?:-[a-z]*[ec]\s*|--exec\s+|--sh-exec\s+)["']?(?:/bin/|/usr/bin/)?(?:ba|z)?(?:sh|cmd(?:\.exe)?|powershell)\b|` +
				`\bmkfifo\b[^\n]*\|\s*(?:nc|ncat|netcat)\b|\bmkfifo\b[^\n]*\|\s*(?:/bin/)?(?:ba)?sh\b[^\n]*\|\s*(?:nc|ncat|netcat|openssl)|` +
				`\bsocat\b[^\n]*exec:["']?[^\n]*sh\b|(?s:\bsocket\b.*?\bdup2\(.*?(?:/bin/|pty|subprocess|exec))|(?s:socket.*?pty\.spawn\()|` +
				`\bfsockopen\([^;]*;[^;]*(?:exec|proc_open|shell_exec)|(?s:\bnet\.(?:socket|connect|createconnection)\b.*?\.pipe\(\s*\w+\.stdin)`,
			but:     `/dev/tcp/(?:localhost|127\.0\.0\.1|\$|\{)`,
			message: "connects a shell with somebody else's machine",
		},
		{
			code: CodeMining, inCode: Critical, inProse: Medium,
			near: []string{"xmrig", "stratum+", "minerd", "cpuminer", "coinhive", "coinimp", "cryptonight", "nicehash", "supportxmr", "minexmr", "nanopool", "hashvault", "t-rex", "ethminer", "randomx", "moneroocean", "--donate-level"},
			pattern: `\bstratum\+(?:tcp|ssl|tls|udp)://\S|\bxmrig\b|\b(?:cpu)?minerd?\s+(?:-[aou]|--algo|--url|--user)\b|\bcoin(?:hive|imp)\.(?:min\.js|com|anonymous|user)|\bcryptonight\b|` +
				`\b(?:pool|mine|gulf)\.(?:supportxmr|minexmr|hashvault|nanopool|moneroocean)\b|\b(?:supportxmr|minexmr|moneroocean|nanopool|hashvault)\.\w+|--donate-level|\brandomx\b|\bethminer\b|\bnicehash\b`,
			but:     `\b(?:p?grep|pkill|killall|kill)\b`,
			message: "mines cryptocurrency or speaks with a mining pool",
		},
		{
			code: CodeDynamicCode, inCode: Critical, inProse: High,
			near: []string{"eval", "exec", "new function", "runinnewcontext", "runinthiscontext", "import(", "require(", "compile("},
			pattern: `\b(?:eval|exec|compile|new function|function|runin(?:new|this)?context|settimeout|setinterval)\s*\(\s*(?:\(?\s*await\s+)*\(?\s*(?:\w+\.)*(?:fetch|axios|got|xmlhttprequest|requests\.(?:get|post)|urllib\S*urlopen|urlopen|httpx\.(?:get|post)|http\.get|wget|curl)\b|` +
				`\bfetch\s*\([^\n]*\)\s*\.then\([^\n]*\.then\(\s*(?:eval\b|\w+\s*=>\s*(?:eval|new function|function)\s*\(|function\s*\(\w+\)\s*\{\s*(?:eval|new function)\b)|` +
				`\b(?:eval|exec)\s*\([^\n]*(?:requests\.get|urlopen|httpx\.get|await\s+fetch|\.responsetext)|\bimport\s*\(\s*["'` + "`" + `]https?://|\brequire\s*\(\s*["'` + "`" + `]https?://`,
			but:     `\bimport\s*\(\s*["'` + "`" + `]https://(?:esm\.sh|cdn\.jsdelivr\.net|unpkg\.com|deno\.land|cdn\.skypack\.dev)/`,
			message: "downloads code and runs it at once",
		},
		{
			code: CodeDynamicCode, inCode: Critical, inProse: High, near: []string{"eval", "exec", "compile", "new function", "function("},
			pattern: `\b(?:eval|exec|compile|new function|function|runin(?:new|this)?context)\s*\(?\s*\(?[^\n]*(?:b64decode|b32decode|b85decode|a2b_|unhexlify|fromhex|marshal\.loads|zlib\.decompress|codecs\.decode|` +
				`rot_?13|\batob\s*\(|buffer\.from\([^\n)]*["'](?:base64|hex)|fromcharcode|base64_decode|gzinflate|str_rot13|decode64|unpack1?\(?\s*["']m)`,
			but:     `\b(?:re|regexp?|pattern)\.compile|compile\s*\(\s*r?["']`,
			message: "decodes text and runs it as code",
		},
		{
			code: CodeDynamicCode, inCode: Medium, near: []string{"eval(", "exec(", "new function(", "eval (", "__import__"},
			pattern: `(?:^|[^\w.$>])(?:eval|exec)\s*\(\s*[^\s"'` + "`" + `)0-9]|\bnew function\s*\(|\b__import__\s*\(\s*[^"'\s)]`,
			but:     `literal_eval|\bexec\s*\(\s*(?:ctx|context|sql|query|stmt|&|\*)|func(?:tion)? exec|def (?:exec|eval)|\.exec\(|\b(?:db|tx|conn|cursor|re|regex\w*)\.exec`,
			message: "runs text as code",
		},
		{
			code: CodeDangerousExec, inCode: Low, near: []string{"os.system", "os.popen", "shell=true", "shell: true", "child_process", "execsync", "shell_exec", "passthru", "proc_open", "getruntime().exec", "do shell script"},
			pattern: `\bos\.(?:system|popen)\s*\([^\n]*|\bsubprocess\.\w+\([^\n]*shell\s*=\s*true|shell\s*[=:]\s*true|\b(?:execsync|exec)\s*\(\s*["'` + "`" + `][^\n]*|\bshell_exec\s*\([^\n]*|\bpassthru\s*\([^\n]*|` +
				`\bproc_open\s*\([^\n]*|\bgetruntime\(\)\.exec\([^\n]*|\bdo shell script\b[^\n]*`,
			message: "gives a shell a command line", refine: composesCommand,
		},
		{
			code: CodeDangerousExec, inCode: High, near: []string{"postinstall", "preinstall", "\"install\""},
			pattern: `"(?:pre|post)?install"\s*:\s*"[^"\n]*(?:curl|wget|base64|node -e|python[0-9]* -c|https?://|eval|powershell)`,
			message: "runs a command when its package is installed",
		},
		{
			code: CodeDestructive, inCode: High, inProse: Medium, shell: true,
			near: []string{"rm -", "rm  ", "rmtree", "rmsync", "unlink", "rimraf", "mkfs", "dd if", "of=/dev", "remove-item", "del /", "rd /s", "rmdir /s", "-delete", "shred", "format c", "removeall", "no-preserve-root", ":(){", "wipefs", "rm_rf", "history"},
			pattern: `\brm\s+(?:-[a-z-]+\s+)*(?:--no-preserve-root|["']?(?:/(?:\*|["'\s;&|)]|$)|/(?:etc|usr|bin|boot|var|home|users|system|library|lib|opt|root)(?:/?\*?)?(?:["'\s;&|)]|$)|~/?(?:\*|["'\s;&|)]|$)|~/(?:documents|desktop|\.ssh|pictures|downloads|library)\b|\$\{?home\}?/?\*?(?:["'\s;&|)]|$)|\$\{?\w+\}?/\*(?:\s|$)))|` +
				`\bshutil\.rmtree\s*\(\s*(?:os\.path\.expanduser\(\s*["']~/?["']|path\.home\(\)|["'](?:/|~|/home|/etc|/users)/?["']|os\.environ\[?\W*home)|\b(?:rmsync|rm|rimraf(?:\.sync)?)\s*\(\s*(?:["'` + "`" + `](?:/|~)["'` + "`" + `]|(?:os\.)?homedir\(\)|process\.env\.home)|` +
				`\bos\.removeall\s*\(\s*(?:"/"|home\b|os\.getenv\("home"\))|\bmkfs(?:\.\w+)?\s+/dev/|\bdd\b[^\n]*\bof=/dev/(?:sd|nvme|disk|hd|mmcblk|rdisk)|\bwipefs\b[^\n]*/dev/|\bshred\b[^\n]*(?:/dev/|~|\$home)|` +
				`\bremove-item\b[^\n]*-recurse[^\n]*(?:\bc:\\|~|\$home|\$env:(?:userprofile|systemdrive))|\b(?:del|rd|rmdir)\s+(?:/[a-z]\s+)*/[sq]\s+(?:/[a-z]\s+)*["']?(?:c:\\|%userprofile%|%systemdrive%|\*\.\*)|\bformat\s+c:|` +
				`\bfind\s+(?:/|~|\$home)\s[^\n]*(?:-delete|-exec\s+rm)|:\(\)\s*\{\s*:\s*\|\s*:\s*&\s*\}|(?:\brm\s+(?:-\w+\s+)*|>\s*)~/\.\w*_history|\bhistory\s+-c\b|\bfileutils\.rm_rf\s*\(?\s*(?:["']/["']|dir\.home)`,
			message: "deletes more than the skill's own files",
		},
	}
}

var (
	// addresses finds the hosts of URLs, in lower case.
	addresses = regexp.MustCompile(`\b(?:https?|wss?|ftp)://(?:[^\s/@"'<>]*@)?(\[[0-9a-f:.]+\]|[^\s/:"'` + "`" + `<>)(\]\[{}|\\,;?#]+)(?::(\d+))?`)
	plainHTTP = regexp.MustCompile(`\bhttp://`)
	garbled   = regexp.MustCompile(`\|\s*(?:base(?:64|32)|xxd|openssl|rev|tr|gunzip|zcat)\b`)
	decodes   = regexp.MustCompile(`\s-{1,2}(?:d|r|decode|r -p|decode=|dpw?)\b|\s-[a-z]*[dr]\b|-p -r|\benc\b`)
)

// hostsIn returns the hosts of the URLs in a text.
func hostsIn(text string) []string {
	var out []string
	for _, m := range addresses.FindAllStringSubmatch(text, 50) {
		out = append(out, strings.TrimSuffix(m[1], "."))
	}
	return out
}

// decodesIntoShell leaves alone what encodes.
func decodesIntoShell(m match) (Code, Severity, string) {
	if !decodes.MatchString(m.text) && !strings.Contains(m.text, "<<<") {
		return m.rule.code, "", ""
	}
	return m.rule.code, m.severity, m.rule.message
}

// fetchesIntoShell tells installers that everybody knows from those that nobody vouches for, and from those that hide.
func fetchesIntoShell(m match) (Code, Severity, string) {
	hosts := hostsIn(m.line)
	if garbled.MatchString(m.text) {
		return CodeTerminalPayload, Critical, "downloads a script, decodes it and runs it in a shell"
	}
	if len(hosts) == 0 {
		if m.rule.code == CodeTerminalPayload {
			return m.rule.code, m.severity, m.rule.message
		}
		if m.severity = Medium; m.unit.lines != nil && !strings.Contains(m.line, "$") {
			m.severity = Low // nothing is named that could be run: `curl | bash` as a manner of speaking
		}
		return m.rule.code, m.severity, m.rule.message
	}
	trusted := true
	for _, host := range hosts {
		switch sortOfHost(host) {
		case hostBare, hostDrop, hostHidden:
			return CodeTerminalPayload, Critical, "runs a script in a shell that comes from " + host + ", where anybody can put one without a name"
		case hostLocal:
			continue
		case hostPlain, hostShort:
			trusted = trusted && trustedInstaller(host, m.line)
		}
	}
	switch {
	case m.unit.depth > 0:
		return CodeTerminalPayload, Critical, m.rule.message
	case plainHTTP.MatchString(m.line) && !trusted:
		return CodeTerminalPayload, Critical, "runs a script in a shell that comes over an open connection, which anybody on the way can replace"
	case trusted:
		return CodeUntrustedSource, Medium, "runs the installer of a well-known tool in a shell"
	case m.rule.code == CodeTerminalPayload:
		return m.rule.code, m.severity, m.rule.message
	}
	return m.rule.code, m.severity, m.rule.message + ", from " + cutText(strings.Join(hosts, ", "), 100)
}

// trustedInstaller reports whether a script is the published installer of a tool that many use.
func trustedInstaller(host, line string) bool {
	switch host {
	case "raw.githubusercontent.com", "github.com":
		for _, owner := range []string{"homebrew/", "nvm-sh/", "ohmyzsh/", "helm/", "rbenv/", "pyenv/", "asdf-vm/", "docker/", "junegunn/", "kubernetes/", "astral-sh/", "golangci/", "anchore/", "aquasecurity/"} {
			if strings.Contains(line, host+"/"+owner) {
				return true
			}
		}
		return false
	}
	for _, of := range []string{
		"sh.rustup.rs", "rustup.rs", "get.docker.com", "astral.sh", "bun.sh", "bun.com", "deno.land", "get.pnpm.io", "install.python-poetry.org", "nixos.org",
		"install.determinate.systems", "get.sdkman.io", "fnm.vercel.app", "cli.github.com", "ollama.com", "tailscale.com", "get.k3s.io", "sdk.cloud.google.com",
		"dl.google.com", "aka.ms", "deb.nodesource.com", "rpm.nodesource.com", "dl.yarnpkg.com", "get.volta.sh", "mise.run", "mise.jdx.dev", "starship.rs", "fly.io",
		"foundry.paradigm.xyz", "release.anza.xyz", "get.helm.sh", "packages.microsoft.com", "download.docker.com", "apt.releases.hashicorp.com", "pkg.cloudflare.com",
		"bootstrap.pypa.io", "pyenv.run", "claude.ai", "openclaw.ai", "cursor.com", "setup.atuin.sh", "get.jetify.com", "devenv.sh", "webi.sh", "webinstall.dev", "go.dev", "golang.org",
		"community.chocolatey.org", "chocolatey.org", "get.scoop.sh",
	} {
		if host == of {
			return true
		}
	}
	return false
}

// lockedArchive asks for all three: an archive to download, its password, and that its content be run.
func lockedArchive(m match) (Code, Severity, string) {
	if !strings.Contains(m.text, "http") && !strings.Contains(m.line, "http") && !strings.Contains(m.text, "download") && !strings.Contains(m.line, "download") {
		return CodeUntrustedSource, Medium, "has its user open an archive with a password"
	}
	return m.rule.code, m.severity, m.rule.message
}

// downloadsAndStarts weighs where the program comes from.
func downloadsAndStarts(m match) (Code, Severity, string) {
	for _, host := range hostsIn(m.text) {
		switch sortOfHost(host) {
		case hostBare, hostDrop, hostHidden:
			return CodeTerminalPayload, Critical, m.rule.message + ", from " + host
		case hostLocal, hostPlain, hostShort:
		}
	}
	if plainHTTP.MatchString(m.text) {
		return CodeTerminalPayload, Critical, m.rule.message + ", over an open connection"
	}
	return m.rule.code, m.severity, m.rule.message
}

var composed = regexp.MustCompile(`\bf["']|\$\{|["']\s*\+|\+\s*["']|\.format\(|%\s*\(|%\s*[a-z_]|\.join\(|system\(\s*[a-z_]|popen\(\s*[a-z_]`)

// composesCommand weighs a command line that is put together at run time more than one that stands there.
func composesCommand(m match) (Code, Severity, string) {
	if composed.MatchString(m.text) || composed.MatchString(m.line) {
		return m.rule.code, Medium, "gives a shell a command line that is put together at run time"
	}
	return m.rule.code, m.severity, m.rule.message
}

// hostSort says what kind of address a host is.
type hostSort int

const (
	hostPlain  hostSort = iota // an ordinary name
	hostLocal                  // this machine or a private network
	hostBare                   // a public IP address
	hostDrop                   // where anybody collects data or puts texts without a name
	hostShort                  // a short link
	hostHidden                 // an onion service, a number in place of an address
)

// sortOfHost classifies a host in lower case.
func sortOfHost(host string) hostSort {
	host = strings.Trim(host, "[]")
	if addr, err := netip.ParseAddr(host); err == nil {
		switch {
		case addr.IsLoopback(), addr.IsPrivate(), addr.IsUnspecified(), addr.IsLinkLocalUnicast(), addr.IsMulticast():
			return hostLocal
		}
		switch host {
		case "1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9":
			return hostPlain // resolvers that everybody knows
		}
		return hostBare
	}
	switch {
	case host == "localhost", strings.HasSuffix(host, ".localhost"), strings.HasSuffix(host, ".local"), strings.HasSuffix(host, ".internal"), host == "host.docker.internal":
		return hostLocal
	case strings.HasSuffix(host, ".onion"), numeric(host):
		return hostHidden
	case isDrop(host):
		return hostDrop
	}
	for _, short := range []string{"bit.ly", "tinyurl.com", "is.gd", "cutt.ly", "rebrand.ly", "shorturl.at", "ow.ly", "rb.gy", "t.ly", "goo.su", "v.gd", "tiny.cc", "s.id"} {
		if host == short {
			return hostShort
		}
	}
	return hostPlain
}

// numeric reports whether a host is an IP address spelled as one number or in hexadecimal.
func numeric(host string) bool {
	digits := 0
	hexadecimal := strings.HasPrefix(host, "0x")
	for i := range len(host) {
		switch c := host[i]; {
		case '0' <= c && c <= '9':
			digits++
		case hexadecimal && (c == 'x' || 'a' <= c && c <= 'f' || c == '.'):
		default:
			return false
		}
	}
	return hexadecimal && len(host) > 4 || digits >= 8
}

// dropHosts are where data can be collected, or a text be put, by anybody within a minute and without a name.
func dropHosts() []string {
	return []string{
		"webhook.site", "requestbin.com", "requestbin.net", "pipedream.net", "requestcatcher.com", "hookbin.com", "beeceptor.com", "webhookrelay.com", "postb.in", "ptsv2.com", "ptsv3.com",
		"glot.io", "pastebin.com", "hastebin.com", "paste.ee", "ix.io", "termbin.com", "0x0.st", "transfer.sh", "file.io", "gofile.io", "anonfiles.com", "dpaste.com", "dpaste.org",
		"rentry.co", "rentry.org", "ghostbin.com", "controlc.com", "paste.rs", "sprunge.us", "clbin.com", "bashupload.com", "temp.sh", "catbox.moe", "litter.catbox.moe", "oshi.at", "pixeldrain.com", "uguu.se", "tmpfiles.org", "filebin.net", "privatebin.net",
		"ngrok.io", "ngrok.app", "ngrok-free.app", "ngrok.dev", "ngrok-free.dev", "trycloudflare.com", "serveo.net", "loca.lt", "localtunnel.me", "localhost.run", "lhr.life", "pinggy.io", "pinggy.link", "bore.pub",
		"interact.sh", "interactsh.com", "oast.fun", "oast.pro", "oast.live", "oast.site", "oast.online", "oast.me", "oastify.com", "burpcollaborator.net", "dnslog.cn", "ceye.io", "canarytokens.com", "dnsbin.zhack.ca",
	}
}

var drops = func() map[string]bool {
	m := map[string]bool{}
	for _, host := range dropHosts() {
		m[host] = true
	}
	return m
}()

// isDrop reports whether a host or one that it belongs to is in the list.
func isDrop(host string) bool {
	for {
		if drops[host] {
			return true
		}
		_, rest, ok := strings.Cut(host, ".")
		if !ok {
			return false
		}
		host = rest
	}
}
