package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/plugins/sdk/sdktest"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tool/tooltest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	tooltest.Run(t, tooltest.Config{
		New:  func(t *testing.T) tool.Tool { return sdktest.Skill(t, calculator()) },
		Call: tool.Call{Key: "k", Input: json.RawMessage(`{"expression":"17 * 23"}`)},
	})
}

func TestResults(t *testing.T) {
	t.Parallel()
	skill := sdktest.Skill(t, calculator())
	for expr, want := range map[string]string{
		"17 * 23":                       "391",
		"0.1 + 0.2":                     "0.3",
		"1/3":                           "0.3333333333333333333333333333333333 (rounded)",
		"2/3":                           "0.6666666666666666666666666666666667 (rounded)",
		"1/3*3":                         "1",
		"1/8":                           "0.125",
		"2^10":                          "1024",
		"2^3^2":                         "512",
		"-2^2":                          "-4",
		"(-2)^2":                        "4",
		"2^-2":                          "0.25",
		"2**8":                          "256",
		"7 % 3":                         "1",
		"-7 % 3":                        "-1",
		"5.5 % 2":                       "1.5",
		"(17 + 3) * 2.5":                "50",
		"6 × 7 ÷ 2 − 1":                 "20",
		"sqrt(2)":                       "1.414213562373095048801688724209698 (rounded)",
		"sqrt(144)":                     "12",
		"√(0.25)":                       "0.5",
		"sqrt(2)^2":                     "2 (rounded)",
		"abs(-3.5)":                     "3.5",
		"min(3, 1, 2)":                  "1",
		"MAX(3; 1; 2)":                  "3",
		"round(2.5)":                    "3",
		"round(-2.5)":                   "-3",
		"round(2.345, 2)":               "2.35",
		"round(1234, -2)":               "1200",
		"6.02e23":                       "602000000000000000000000",
		"1e-3":                          "0.001",
		"1_000_000 + .5":                "1000000.5",
		"--5":                           "5",
		"99999999999999999999 * 3":      "299999999999999999997",
		"100 - 4 * (2 + 3) ^ 2 / 5 % 7": "94",
		"1e40/3":                        "3.333333333333333333333333333333333e+39 (rounded)",
		"0^0":                           "1",
	} {
		res := sdktest.Call(t, skill, input{Expression: expr})
		if res.IsError || res.Text != want {
			t.Errorf("%s = %q (error %v), want %q", expr, res.Text, res.IsError, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	skill := sdktest.Skill(t, calculator())
	for expr, want := range map[string]string{
		"":                             "the expression ends where a number should be",
		"1 +":                          "the expression ends where a number should be",
		"1 / 0":                        "at character 3: division by zero",
		"1 % (2 - 2)":                  "at character 3: division by zero",
		"0 ^ -1":                       "division by zero",
		"(1 + 2":                       "the expression ends where a closing parenthesis should be",
		"1 + )":                        `at character 5: ")" stands where a number should be`,
		"2 3":                          `at character 3: "3" stands where an operator or the end should be`,
		"1,000":                        `"," stands where an operator`,
		"1.2.3":                        `"." stands where an operator`,
		".":                            `"." is not a number`,
		"1e":                           `"1e" is not a number`,
		"sin(1)":                       `"sin" is not known; the functions are sqrt, abs, min, max and round`,
		"sqrt 4":                       "the opening parenthesis of sqrt",
		"sqrt(4, 2)":                   "sqrt takes one number, not 2",
		"sqrt(-1)":                     "-1 has no real square root",
		"2 ^ 0.5":                      "the exponent 0.5 must be a whole number",
		"2 ^ 10001":                    "the exponent must lie between",
		"9^9^9":                        "the exponent must lie between",
		"9999999999^10000":             "get larger than this calculator takes",
		"1e1001":                       "must not be over 1000",
		"round(1, 0.5)":                "a whole number of places",
		"rm -rf /":                     `"rm" is not known`,
		strings.Repeat("(", 200):       "more than 100 levels deep",
		strings.Repeat("-", 500) + "1": "more than 100 levels deep",
		strings.Repeat("1", 1001):      "more than 1000 characters",
	} {
		res := sdktest.Call(t, skill, input{Expression: expr})
		if !res.IsError || !strings.Contains(res.Text, want) {
			t.Errorf("%.40s: got %q (error %v), want an error with %q", expr, res.Text, res.IsError, want)
		}
	}
}

// Whatever a model writes, there is an answer, soon.
func FuzzCalculate(f *testing.F) {
	for _, s := range []string{"1+1", "2^3^2", "sqrt(2)*-1e3", "round(1/3, 5)", "((", "9^9999", "min(1,2;3)%0.7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, err := calculate(s)
		if (err == nil) == (out == "") {
			t.Fatalf("%q: %q, %v", s, out, err)
		}
	})
}
