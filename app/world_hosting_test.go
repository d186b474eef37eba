package app_test

// hostingBodies are valid bodies of the operations that host agents, in this world's ids.
func (w *world) hostingBodies() m {
	patch := m{"region": "us", "config": m{"of": w.name}, "avatar_url": "https://img.invalid/" + w.name + ".png", "limits": m{"memory": 64 << 20}}
	return m{"updateHosting": patch, "putHosting": patch}
}

// hostingAgentoBodies are the same of the agento face.
func (w *world) hostingAgentoBodies() m {
	return m{
		"createAgent": m{
			"name": w.name + " hosted", "region": "us", "secrets": m{"openaiApiKey": "sk-" + w.name + "-key"}, "config": m{"llmProvider": "offline"},
			"soulMd": "# SOUL.md\n\n" + w.name, "workflowMd": "# Workflow\n\n" + w.name, "swarmId": w.swarm,
		},
		"updateAgent": m{"name": w.name + " again", "avatarUrl": "https://img.invalid/" + w.name + ".png", "config": m{"of": w.name}, "swarmId": w.swarm},
	}
}
