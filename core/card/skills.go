package card

import "strings"

// examineSkills looks at the skills.
func (c *checker) examineSkills() {
	skills := c.root.get("skills").items
	ids := make(map[string]bool, len(skills))
	for i := range skills {
		skill := &skills[i]
		if id := skill.get("id"); id.kind == kindString && strings.TrimSpace(id.str) != "" {
			if ids[id.str] {
				c.warn(id, codeSkillDuplicate, c.cite(rule{old: "AgentSkill.id", v10: "AgentSkill.id"}),
					"Another skill has the id %q; an id is a skill's own", short(id.str))
			}
			ids[id.str] = true
		}
		if modes := skill.get("inputModes"); len(modes.items) > 0 {
			c.examineModes(modes)
		}
		if modes := skill.get("outputModes"); len(modes.items) > 0 {
			c.examineModes(modes)
		}
		if c.before(V030) {
			continue // skills had no security yet
		}
		old, field := skill.get("security"), c.requirementField()
		if c.version == V10 && old.kind == kindArray && skill.get(field).kind == kindAbsent {
			c.badRequirement(old)
			c.warn(old, codeOldRequirement, "A2A 1.0, AgentSkill",
				"Clients of 1.0 do not read security; write securityRequirements beside or instead")
		}
		c.examineRequirements(skill.get(field))
	}
}
