package card

import "strconv"

// to03 makes of a card of 0.2 one of 0.3.0, and mends one of 0.3.0 that lacks what the text of its version demands.
func (m *migrator) to03(from Version) {
	if v, ok := ParseVersion(m.root.get("protocolVersion").string()); !ok || v != V030 {
		m.add(textValue(string(V030)), "The card declares the version that it is of, which is required since 0.2.5",
			"A2A 0.3.0, AgentCard.protocolVersion",
			"protocolVersion")
	}
	if m.root.get("url").is(kindString) && m.root.get("preferredTransport") == nil {
		m.add(textValue("JSONRPC"),
			"Without preferredTransport url speaks JSONRPC, the only transport at first and the default since; 0.3.0 demands that it is said",
			"A2A 0.3.0, 5.6.1", "preferredTransport")
	}
	if from != V030 {
		m.decide("Serve the card at /.well-known/agent-card.json: that is where 0.3.0 looks for it, instead of at /.well-known/agent.json")
	}
	m.oldest()
}

// oldest tells of a field of 0.1 that says what no program can write anew.
func (m *migrator) oldest() {
	if m.root.get("authentication") != nil && m.root.get("securitySchemes") == nil {
		m.decide("authentication is of 0.1 and read by nobody any more: write what it says as securitySchemes, with what it does not say, "+
			"such as the header of a key",
			"authentication")
	}
}

// to10 makes of a card of 0.2 or 0.3 one of 1.0. Of a card that has both forms, and of one of 1.0 with remains of 0.3, it does what is
// left.
func (m *migrator) to10(from Version) {
	fresh := m.interfaces()
	m.capabilities()
	split := m.schemes()
	m.requirements(split)
	skills := m.root.get("skills")
	if skills.is(kindArray) {
		for i := range skills.items {
			if skills.items[i].is(kindObject) {
				m.requirements(split, "skills", strconv.Itoa(i))
			}
		}
	}
	if !m.hybrid {
		m.removeOld()
		if from.before(V030) {
			m.decide("Serve the card at /.well-known/agent-card.json: that is where it is looked for since 0.3.0, instead of at " +
				"/.well-known/agent.json")
		}
		m.oldest()
	}
	if fresh {
		m.decide("Have the agent answer 1.0 at these URLs before the card is published: methods, names of fields and errors differ from 0.3, "+
			"and a card cannot tell what is served. Where only 0.3 is, write \"0.3\" as protocolVersion of the interface", "supportedInterfaces")
	}
}

// before says whether v is an earlier version than w.
func (v Version) before(w Version) bool { return v != V10 && (w == V10 || v < w) }

// interfaces gives the card supportedInterfaces. It answers whether it had none.
func (m *migrator) interfaces() (fresh bool) {
	var all []*value // what the fields of 0.3 tell
	listed := map[[2]string]bool{}
	tell := func(of *value, url, transport *value) {
		if !url.is(kindString) {
			return
		}
		name := textValue("JSONRPC")
		if transport.is(kindString) {
			name = transport
			if meant := transportMeant(transport.string()); meant != "" {
				name = textValue(meant)
			}
		}
		made := objectValue().set("url", url).set("protocolBinding", name).set("protocolVersion", textValue("1.0"))
		for i, key := range of.keys {
			if key != "url" && key != "transport" && made.get(key) == nil {
				made.set(key, of.values[i])
			}
		}
		if key := [2]string{url.string(), name.string()}; !listed[key] {
			listed[key] = true
			all = append(all, made)
		}
	}
	tell(objectValue(), m.root.get("url"), m.root.get("preferredTransport"))
	if more := m.root.get("additionalInterfaces"); more.is(kindArray) {
		for _, item := range more.items {
			if item.is(kindObject) {
				tell(item, item.get("url"), item.get("transport"))
			}
		}
	}
	list := m.root.get("supportedInterfaces")
	if !list.is(kindArray) || len(list.items) == 0 {
		if len(all) > 0 {
			m.add(listValue(all...),
				"1.0 tells in one list, the preferred one first, where the agent is reached, by which binding and in which version",
				"A2A 1.0, AgentCard.supported_interfaces", "supportedInterfaces")
		}
		return len(all) > 0
	}
	known := map[[2]string]bool{}
	for i, item := range list.items {
		m.mendInterface(item, strconv.Itoa(i))
		known[[2]string{item.get("url").string(), item.get("protocolBinding").string()}] = true
	}
	for _, old := range all {
		if !known[[2]string{old.get("url").string(), old.get("protocolBinding").string()}] &&
			!m.hybrid { // what stays in the fields of 0.3 need not be repeated
			m.add(old.set("protocolVersion", textValue("0.3")), "This interface was only told by the fields of 0.3",
				"A2A 1.0, AgentCard.supported_interfaces",
				"supportedInterfaces", strconv.Itoa(len(list.items)))
		}
	}
	return false
}

// mendInterface gives an entry of supportedInterfaces that is written as in 0.3 what it is called in 1.0.
func (m *migrator) mendInterface(item *value, at string) {
	if !item.is(kindObject) {
		return
	}
	if transport := item.get("transport"); transport.is(kindString) && item.get("protocolBinding") == nil {
		m.add(transport, "transport is called protocolBinding in 1.0", "A2A 1.0, AgentInterface.protocol_binding", "supportedInterfaces", at,
			"protocolBinding")
		m.remove("transport is called protocolBinding in 1.0", "A2A 1.0, AgentInterface.protocol_binding", "supportedInterfaces", at, "transport")
	}
	if item.get("protocolVersion") == nil {
		m.add(textValue("1.0"), "Each interface says which version it speaks", "A2A 1.0, AgentInterface.protocol_version",
			"supportedInterfaces", at, "protocolVersion")
	}
}

// capabilities moves what is told of the extended card.
func (m *migrator) capabilities() {
	capabilities := m.root.get("capabilities")
	if !capabilities.is(kindObject) {
		return
	}
	const source = "A2A 1.0, AgentCapabilities.extended_agent_card"
	for _, key := range [...]string{"supportsAuthenticatedExtendedCard", "supportsExtendedAgentCard"} {
		old := m.root.get(key)
		if !old.is(kindBool) {
			continue
		}
		if capabilities.get("extendedAgentCard") == nil {
			m.add(old, "An extended card is a capability in 1.0", source, "capabilities", "extendedAgentCard")
		}
		if !m.hybrid {
			m.remove("It is told by capabilities.extendedAgentCard now", source, key)
		}
	}
}

// removeOld takes out what 0.3 has and 1.0 tells elsewhere, or not at all.
func (m *migrator) removeOld() {
	told := m.root.get("supportedInterfaces").is(kindArray)
	for _, key := range [...]string{"url", "preferredTransport", "additionalInterfaces", "protocolVersion"} {
		if m.root.get(key) != nil && told {
			m.remove("It is told by supportedInterfaces now", "A2A 1.0, AgentCard.supported_interfaces", key)
		}
	}
	if m.root.get("capabilities").get("stateTransitionHistory") != nil {
		m.remove("1.0 has no such capability: clients ask for a task's history by historyLength", "A2A 1.0, AgentCapabilities", "capabilities",
			"stateTransitionHistory")
	}
}
