package policy

// LimitNames returns the names of all limits, in snake case, as decisions name them.
func LimitNames() []string {
	var names []string
	for _, a := range (Limits{}).amounts() {
		names = append(names, a.name)
	}
	for _, t := range (Limits{}).tokens() {
		names = append(names, t.name)
	}
	for _, l := range (Limits{}).lists() {
		names = append(names, l.name)
	}
	return names
}
