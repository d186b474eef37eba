package card

import (
	"slices"
	"strconv"
)

// How many requirements one requirement may become when its schemes are split, and how many more all may.
const (
	mostAlternatives = 32
	mostSplit        = 10000
)

// part is a scheme that an OAuth 2.0 scheme of several flows was split into.
type part struct {
	name   string
	scopes *value // that its flow offers
}

// schemes writes the security schemes in 1.0's shape. It answers what became of those that had to be split.
func (m *migrator) schemes() map[string][]part {
	const source = "A2A 1.0, SecurityScheme"
	schemes := m.root.get("securitySchemes")
	if !schemes.is(kindObject) {
		return nil
	}
	split := map[string][]part{}
	for _, name := range slices.Clone(schemes.keys) {
		scheme := schemes.get(name)
		if !scheme.is(kindObject) {
			continue
		}
		kind := scheme.get("type").string()
		wrapper := memberOfType[kind]
		switch {
		case wrapper == "":
		case scheme.get(wrapper) == nil:
			m.wrap(name, kind, scheme, split)
		case !m.hybrid:
			only := objectValue().set(wrapper, scheme.get(wrapper))
			m.add(only, "The fields of 0.3 stand beside those of 1.0, which tell the same", source, "securitySchemes", name)
		}
	}
	return split
}

// wrap writes one scheme in 1.0's shape.
func (m *migrator) wrap(name, kind string, scheme *value, split map[string][]part) {
	const source = "A2A 1.0, SecurityScheme"
	inside := scheme.copy("type")
	if kind == "apiKey" {
		inside = objectValue()
		for i, key := range scheme.keys {
			switch key {
			case "type":
			case "in":
				inside.set("location", scheme.values[i])
			default:
				inside.set(key, scheme.values[i])
			}
		}
	}
	flows := m.flowsOf(kind, scheme)
	if len(flows) > 1 {
		inside.set("flows", m.only(scheme.get("flows"), flows[0]))
		split[name] = []part{{name, scheme.get("flows").get(flows[0]).get("scopes")}}
	}
	wrapper := memberOfType[kind]
	switch {
	case m.hybrid && len(flows) > 1:
		m.add(scheme.copy().set("flows", inside.get("flows")).set(wrapper, inside),
			"1.0 says what a scheme is by the member that it is in, and a scheme has "+
				"one flow there: so it has in both forms, since both know it by one name", source, "securitySchemes", name)
	case m.hybrid && name == "": // some libraries cannot walk through an empty name, only to it
		m.add(scheme.copy().set(wrapper, inside), "1.0 says what a scheme is by the member that it is in", source, "securitySchemes", name)
	case m.hybrid:
		m.add(inside, "1.0 says what a scheme is by the member that it is in", source, "securitySchemes", name, wrapper)
	default:
		m.add(objectValue().set(wrapper, inside), "1.0 says what a scheme is by the member that it is in, instead of by type", source,
			"securitySchemes", name)
	}
	for _, flow := range flows[min(1, len(flows)):] {
		other := m.unused(name + "_" + flow)
		rest := scheme.copy("type", wrapper).set("flows", objectValue().set(flow, scheme.get("flows").get(flow)))
		made := objectValue().set(wrapper, rest)
		if m.hybrid {
			made = scheme.copy(wrapper).set("flows", rest.get("flows")).set(wrapper, rest)
		}
		m.add(made, "A scheme of 1.0 has one flow: the flow "+flow+" of "+name+" is a scheme of its own", "A2A 1.0, OAuthFlows",
			"securitySchemes", other)
		split[name] = append(split[name], part{other, scheme.get("flows").get(flow).get("scopes")})
	}
}

// flowsOf returns the flows of an OAuth 2.0 scheme, the preferred one first.
func (m *migrator) flowsOf(kind string, scheme *value) []string {
	var names []string
	if kind == "oauth2" && scheme.get("flows").is(kindObject) {
		for _, name := range flowNames {
			if scheme.get("flows").get(name) != nil {
				names = append(names, name)
			}
		}
	}
	return names
}

// only returns flows with one of the flows, and with what is no flow.
func (m *migrator) only(flows *value, one string) *value {
	var but []string
	for _, name := range flowNames {
		if name != one {
			but = append(but, name)
		}
	}
	return flows.copy(but...)
}

// unused returns a name that no scheme has.
func (m *migrator) unused(name string) string {
	schemes := m.root.get("securitySchemes")
	free := name
	for i := 2; schemes.get(free) != nil; i++ {
		free = name + "_" + strconv.Itoa(i)
	}
	return free
}

// requirements writes the security requirements of the card, or of what is at a path, in 1.0's shape.
func (m *migrator) requirements(split map[string][]part, path ...string) {
	const source = "A2A 1.0, SecurityRequirement"
	holder := m.root.at(path)
	old, list := holder.get("security"), holder.get("securityRequirements")
	under := func(steps ...string) []string { return append(slices.Clone(path), steps...) }
	var all []*value // what old says, once for every flow
	if old.is(kindArray) {
		var complete, ok bool
		if all, complete, ok = m.spreadAll(old.items, split); !ok {
			return // what cannot be read stays, and is told as an error
		}
		if !complete {
			m.decide("A requirement could be met by too many combinations of flows to list them all: only the first flows are; "+
				"add those that callers use",
				under("securityRequirements")...)
		}
		if m.hybrid && !slices.EqualFunc(all, old.items, func(a, b *value) bool { return slices.Equal(a.keys, b.keys) }) {
			m.add(listValue(all...), "Each flow is a scheme of its own, and any of them will do, as before", source, under("security")...)
		}
	}
	switch {
	case list.is(kindArray):
		for i, item := range list.items {
			if made := mended(item); made != nil {
				m.add(made, "1.0 puts the schemes of a requirement into schemes, and the scopes of each into list", source,
					under("securityRequirements", strconv.Itoa(i))...)
			}
		}
	case list == nil && old.is(kindArray):
		made := listValue()
		for _, one := range all {
			made.items = append(made.items, shaped(one))
		}
		m.add(made, "security is called securityRequirements in 1.0, where scopes stand in a list of their own", source,
			under("securityRequirements")...)
	}
	if old != nil && !m.hybrid && holder.get("securityRequirements").is(kindArray) {
		m.remove("It is told by securityRequirements now", source, under("security")...)
	}
}

// spreadAll spreads requirements of 0.3. It answers whether all combinations are there, and whether the requirements can be read.
func (m *migrator) spreadAll(items []*value, split map[string][]part) (all []*value, complete, ok bool) {
	complete = true
	for _, item := range items {
		if !item.is(kindObject) || !readable(item) {
			return nil, false, false
		}
		alternatives, whole := spread(item, split)
		if m.more += len(alternatives) - 1; m.more > mostSplit {
			alternatives, whole = []*value{item}, false
		}
		complete = complete && whole
		all = append(all, alternatives...)
	}
	return all, complete, true
}

// mended writes a requirement of 1.0 in its shape when it is in that of 0.3, or when scopes stand where an object with list should;
// otherwise it returns nil.
func mended(item *value) *value {
	if !item.is(kindObject) || len(item.keys) == 0 {
		return nil
	}
	schemes := item.get("schemes")
	switch {
	case schemes == nil && readable(item):
		return shaped(item)
	case !schemes.is(kindObject) || !slices.ContainsFunc(schemes.values, func(v *value) bool { return v.is(kindArray) }):
		return nil
	}
	made := objectValue()
	for i, name := range schemes.keys {
		scopes := schemes.values[i]
		if scopes.is(kindArray) {
			scopes = objectValue().set("list", scopes)
		}
		made.set(name, scopes)
	}
	return item.copy().set("schemes", made)
}

// readable says whether a requirement of 0.3 maps names to lists.
func readable(requirement *value) bool {
	for _, scopes := range requirement.values {
		if !scopes.is(kindArray) {
			return false
		}
	}
	return true
}

// shaped writes a requirement of 0.3 as one of 1.0.
func shaped(requirement *value) *value {
	schemes := objectValue()
	for i, name := range requirement.keys {
		schemes.set(name, objectValue().set("list", requirement.values[i]))
	}
	return objectValue().set("schemes", schemes)
}

// spread writes a requirement once for every combination of what its schemes were split into: any flow will do, as before. Flows that
// offer not all of the scopes that are asked for are left out, unless none offers them. It answers false when only the first flows are
// written.
func spread(requirement *value, split map[string][]part) (alternatives []*value, all bool) {
	alternatives = []*value{requirement}
	for i, name := range requirement.keys {
		fit := offering(split[name], requirement.values[i])
		if len(fit) == 0 {
			continue
		}
		if len(alternatives)*len(fit) > mostAlternatives {
			return []*value{requirement}, false
		}
		var next []*value
		for _, p := range fit {
			for _, a := range alternatives {
				made := objectValue()
				for j, key := range a.keys {
					if key == name {
						key = p.name
					}
					made.set(key, a.values[j])
				}
				next = append(next, made)
			}
		}
		alternatives = next
	}
	return alternatives, true
}

// offering returns the parts whose flows offer the scopes, all when none does.
func offering(parts []part, scopes *value) []part {
	var fit []part
	for _, p := range parts {
		offered := true
		for _, scope := range scopes.items {
			offered = offered && p.scopes.get(scope.string()) != nil
		}
		if offered {
			fit = append(fit, p)
		}
	}
	if len(fit) == 0 {
		return parts
	}
	return fit
}
