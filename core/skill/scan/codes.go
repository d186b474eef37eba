package scan

import "strings"

// Code names a kind of finding. Codes are never renamed.
type Code string

// The codes.
const (
	CodeDangerousExec    Code = "suspicious.dangerous_exec"
	CodeDynamicCode      Code = "suspicious.dynamic_code_execution"
	CodeEnvCredential    Code = "suspicious.env_credential_access"
	CodeSensitiveFile    Code = "suspicious.sensitive_file_access"
	CodeExfiltration     Code = "suspicious.potential_exfiltration"
	CodeObfuscated       Code = "suspicious.obfuscated_code"
	CodeNetwork          Code = "suspicious.nonstandard_network"
	CodePromptInjection  Code = "suspicious.prompt_injection_instructions"
	CodeHiddenText       Code = "suspicious.hidden_instructions"
	CodeInvisible        Code = "suspicious.invisible_characters"
	CodeMisleadingLink   Code = "suspicious.misleading_link"
	CodeSecretLiteral    Code = "suspicious.exposed_secret_literal"
	CodeDestructive      Code = "suspicious.destructive_delete_command"
	CodeInsecureTLS      Code = "suspicious.insecure_tls_verification"
	CodeConfirmation     Code = "suspicious.confirmation_bypass"
	CodeUntrustedSource  Code = "suspicious.install_untrusted_source"
	CodePrivileged       Code = "suspicious.privileged_always"
	CodePersistence      Code = "suspicious.persistence"
	CodeExecutable       Code = "suspicious.bundled_executable"
	CodeMisleadingName   Code = "suspicious.misleading_file_name"
	CodeLookalike        Code = "suspicious.lookalike_name"
	CodeUndeclared       Code = "suspicious.undeclared_requirement"
	CodeUnused           Code = "suspicious.unused_requirement"
	CodeUnscanned        Code = "suspicious.unscanned_content"
	CodeMining           Code = "malicious.crypto_mining"
	CodeTerminalPayload  Code = "malicious.install_terminal_payload"
	CodeReverseShell     Code = "malicious.reverse_shell"
	CodeCredentialTheft  Code = "malicious.credential_theft"
	CodeBlockedSignature Code = "malicious.known_blocked_signature"
	maliciousPrefix           = "malicious."
)

// Malicious reports whether one finding of the code is enough for the verdict Malicious.
func (c Code) Malicious() bool { return strings.HasPrefix(string(c), maliciousPrefix) }

// Explanation tells what a code means and what to do about it.
type Explanation struct {
	Code  Code
	Title string
	// Text says what was seen, when it is honest, and what a reviewer should look at.
	Text string
}

// Codes explains every code, in a fixed order: the suspicious ones first.
func Codes() []Explanation {
	return []Explanation{
		{CodeDangerousExec, "Runs commands in a dangerous way",
			"A shell gets a command line that is put together at run time, or a download is made executable and started. Look at where the parts of the command come from."},
		{CodeDynamicCode, "Runs code that is not in the skill",
			"Text becomes code at run time: eval, exec, new Function. Critical when the text is downloaded or decoded first: then the scan has not seen what runs."},
		{CodeEnvCredential, "Reads credentials from the environment",
			"Code reads a variable that looks like a credential without the skill saying so anywhere, or reads all variables at once. Declaring or explaining the variable ends this finding."},
		{CodeSensitiveFile, "Opens files in which secrets lie",
			"Private keys, cloud credentials, browser profiles, wallets, keychains, the metadata service of a cloud. Deployment skills may need one of them; a text summarizer does not."},
		{CodeExfiltration, "May send data out",
			"An address that anybody can make in a minute to collect data (request bins, paste sites, tunnels), or secrets, files or conversations in what is sent."},
		{CodeObfuscated, "Hides what its code does",
			"Code in base64, hexadecimal or character codes, in reversed or concatenated strings, or in names made by an obfuscator. Bundled and minified libraries show up with low."},
		{CodeNetwork, "Speaks with unusual addresses",
			"Public IP addresses in place of names, IP addresses spelled as numbers, onion services, user names that look like hosts, short links, ports that back doors like."},
		{CodePromptInjection, "Instructs the agent against its user",
			"Text that tells an agent to ignore its instructions, to keep things from its user, or that pretends to be the system. Security documentation that quotes such text is reported with low."},
		{CodeHiddenText, "Has instructions that readers do not see",
			"Instructions in HTML comments, in elements that are not displayed, far outside of the visible line, or in titles of links."},
		{CodeInvisible, "Has invisible characters",
			"Tag characters, direction overrides, zero-width characters inside of words, long rows of variation selectors. Flags of regions and joined emoji are left alone."},
		{CodeMisleadingLink, "Has links that lead elsewhere than they say",
			"The text of a link names one host, its target is another one; or the target is a script or data."},
		{CodeSecretLiteral, "Contains a secret",
			"A key, token, password or private key stands in the files. Whoever installs the skill has it. Revoke it and take it out."},
		{CodeDestructive, "Deletes more than its own",
			"Deletes the home folder, the root folder, a disk, a history, or everything there is. Removing build output is not reported."},
		{CodeInsecureTLS, "Does not check whom it speaks to",
			"Certificates or host keys are not verified, so that anybody on the way can read and change what is sent."},
		{CodeConfirmation, "Goes around confirmations",
			"Tells the agent or a program to act without asking: approvals are skipped, permissions are switched off, warnings of the system are removed."},
		{CodeUntrustedSource, "Installs from a source that nobody vouches for",
			"A script from the web goes straight into a shell, or packages come from an address that is no public index. Medium for installers of well-known tools."},
		{CodePrivileged, "Wants to be everywhere, or administrator",
			"It is loaded for every task, asks to be used always, or wants root, privileged containers or the whole disk."},
		{CodePersistence, "Stays after it is done",
			"Writes to start-up files, timers, services, SSH keys, or to the files from which agents take their identity and memory."},
		{CodeExecutable, "Brings a program without its source",
			"An executable, a library, byte code or an installer. Nothing in it was scanned."},
		{CodeMisleadingName, "Has a file that is not what its name says",
			"Two extensions of which the last one runs, a program that calls itself an image or a document, a name with invisible characters."},
		{CodeLookalike, "Has a name that resembles another skill's",
			"A known name with a random ending, with a letter changed, or with characters that look alike. Make sure that it is from whom its name suggests."},
		{CodeUndeclared, "Uses what it does not declare",
			"Hosts, variables or programs that its requirements leave out, although they name others."},
		{CodeUnused, "Asks for what it does not use",
			"A credential is required that nothing in the skill has to do with."},
		{CodeUnscanned, "Has content that was not scanned",
			"Archives, content beyond the limits of a scan, encrypted or unknown binary files."},
		{CodeMining, "Mines cryptocurrency",
			"Miners, pools and their protocols."},
		{CodeTerminalPayload, "Has its user run an attacker's command",
			"A command that decodes or downloads something hidden and runs it, usually called a prerequisite: base64 into a shell, an installer from an IP address or a paste site, an archive with a password."},
		{CodeReverseShell, "Gives somebody else a shell",
			"A shell whose input and output are a network connection."},
		{CodeCredentialTheft, "Steals credentials",
			"Secrets are read, and the same file sends to an address for collecting data or to an IP address."},
		{CodeBlockedSignature, "Is known to be bad",
			"The operator of this server has blocked the digest of a file or of the skill."},
	}
}
