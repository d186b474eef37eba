package app_test

// documents gives the world's agent documents and secrets, and its swarm a person and a credential.
func (w *world) documents(create func(path string, body any) string) {
	of := "/v1/agents/" + w.agent
	w.api.Call("PUT", of+"/personality", m{"soul_md": "I am " + w.name, "identity_md": "# " + w.name}, nil)
	w.api.Call("PUT", of+"/workflow", m{"workflow_md": "Do what " + w.name + " does."}, nil)
	w.api.Call("PUT", of+"/rules/"+plain["rule_name"], m{"content": "The rule of " + w.name}, nil)
	w.api.Call("PUT", of+"/secrets", m{"secrets": m{"SHOP_TOKEN": "the-token-of-" + w.name}}, nil)
	w.api.Call("PUT", "/v1/swarms/"+w.swarm+"/credentials", m{"secrets": m{"openaiApiKey": "the-key-of-" + w.name}}, nil)
	w.member = create("/v1/swarms/"+w.swarm+"/members", m{"user": w.name + "@example.com", "role": "owner"})
}

// documentBodies are valid bodies of what writes documents, secrets and people.
func (w *world) documentBodies() m {
	personality := m{"soul_md": "I am still " + w.name, "identity_md": "# Still " + w.name}
	workflow := m{"workflow_md": "Do more of what " + w.name + " does."}
	rule := m{"content": "Another rule of " + w.name}
	secrets := m{"secrets": m{"OTHER_TOKEN": "another-token-of-" + w.name}, "delete_secrets": []string{"SHOP_TOKEN"}}
	credentials := m{"secrets": m{"google_api_key": "another-key-of-" + w.name}, "delete_secrets": []string{"openai_api_key"}}
	role := m{"role": "member"}
	return m{
		"putPersonality": personality, "patchPersonality": personality, "putWorkflow": workflow, "patchWorkflow": workflow,
		"putRule": rule, "patchRule": rule, "restoreDocumentVersion": m{}, "restoreRuleVersion": m{},
		"putAgentSecrets": secrets, "patchAgentSecrets": secrets, "updateAgentSecrets": secrets,
		"putSwarmCredentials": credentials, "patchSwarmCredentials": credentials, "updateSwarmCredentials": credentials,
		"addSwarmMember":   m{"user": w.name + "-2@example.com"},
		"patchSwarmMember": role, "updateSwarmMember": role, "putSwarmMember": role,
	}
}

// agentoDocumentBodies are the same for the agento face.
func (w *world) agentoDocumentBodies() m {
	personality, workflow := m{"soulMd": "I am still " + w.name}, m{"workflowMd": "Do more of what " + w.name + " does."}
	rule, secrets := m{"content": "Another rule of " + w.name}, m{"secrets": m{"OTHER_TOKEN": "another-token-of-" + w.name}, "deleteSecrets": []string{"SHOP_TOKEN"}}
	return m{
		"putPersonality": personality, "patchPersonality": personality, "putWorkflow": workflow, "patchWorkflow": workflow,
		"putRule": rule, "patchRule": rule, "putSecrets": secrets, "patchSecrets": secrets, "updateSecrets": secrets,
	}
}
