package scan

// proseRules are about what a skill tells its agent.
func proseRules() []rule {
	return []rule{
		{
			code: CodePromptInjection, inCode: Medium, inProse: High,
			near: []string{"ignore", "disregard", "forget", "override", "you are now", "new instructions", "system prompt", "jailbreak", "developer mode", "no restrictions", "ignorier", "ignora ", "ignorez", "忽略", "игнорир", "無視", "unrestricted"},
			pattern: `\b(?:ignore|disregard|forget|override|bypass)\s+(?:(?:all|any|every|the|your|my|our|of|these|those)\s+)*(?:previous|prior|above|earlier|preceding|existing|original|other|system|safety|security|default|initial)\s+(?:\w+\s+)?(?:instructions?|prompts?|rules|guidelines|directives?|messages?|context|constraints?|polic(?:y|ies)|restrictions?|guardrails?)|` +
				`\b(?:ignore|disregard|forget)\s+(?:everything|all)\s+(?:above|before|you (?:were|have been) told|that came before)|\byou are (?:now|no longer)\s+(?:in\s+)?(?:dan\b|developer mode|jailbroken|unrestricted|bound by|an? (?:unrestricted|uncensored|evil))|` +
				`\b(?:reveal|print|show|output|repeat|leak|disclose)\s+(?:me\s+)?(?:your|the)\s+(?:full\s+|entire\s+|hidden\s+)?(?:system prompt|system message|initial instructions)|\b(?:your )?new (?:system )?instructions?(?: are)?\s*:|\bignorier\w* (?:alle )?(?:vorherigen|bisherigen|obigen)|` +
				`\bignora (?:todas )?(?:las )?instrucciones (?:anteriores|previas)|\bignorez (?:toutes )?(?:les )?instructions (?:précédentes|ci-dessus)|忽略(?:之前|以上|所有|先前)|игнорируй(?:те)? (?:все )?предыдущие|以前の指示を無視`,
			message: "tells the agent to drop its instructions or to give them away",
		},
		{
			code: CodePromptInjection, inCode: Medium, inProse: High,
			near:    []string{"<|im_start|>", "<|system|>", "[system]", "<system>", "### system", "[inst]", "<<sys>>", "<|endoftext|>", "</system>", "from anthropic", "from openai", "from the developer", "system override", "system message", "admin override"},
			pattern: `<\|(?:im_start|system|endoftext)\|>|(?:^|\n)\s*\[system\]\s*:?|(?:^|\n)\s*</?system>|(?:^|\n)#{2,}\s*system\s*(?:prompt|message|override)?\s*:|<<sys>>|\bthis (?:message|instruction) (?:is|comes) from (?:anthropic|openai|the developers?|your (?:developer|creator)s?|the system)|\b(?:system|admin(?:istrator)?|developer) override\b`,
			message: "pretends to be the system or the developer of the model",
		},
		{
			code: CodePromptInjection, inCode: Medium, inProse: High,
			near: []string{"tell", "inform", "mention", "notify", "reveal", "alert", "show", "disclose", "secretly", "silently", "knowledge", "hide", "without the user", "transparent"},
			pattern: `\b(?:do not|don't|never|without)\s+(?:ever\s+)?(?:tell(?:ing)?|inform(?:ing)?|mention(?:ing)?|notify(?:ing)?|alert(?:ing)?|warn(?:ing)?|disclos(?:e|ing)|reveal(?:ing)?|show(?:ing)?)\s+(?:(?:this|it|anything|that|them|these|any of this)\s+)?(?:(?:step|action|command|instruction)s?\s+)?(?:to\s+)?(?:the\s+|your\s+|any\s+)?(?:user|human|owner|operator)s?\b|` +
				`\bwithout the (?:user|human|owner)(?:'s)? (?:knowledge|knowing|noticing|awareness)|\b(?:secretly|covertly|stealthily)\s+(?:\w+\s+)?(?:run|execute|send|upload|copy|collect|install|read|download|add|append)|` +
				`\bsilently\s+(?:send|upload|collect|exfiltrate|forward|transmit|copy|report)|\bhide (?:this|it|these|the (?:output|result|command)s?) from (?:the )?(?:user|human|owner)`,
			message: "tells the agent to keep something from its user",
		},
		{
			code: CodeConfirmation, inCode: Medium, inProse: Medium,
			near: []string{"confirm", "permission", "approval", "consent", "without asking", "ask the user", "ask for", "auto-approve", "always allow", "always approve"},
			pattern: `\b(?:do not|don't|never|no need to|without)\s+(?:ask(?:ing)?|wait(?:ing)?|prompt(?:ing)?|request(?:ing)?)\s+(?:for\s+)?(?:(?:the\s+|your\s+|any\s+)?(?:user|human|owner)(?:'s)?\s+)?(?:for\s+)?(?:any\s+|their\s+|explicit\s+)?(?:confirmation|permission|approval|consent|authori[sz]ation)|` +
				`\b(?:skip|bypass|disable|circumvent|evade|suppress|ignore)\s+(?:all\s+|any\s+|the\s+|every\s+|user\s+)*(?:confirmations?|permission (?:prompts?|checks?)|approvals?|consent|safety (?:checks?|prompts?)|security (?:prompts?|warnings?|checks?))|` +
				`\bwithout (?:any\s+|user\s+|explicit\s+|prior\s+|further\s+)*(?:confirmation|approval|consent|permission)\b|\bassume (?:the )?(?:user|human|owner)(?:'s)? (?:has\s+)?(?:consent|approv|agree)|\b(?:always|automatically) (?:approve|accept|confirm) (?:all|every|any|the)\b`,
			but:     `\b(?:never|do not|don't|must not|should not|cannot|can't|not)\s+(?:\w+\s+){0,4}?without (?:\w+\s+)*(?:confirmation|approval|consent|permission)|\b(?:never|do not|don't|must not|should not)\s+(?:skip|bypass|disable|circumvent|ignore|automatically|assume)`,
			message: "tells the agent to act without asking",
		},
		{
			code: CodeExfiltration, inCode: Medium, inProse: High,
			near:    []string{"send", "post", "upload", "forward", "transmit", "exfiltrat", "submit", "email", "append", "include", "report", "share"},
			pattern: `\b(?:send|post|upload|forward|transmit|exfiltrate|submit|e-?mail|append|share|report)\b[^\n.]*\b(?:credentials|secrets|private keys?|passwords|environment variables|env vars|\.env\b|ssh keys?|seed phrases?|mnemonics?|recovery phrases?|conversation(?: history)?|chat (?:history|logs?)|system prompt|memory\.md|soul\.md|id_rsa|all (?:the )?(?:api )?(?:keys|tokens)|browser (?:cookies|history)|cookies)\b[^\n]*?\b(?:to|at|via|into|as)\b[^\n]*?(?:https?://|webhook|@[a-z0-9-]+\.[a-z]{2,}|\bserver\b|\bendpoint\b|\burl\b|\bchannel\b)`,
			but:     `\b(?:never|do not|don't|must not|should not|avoid|cannot)\s+(?:\w+\s+){0,3}?(?:send|post|upload|forward|transmit|submit|share|include|append|report)`,
			message: "tells the agent to send secrets or conversations away",
		},
		{
			code: CodeExfiltration, inCode: High, inProse: High, near: []string{"![", "<img"},
			pattern: `!\[[^\]\n]*\]\(https?://[^)\s]*[?&=/](?:\{\{?|\$\{?|<|%7b|\[)\s*(?:\w+[ _-])*(?:data|secret|token|key|conversation|history|context|prompt|message|content|summary|email|password|memory|base64)\w*|<img[^>]+src=["']https?://[^"']*[?&=](?:\{\{?|\$\{)`,
			message: "has an image whose address carries data away when it is shown",
		},
		{
			code: CodePrivileged, inCode: Low, inProse: Medium, near: []string{"every", "always use this", "all tasks", "any task", "each message"},
			pattern: `\b(?:use|invoke|run|call|load|apply|activate|trigger)\s+(?:this|the) skill\s+(?:\w+\s+){0,3}?(?:(?:for|on|in|at|before|after|with)\s+)?(?:every|all|any|each)\s+(?:single\s+)?(?:tasks?|requests?|messages?|conversations?|responses?|prompts?|sessions?|turns?|user)\b|\balways (?:use|invoke|run|load|activate) this skill\b(?:\s+(?:first|before|regardless|for every|no matter))|\b(?:before|after) every (?:response|message|task|reply|turn)\b[^\n]*\b(?:run|execute|call|send|fetch)\b`,
			message: "wants to be used for everything",
		},
		{
			code: CodePersistence, inCode: Medium, inProse: High, near: []string{"soul.md", "memory.md", "agents.md", "claude.md", "identity.md", "heartbeat.md", "long-term memory", "your memory", "system prompt"},
			pattern: `\b(?:add|append|write|insert|save|store|put|copy)\b[^\n.]*\b(?:to|into|in)\s+(?:your\s+|the\s+)?(?:\S*/)?["'` + "`" + `]?(?:soul|memory|agents|claude|identity|heartbeat)\.md\b|\b(?:modify|edit|update|overwrite|replace|change)\s+(?:your\s+|the\s+)?["'` + "`" + `]?(?:soul|memory|agents|claude|identity|heartbeat)\.md\b|\b(?:save|store|remember|persist)\b[^\n.]*\b(?:permanently|in your (?:long-term )?memory|across (?:all )?sessions)\b[^\n]*\b(?:ignore|always|never|run|execute|send)\b`,
			message: "tells the agent to change the files that it takes its identity and memory from",
		},
		{
			code: CodePromptInjection, inCode: Low, inProse: Medium, near: []string{"fetch", "download", "curl", "retrieve", "get ", "load", "read", "visit", "open"},
			pattern: `\b(?:fetch|download|retrieve|load|curl|visit|open|read|get)\b[^\n.]*https?://\S+[^\n]*\b(?:and|then)\s+(?:\w+\s+)?(?:follow|execute|obey|run|do whatever|carry out|perform)\b[^\n]*\b(?:instructions?|commands?|steps|it|says|directives?|contents?)\b|` +
				`\b(?:follow|execute|obey|carry out)\s+(?:all\s+|any\s+|the\s+)*(?:instructions?|commands?|directives?)\b[^\n.]*\b(?:at|from|in|found at|returned by)\s+(?:the\s+)?(?:\w+\s+)?https?://`,
			message: "tells the agent to follow instructions from an address, which can change at any time",
		},
	}
}
