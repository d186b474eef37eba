package scan

import "regexp"

// accessRules are about what a skill reads, keeps and may do.
func accessRules() []rule {
	return []rule{
		{
			code: CodeSensitiveFile, inCode: High, inProse: Low,
			near: []string{"id_rsa", "id_ed25519", "id_ecdsa", ".ssh", ".aws/credentials", "/etc/shadow", "login data", "cookies", "logins.json", "key4.db", "wallet", "find-generic-password", "dump-keychain", "keychain-db", ".git-credentials", "exodus", "electrum", "metamask", "nkbihfbe", "solana/id.json", "local state", ".openclaw", ".clawdbot", ".moltbot", "auth-profiles", "keystore", "/environ", "application_default_credentials", ".claude/.credentials", "seed phrase", "lsass", "sam.hive"},
			pattern: `\bid_(?:rsa|ed25519|ecdsa|dsa)\b(?:[^.\w]|$)|(?:~|home\S*?|\$\w+)["']?[\s,/)+]*["'/]*\.ssh(?:/\*|["'])|\.aws/credentials\b|/etc/shadow\b|(?:chrome|chromium|brave|edge|firefox|user data|default)\S*[/\\"', ]+(?:login data|cookies|local state|logins\.json|key4\.db)|` +
				`\bkey4\.db\b|\blogins\.json\b|\bwallet\.dat\b|\bfind-(?:generic|internet)-password\b|\bdump-keychain\b|\blogin\.keychain(?:-db)?\b|\.git-credentials\b|\b(?:exodus|electrum)/(?:wallets|exodus\.wallet)|nkbihfbeogaeaoehlefnkodbefgpgknn|` +
				`\.config/solana/id\.json|\.(?:openclaw|clawdbot|moltbot)/(?:\.env|credentials|auth|openclaw\.json|clawdbot\.json|agents/\S*auth)|\bauth-profiles\.json\b|/proc/(?:self|\d+|\*|1)/environ\b|\bapplication_default_credentials\.json\b|\.claude/\.credentials|\.ethereum/keystore|\blsass\.(?:exe|dmp)|(?:\bbip39\b|seed phrase)\S*\s*(?:file|=\s*open|in\s+glob)`,
			but:     `\bssh-keygen\b|\bssh-copy-id\b|\bssh\s+-i\b|\bscp\s+-i\b|\brsync\b|\bssh-add\b|identityfile|\bchmod\s+[46]00\b|\.pub\b`,
			message: "opens a file in which secrets lie", refine: func(m match) (Code, Severity, string) {
				m.unit.signals.mark(&m.unit.signals.secrets, m)
				return m.rule.code, m.severity, m.rule.message
			},
		},
		{
			code: CodeSensitiveFile, inCode: Low, near: []string{".kube/config", ".docker/config", ".netrc", ".npmrc", ".pypirc", ".gnupg", "/etc/passwd"},
			pattern: `\.kube/config\b|\.docker/config\.json\b|\.netrc\b|\.npmrc\b|\.pypirc\b|\.gnupg\b|/etc/passwd\b`,
			message: "opens a file in which credentials may lie",
		},
		{
			code: CodeEnvCredential, inCode: Medium, near: []string{"environ", "process.env", "printenv", "env |", "env|", "env >", "env>", "getenv()", "deno.env.toobject"},
			pattern: `\bjson\.dumps?\(\s*(?:dict\(\s*)?os\.environ\b[^\[.]|\b(?:str|repr)\(\s*os\.environ\s*\)|\bdata\s*=\s*(?:dict\()?os\.environ\b[^\[.]|\bjson\.stringify\(\s*process\.env\s*[,)]|\bobject\.(?:entries|keys|assign)\([^)\n]*process\.env\s*\)|` +
				`(?:^|[;&|(\s` + "`" + `])(?:env|printenv)\s*(?:\||>)|\bfor\s+\w+\s*,\s*\w+\s+in\s+os\.environ\.items\(\)|\bdeno\.env\.toobject\(\)|\bos\.environ\(\)|\bsystem\.getenv\(\)`,
			but:     `\|\s*grep\s+-?\w*\s*["']?[a-z_]{4,}|/usr/bin/env|#!/|subprocess|\benv=`,
			message: "takes all environment variables at once", refine: func(m match) (Code, Severity, string) {
				m.unit.signals.mark(&m.unit.signals.dumps, m)
				return m.rule.code, m.severity, m.rule.message
			},
		},
		{
			code: CodeExfiltration, inCode: Info, near: []string{"requests.p", "httpx.p", "axios", "fetch(", "urlopen", "curl", "http.post", "http.request", "sendbeacon", "sendto", "smtplib", "net/http", "https.request", "wget"},
			pattern: `\b(?:requests|httpx|session|client)\.(?:post|put|patch|request)\s*\(|\baxios(?:\.post|\.put)?\s*\(|\bfetch\s*\(|\burlopen\s*\(|\bcurl\b[^\n]*(?:-d|--data|-f|--form|-t\b|--upload-file|-x\s*(?:post|put))|\bhttps?\.(?:post|request)\s*\(|\bsendbeacon\s*\(|\bsmtplib\.|\bwget\b[^\n]*--post`,
			message: "", cheap: true, refine: func(m match) (Code, Severity, string) {
				m.unit.signals.mark(&m.unit.signals.sends, m)
				return m.rule.code, "", ""
			},
		},
		{
			code: CodePrivileged, inCode: High, inProse: Medium,
			near:    []string{"nopasswd", "--privileged", "/:/", "docker.sock", "setuid", "chmod", "setcap", "disable-sip", "csrutil", "setenforce", "cap_sys_admin", "always:", "\"always\"", "usermod", "visudo", "sudoers", "runas"},
			pattern: `\bnopasswd\b|\bdocker\b[^\n]*\s--privileged\b|\bdocker\b[^\n]*-v\s+/:/|\bchmod\s+(?:-r\s+)?(?:u\+s|[ugo]*\+s|[2467]7[0-7]{2})\b[^\n]*|\bcsrutil\s+disable\b|\bsetenforce\s+0\b|\bcap_sys_admin\b|\busermod\s+-a?g\s*(?:sudo|wheel|root|docker)\b|>>?\s*/etc/sudoers|\bstart-process\b[^\n]*-verb\s+runas`,
			message: "asks for the rights of an administrator over the machine",
		},
		{
			code: CodePrivileged, inCode: Medium, inProse: Medium, near: []string{"always"},
			pattern: `(?:^|\n|[{,]\s*)\s*["']?always["']?\s*:\s*true\b`,
			message: "wants to be loaded for every task",
		},
		{
			code: CodePrivileged, inCode: Low, near: []string{"sudo ", "chmod 777", "chmod -r 777", "docker.sock"},
			pattern: `(?:^|[\s;&|(` + "`" + `])sudo\s+[a-z/]|\bchmod\s+(?:-r\s+)?777\b|/var/run/docker\.sock\b`,
			message: "runs something as administrator",
		},
		{
			code: CodeConfirmation, inCode: Medium, inProse: Low,
			near: []string{"dangerously", "skip-permissions", "xattr", "spctl", "executionpolicy", "set-mppreference", "gatekeeper", "yolo", "--no-sandbox", "bypasspermissions", "bypass", "auto-approve", "autoapprove", "yes |", "exec.ask", "exec.approvals", "windows defender"},
			pattern: `--dangerously-\w[\w-]*|\bbypasspermissions\b|\bxattr\s+-[a-z]*[cdr][a-z]*\s+[^\n]*|\bspctl\s+--(?:master|global)-disable\b|\bset-executionpolicy\s+(?:-\w+\s+)*(?:bypass|unrestricted)\b|-executionpolicy\s+bypass\b|\bset-mppreference\b[^\n]*-disable\w*|--yolo\b|` +
				`\bauto[_-]?approve\w*["']?\s*[:=]\s*(?:true|\[|["']?(?:all|\*))|\bexec\.(?:ask|approvals?)["']?\s*[:=]\s*["']?(?:off|false|never)|\bdisable\s+(?:gatekeeper|windows defender|the sandbox)`,
			message: "switches a confirmation or a protection off", refine: func(m match) (Code, Severity, string) {
				if gatekeeper.MatchString(m.text) && m.severity == Medium {
					m.severity = High // it is only needed for programs that nobody signed
				}
				return m.rule.code, m.severity, m.rule.message
			},
		},
		{
			code: CodePersistence, inCode: High, inProse: Low,
			near: []string{"crontab", "launchagents", "launchdaemons", "launchctl", ".bashrc", ".zshrc", ".profile", ".bash_profile", "authorized_keys", "systemctl enable", "systemd/", "currentversion\\run", "schtasks", "rc.local", "/etc/cron", "soul.md", "memory.md", "agents.md", "claude.md", "identity.md", "heartbeat.md", "git config --global core.hookspath", "startup\\"},
			pattern: `>>?\s*["']?(?:~|\$\{?home\}?|/home/\S+?|/root)/\.ssh/authorized_keys|\|\s*crontab\s+-|\bcrontab\s+(?:-u\s+\S+\s+)?/|>>?\s*["']?/etc/(?:cron|rc\.local|profile|systemd)|>\s*["']?(?:~|\$home)/library/launchagents|\blaunchctl\s+(?:load|bootstrap)\b|` +
				`>>\s*["']?(?:~|\$\{?home\}?)/\.(?:bashrc|zshrc|profile|bash_profile|zprofile|zshenv)\b|\breg(?:\.exe)?\s+add\b[^\n]*currentversion\\run|\bschtasks\b[^\n]*/create\b|\bsystemctl\s+(?:--user\s+)?enable\b|` +
				`>>?\s*\S*(?:soul|memory|agents|claude|identity|heartbeat)\.md\b|\b(?:open|writefile(?:sync)?|appendfile(?:sync)?)\s*\([^\n]*(?:authorized_keys|\.bashrc|\.zshrc|soul\.md|memory\.md|agents\.md|heartbeat\.md|launchagents)[^\n]*|\bcore\.hookspath\b`,
			message: "writes to where it is started again, or to what agents take themselves for", refine: func(m match) (Code, Severity, string) {
				if startup.MatchString(m.text) && m.severity == High {
					return m.rule.code, Medium, "adds itself to what shells or services start" // installers of tools do it, too
				}
				return m.rule.code, m.severity, m.rule.message
			},
		},
		{
			code: CodeObfuscated, inCode: High, inProse: Low, near: []string{`\x`, "fromcharcode", "chr(", "_0x", "[::-1]", ".reverse()", "\\u00", "jsfuck", "[][(![]"},
			pattern: `(?:\\x[0-9a-f]{2}){12,}|(?:\\u00[0-9a-f]{2}){8,}|\bfromcharcode\s*\((?:\s*(?:0x)?[0-9a-f]{2,3}\s*,){8,}|(?:\bchr\(\s*\d+\s*\)\s*[+.]\s*){5,}|(?:\b_0x[0-9a-f]{4,}\b[^\n]*?){6,}|["'][^"'\n]{12,}["']\s*\[::-1\]|["'][^"'\n]{12,}["']\.split\(["']{2}\)\.reverse\(\)|\[\]\[\(!\[\]\+\[\]\)`,
			message: "hides text in character codes, reversed strings or made-up names",
		},
		{
			code: CodeObfuscated, inCode: Medium, near: []string{"b64decode(", "atob(", "\"base64\")", "'base64')", "base64 -d", "base64 --decode", "frombase64string"},
			pattern: `\bb64decode\(\s*b?["'][a-z0-9+/=_-]{40,}|\batob\(\s*["'][a-z0-9+/=]{40,}|\bbuffer\.from\(\s*["'][a-z0-9+/=]{40,}["']\s*,\s*["']base64|\becho\s+["']?[a-z0-9+/=]{40,}["']?\s*\|\s*base64\s+-{1,2}d|\bfrombase64string\(\s*["'][a-z0-9+/=]{40,}`,
			message: "decodes a text that is written into the code", refine: func(m match) (Code, Severity, string) {
				if m.unit.kind == KindInstructions {
					m.severity = Low // what it decodes to is scanned, and explanations of base64 have it
				}
				return m.rule.code, m.severity, m.rule.message
			},
		},
	}
}

var (
	gatekeeper = regexp.MustCompile(`xattr|spctl|mppreference|gatekeeper|defender`)
	startup    = regexp.MustCompile(`\.(?:bashrc|zshrc|profile|bash_profile|zprofile|zshenv)\b|systemctl|core\.hookspath`)
)
