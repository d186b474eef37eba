package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/plugins/sdk/sdktest"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/rule/ruletest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	ruletest.Run(t, ruletest.Config{
		New: func(t *testing.T) rule.Evaluator { return sdktest.Rule(t, businessHours()) },
		Input: rule.Input{
			Action: rule.ActionPayment, At: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC),
			Config: json.RawMessage(`{"timezone":"UTC","from":"09:00","to":"17:00"}`),
		},
		BadConfig: []json.RawMessage{
			nil,
			json.RawMessage(`{"from":"09:00","to":"17:00"}`),
			json.RawMessage(`{"timezone":"Local","from":"09:00","to":"17:00"}`),
			json.RawMessage(`{"timezone":"Europe/Nowhere","from":"09:00","to":"17:00"}`),
			json.RawMessage(`{"timezone":"UTC","from":"9:00","to":"17:00"}`),
			json.RawMessage(`{"timezone":"UTC","from":"09:00","to":"25:00"}`),
			json.RawMessage(`{"timezone":"UTC","from":"24:00","to":"01:00"}`),
			json.RawMessage(`{"timezone":"UTC","from":"09:00","to":"09:00"}`),
			json.RawMessage(`{"timezone":"UTC","from":"09:00","to":"17:00","days":["noday"]}`),
			json.RawMessage(`{"timezone":"UTC","from":"09:00","to":"17:00","holidays":["25.12.2026"]}`),
			json.RawMessage(`{"timezone":"UTC","from":"09:00","to":"17:00","outside":"ask"}`),
		},
	})
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := sdktest.Rule(t, businessHours())
	office := config{Timezone: "Europe/Berlin", From: "09:00", To: "17:00", Holidays: []string{"2026-12-25"}}
	night := config{Timezone: "America/New_York", Days: []string{"Fri"}, From: "22:00", To: "06:00"}
	whole := config{Timezone: "UTC", Days: []string{"sat"}, From: "00:00", To: "24:00", Outside: approve}
	for name, tc := range map[string]struct {
		cfg  config
		at   string
		want rule.Outcome
	}{
		"the first minute":           {office, "2026-03-04T08:00:00Z", rule.Allow},
		"a second before":            {office, "2026-03-04T07:59:59Z", rule.Deny},
		"the last second":            {office, "2026-03-04T15:59:59Z", rule.Allow},
		"the end":                    {office, "2026-03-04T16:00:00Z", rule.Deny},
		"the first minute in summer": {office, "2026-07-01T07:00:00Z", rule.Allow},
		"the end in summer":          {office, "2026-07-01T15:00:00Z", rule.Deny},
		"a Saturday":                 {office, "2026-03-07T12:00:00Z", rule.Deny},
		"a holiday":                  {office, "2026-12-25T12:00:00Z", rule.Deny},
		"Friday night":               {night, "2026-03-07T04:00:00Z", rule.Allow}, // Fri 23:00
		"its end on Saturday":        {night, "2026-03-07T10:59:59Z", rule.Allow}, // Sat 05:59
		"after its end":              {night, "2026-03-07T11:00:00Z", rule.Deny},
		"Friday morning":             {night, "2026-03-06T09:00:00Z", rule.Deny}, // Fri 04:00 belongs to Thursday
		"the hour that spring leaves out": {
			config{Timezone: "Europe/Berlin", Days: []string{"sun"}, From: "01:00", To: "03:00"}, "2026-03-29T01:00:00Z", rule.Deny, // 03:00 CEST
		},
		"the hour that autumn has twice": {
			config{Timezone: "Europe/Berlin", Days: []string{"sun"}, From: "02:00", To: "03:00"}, "2026-10-25T01:30:00Z", rule.Allow, // 02:30 CET
		},
		"a whole day":        {whole, "2026-03-07T23:59:59Z", rule.Allow},
		"the day after asks": {whole, "2026-03-08T00:00:00Z", rule.Approve},
	} {
		at, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := sdktest.Judge(t, r, tc.cfg, sdk.Act{Action: sdk.ActionPayment, At: at}); got.Outcome != tc.want {
			t.Errorf("%s: %+v; want %s", name, got, tc.want)
		}
	}
	if got := sdktest.Judge(t, r, office, sdk.Act{Action: sdk.ActionToolCall}); got.Outcome != rule.Allow {
		t.Errorf("a tool call: %+v", got)
	}
}
